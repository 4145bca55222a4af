"""The kept record of an ablation (schema: `evaluation/ablation.py`): its runs, and what they were made with.

Copied from the folder that `semantiseg ablation` writes; repeating it takes hours.

What an ablation changes, one thing at a time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from semantiseg import files
from semantiseg.recipes import RECIPES

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


DEFAULT = "default"


@dataclass(frozen=True)
class Variant:
    """One change to the default."""

    name: str
    factor: str
    """What kind of thing it changes."""
    says: str
    """What it is, in the words of the report."""
    model: str = "token"
    loss: Mapping[str, float | bool] = field(default_factory=dict)
    """Changes to the `train` section."""
    phrasings: int | None = None
    """Surface forms kept of each training question; None keeps all."""
    width: str | None = None
    """Preset of streams that are warmed up for it; None takes the pipeline's own."""
    longer: int = 1
    """How many times the steps."""
    against: tuple[str, ...] = (DEFAULT,)
    """Variants that it is compared with: those that change one thing less."""


def _models(factor: str) -> tuple[Variant, ...]:
    """The trained models that differ from the default in one factor, as their recipes say."""
    said = [(model, recipe.ablated) for model, recipe in RECIPES.items()]
    found = [(model, one) for model, one in said if one is not None and one.factor == factor]
    return tuple(Variant(one.name, factor, one.says, model=model) for model, one in found)


VARIANTS = (
    Variant(DEFAULT, "default", "token gate, all phrasings, MiniLM, Haar bands"),
    *_models("gate"),
    Variant("two_phrasings", "phrasing variety", "token gate, two phrasings a question", phrasings=2),
    Variant(
        "scalar_two_phrasings",
        "gate and phrasing variety",
        "printed gate, two phrasings",
        model="scalar",
        phrasings=2,
        against=("scalar_gate", "two_phrasings"),
    ),
    *_models("text encoder"),
    Variant("pixels", "frequency stream", "pixels in place of their Haar bands", width="small_pixels"),
    Variant("no_frequency", "frequency stream", "semantic stream alone", width="small_semantic"),
    Variant("printed_dhn", "loss", "L_DHN as printed, blind to false positives", loss={"dhn_negatives": False}),
    Variant("cross_entropy", "loss", "cross-entropy for L_DHN", loss={"dhn_gamma": 0.0}),
    Variant("longer", "steps", "token gate, three times the steps", longer=3),
    Variant(
        "scalar_longer",
        "gate and steps",
        "printed gate, three times the steps",
        model="scalar",
        longer=3,
        against=("scalar_gate", "longer"),
    ),
    Variant(
        "no_gate_longer",
        "gate and steps",
        "no gate, three times the steps",
        model="none",
        longer=3,
        against=("no_gate", "longer"),
    ),
    Variant(
        "cross_entropy_longer",
        "loss and steps",
        "cross-entropy for L_DHN, three times the steps",
        loss={"dhn_gamma": 0.0},
        longer=3,
        against=("cross_entropy", "longer"),
    ),
)


def variant(name: str) -> Variant:
    """The variant of that name; KeyError for another."""
    return {item.name: item for item in VARIANTS}[name]
