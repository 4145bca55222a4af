"""What several test modules share: the checkout under test, and throw-away pipelines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import tiny_project

if TYPE_CHECKING:
    from semantiseg.baselines.sam_med2d import SamMed2d


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Builder of a one-stage project in a temporary folder; arguments replace its cells, parameters or stages."""
    # Stages that DVC starts find the package of this checkout, installed or not.
    monkeypatch.setenv("PYTHONPATH", str(tiny_project.ROOT))
    folder = tmp_path / "tiny"
    folder.mkdir()
    return partial(tiny_project.build, folder)


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout under test."""
    return tiny_project.ROOT


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Files that Git keeps, relative to the checkout; skips where there is no Git."""
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True)
    if answer.returncode:
        pytest.skip("not a Git checkout")
    return [Path(name) for name in answer.stdout.split("\0") if name and (root / name).is_file()]


@pytest.fixture
def sam_med2d(monkeypatch: pytest.MonkeyPatch) -> SamMed2d:
    """SAM-Med2D as a small network of formula weights, in the catalogue's place."""
    from semantiseg.baselines import catalogue
    from semantiseg.baselines.ask_picture import fill_by_formula
    from semantiseg.baselines.sam_med2d import SamMed2d
    from semantiseg.baselines.sam_network import SamNetwork, SamSizes

    sizes = SamSizes(image_size=256, patch=64, width=12, depth=1, heads=2, window=3, decoder_hidden=16)
    model = SamMed2d(fill_by_formula(SamNetwork(sizes, adapter=True), seed=0))
    entry = replace(catalogue.CATALOGUE["sam_med2d"], open=lambda folder: model)
    monkeypatch.setitem(catalogue.CATALOGUE, "sam_med2d", entry)
    return model
