"""A package with entry points, as pip would have installed it."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def installed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, source: str, models: Mapping[str, str]
) -> Iterator[None]:
    """Put `plugged_models` with this source and entry points (name -> class) on the path."""
    (folder / "plugged_models.py").write_text(source, encoding="utf-8")
    record = folder / "plugged_models-1.0.dist-info"
    record.mkdir()
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: plugged-models\nVersion: 1.0\n")
    lines = [f"{name} = plugged_models:{kind}" for name, kind in models.items()]
    (record / "entry_points.txt").write_text("[semantiseg.models]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(folder)
    yield
    sys.modules.pop("plugged_models", None)
