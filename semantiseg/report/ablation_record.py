"""The kept record of an ablation (schema: `report/ablation.py`): its runs, and what they were made with.

Copied from the folder that `semantiseg ablation` writes; repeating it takes hours.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from semantiseg import files

LONG = 900
"""Steps from which trainings stand for Table 1's, which take 1,000: those of shorter ones lie further apart."""

RUNS, CURVES, RECORD = (
    Path(__file__).with_name(name) for name in ("ablation_runs.csv", "ablation_curves.csv", "ablation_record.json")
)


def read() -> tuple[pd.DataFrame, pd.DataFrame]:
    """A row a run, and a row a run and validated step."""
    return pd.read_csv(RUNS), pd.read_csv(CURVES)


def provenance(*, data: Path) -> str:
    """In words: what the runs were made with, and whether on the data that lie in `data` now."""
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    runs, _ = read()
    other = [name for name, value in record["inputs"].items() if files.fingerprint(data / name) != value]
    same = f"other data than those here ({', '.join(other)})" if other else "the data of this pipeline, byte by byte"
    steps, hours = record["parameters"]["train"]["steps"], runs["seconds"].sum() / 3600
    return (
        f"{len(runs)} trainings, of {steps} steps where the table says no other number: {hours:.1f} hours of training "
        f"on {record['cpu']}, on {same}. To repeat them: "
        f"`semantiseg ablation --steps {steps} --lanes {record['cores']}`."
    )


def standing(values: pd.Series, reference: pd.Series) -> Literal["better", "worse", "unclear", "seldom"]:
    """How one variant's seeds stand to another's: better or worse where no seed disagrees, seldom below two seeds."""
    if min(len(values), len(reference)) < 2:
        return "seldom"
    if values.min() > reference.max():
        return "better"
    return "worse" if values.max() < reference.min() else "unclear"


def between_seeds(statistic: str) -> list[float]:
    """Differences of a statistic between any two seeds of one variant, all else the same, over the long trainings."""
    runs, _ = read()
    found: list[float] = []
    for _, seeds in runs[runs["steps"] >= LONG].groupby("variant"):
        found += [one - other for one, other in combinations(seeds[statistic], 2)]
    return found


def root_mean_square(differences: Sequence[float]) -> float:
    """Of differences whose mean is 0 by their making."""
    return float(np.sqrt(np.mean(np.square(differences))))
