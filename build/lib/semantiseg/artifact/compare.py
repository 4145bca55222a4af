"""Compare two CSV tables number by number, to tell a reproduction from a different result."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Collection
from itertools import zip_longest
from pathlib import Path
from typing import Any

from semantiseg.errors import DataError

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
