"""What several test modules share: the checkout under test, and throw-away pipelines."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import tiny_project


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
