"""What the benchmarks record; that they are fast enough is recorded, never asserted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """A module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def module(name: str):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        found = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found)
        spec.loader.exec_module(found)
        return found

    return module


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"value": 3, "target": 3}, True),
        ({"value": 4, "target": 3}, False),
        ({"value": 4, "target": 3, "better": "higher"}, True),
        ({"value": 2, "target": 3, "better": "higher"}, False),
    ],
)
def test_a_target_is_an_upper_bound_unless_higher_is_better(load, row, expected):
    assert load("run").met(row) is expected


def test_scoring_is_compared_on_masks_on_which_both_agree(load, monkeypatch):
    from semantiseg.errors import DataError

    scoring = load("scoring")
    pairs = list(scoring._pairs((48, 48), 10, count=1))
    assert scoring._ratio(pairs) > 0
    monkeypatch.setattr(scoring, "_ours", lambda answer, target: (0.5, 0.5, 0.5))
    with pytest.raises(DataError, match="expected MONAI's Dice"):
        scoring._ratio(pairs)
