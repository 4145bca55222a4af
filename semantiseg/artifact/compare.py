"""Compare two CSV tables number by number, and tell a reproduction from a different result.

Training multiplies the last digits in which processors differ, so a rerun elsewhere gives other numbers. How far other:
`benchmarks/reruns/` keeps Table 1 as each machine made it, and the ablation's record holds trainings that differ in
nothing but their seed. Both are differences of two runs, model by model."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations, zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.errors import DataError
from semantiseg.evaluation import ablation_record

NUMBER = re.compile(r"(?<![\w.])[-+\u2212]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w])")
"""A number that stands alone: the 1 of "L1" or "table1" is part of a name."""


def differences(old: Path, new: Path, *, tolerance: float, columns: Collection[str] | None = None) -> list[str]:
    """Every cell in which the tables differ: other words, or a number off by more than `tolerance` (absolute).

    Args:
        old, new: the tables.
        tolerance: of numbers.
        columns: whose numbers are compared; None means all. Words are compared everywhere.

    Raises:
        DataError: a table cannot be read or is empty.
    """
    before, after = _rows(old), _rows(new)
    found = []
    for line, (first, second) in enumerate(zip_longest(before, after), start=1):
        if first is None or second is None or len(first) != len(second):
            found.append(f"line {line}: {_shown(first)} against {_shown(second)}")
            continue
        for column, one, other in zip(before[0], first, second, strict=False):
            allowed = tolerance if columns is None or column in columns else float("inf")
            if not _agree(one, other, tolerance=allowed):
                found.append(f"line {line}, {column}: {one!r} against {other!r}")
    return found


def largest_difference(old: Path, new: Path) -> float:
    """Largest absolute difference of two numbers in the same place; infinite where the tables differ in more than that.

    Raises:
        DataError: a table cannot be read or is empty.
    """
    if differences(old, new, tolerance=float("inf")):
        return float("inf")
    numbers = [
        [_value(text) for row in _rows(path) for cell in row for text in NUMBER.findall(cell)] for path in (old, new)
    ]
    return max((abs(one - other) for one, other in zip(*numbers, strict=True)), default=0.0)


def same_machine(recorded: Path, machine: dict[str, Any]) -> bool:
    """Does a committed run record name this processor, these cores and these library versions?"""
    if not recorded.is_file():
        return False
    record = json.loads(recorded.read_text(encoding="utf-8"))
    return all(record.get(key) == machine[key] for key in ("cpu", "cores", "versions"))


def _rows(path: Path) -> list[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.reader(stream))
    except OSError as error:
        raise DataError(f"{path}: expected a table, got {error.strerror}. Run `semantiseg reproduce` first.") from None
    if not rows:
        raise DataError(f"{path}: expected a table, got an empty file. Run `semantiseg reproduce` again.")
    return rows


def _agree(one: str, other: str, *, tolerance: float) -> bool:
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    pairs = zip(NUMBER.findall(one), NUMBER.findall(other), strict=True)
    # 0.30000000000000004 - 0.25 is no larger than 0.05 to a reader.
    return all(abs(_value(a) - _value(b)) <= tolerance * (1 + 1e-9) for a, b in pairs)


def _value(text: str) -> float:
    return float(text.replace("\u2212", "-"))


def _shown(row: list[str] | None) -> str:
    return "no such line" if row is None else ",".join(row)


RERUNS = Path("benchmarks/reruns")
SEEDS = {name: name for name in ("l1", "l2", "l3", "pss")}
SEEDS |= {"collapse": "collapse_rate", "l1_seen": "seen_l1", "l3_seen": "seen_l3"}
"""Column of the ablation's runs -> column of Table 1."""

TIMES, ROOM = 4.0, 1.5


@dataclass(frozen=True)
class Spread:
    """Differences of two honest runs in one quantity.

    Attributes:
        pairs: how many differences were measured.
        rms: their root mean square.
        largest: the largest of them, absolute.
    """

    pairs: int
    rms: float
    largest: float

    def allowed(self, *, width: float) -> float:
        """The largest difference that still agrees: four times the spread, but no less than half as much again as was
        seen, nor than half the number's own interval (`width`; 0 where it has none), since five models measure a
        spread but roughly."""
        return max(TIMES * self.rms, ROOM * self.largest, width / 2)


def read_table1(path: Path) -> pd.DataFrame:
    """A Table 1, one row a model.

    Raises:
        DataError: it cannot be read, or has no column `model`.
    """
    try:
        return pd.read_csv(path).set_index("model")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: expected a Table 1, got {error}. Run `semantiseg reproduce` there.") from None


def measured_spread(root: Path) -> dict[str, Spread]:
    """Column of Table 1 -> its spread over machines and, where the ablation has it, seeds.

    Raises:
        DataError: fewer than two machines are on record.
    """
    paths = sorted((root / RERUNS).glob("*.csv"))
    if len(paths) < 2:
        raise DataError(f"{root / RERUNS}: expected Table 1 of two machines or more, got {len(paths)}. Restore them.")
    apart: dict[str, list[float]] = {}
    for one, other in combinations(map(read_table1, paths), 2):
        for column in one.select_dtypes("float").columns.intersection(other.columns):
            apart.setdefault(column, []).extend((one[column] - other[column]).dropna())
    for theirs, column in SEEDS.items():
        apart.setdefault(column, []).extend(ablation_record.between_seeds(theirs))
    return {
        column: Spread(len(found), ablation_record.root_mean_square(found), max(map(abs, found)))
        for column, found in apart.items()
        if found
    }
