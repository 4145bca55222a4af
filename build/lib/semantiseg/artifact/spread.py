"""How far honest runs of the same code, parameters and seed lie apart, quantity by quantity.

Training multiplies the last digits in which processors differ, so a rerun elsewhere gives other numbers. How far other:
`benchmarks/reruns/` keeps Table 1 as each machine made it, and the ablation's record holds trainings that differ in
nothing but their seed. Both are differences of two runs, model by model.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from semantiseg.errors import DataError
from semantiseg.evaluation import ablation_record

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
