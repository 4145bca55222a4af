"""What the baselines' own authors published on two of the paper's three collections.

`published_dice.csv` holds, by target, mean and median 2D Dice over the slices that hold the target: computed from the
per-slice results in `dataset_results/` of microsoft/BiomedParse (commit 750eb40, Apache-2.0). Columns `oracle_box`: the
box was cut from the true mask. Columns `text_box`: the box was Grounding DINO's answer to the text. BraTS 2024 is not
among them; MSD's brain tumours are BraTS 2016 and 2017.

Figure of the published evidence: Dice by target, with text, with the true box, with a box found from text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from semantiseg.errors import DataError
from semantiseg.paper import style

TABLE = Path(__file__).with_name("published_dice.csv")

NAMES = {
    "biomedparse": "BiomedParse, text",
    "medsam_oracle_box": "MedSAM, oracle box",
    "sam_oracle_box": "SAM, oracle box",
    "medsam_text_box": "MedSAM, box found from text",
    "sam_text_box": "SAM, box found from text",
}
"""Model and how it was prompted -> its name; the means are the columns `<key>_mean`."""

CORE = ("Task01_BrainTumour", "non-enhancing tumor")
"""MSD's label for what does not enhance within the tumour, the nearest that was published to a necrotic core."""

_SECOND_NAME = ("kits23", "tumor")
"""The same slices as `kidney tumor`, published under both names; counted once."""


@dataclass(frozen=True)
class Expected:
    """Dice of one model over the published targets; None where its authors published no median.

    Attributes:
        mean: of the targets' means, every target counted once.
        median: of the targets' medians, every target counted once (the BiomedParse paper quotes medians).
        slice_mean: of the targets' means, weighted by their slices.
        lowest: smallest mean, and its target.
        highest: largest mean, and its target.
    """

    mean: float
    median: float | None
    slice_mean: float
    lowest: tuple[float, str]
    highest: tuple[float, str]


def read_published(path: Path = TABLE) -> pd.DataFrame:
    """The published figures, one row a target of a collection.

    Raises:
        DataError: the file is missing, lacks a column, or holds a number outside [0, 1].
    """
    wanted = ["collection", "target", "slices", "biomedparse_median", *(f"{key}_mean" for key in NAMES)]
    try:
        frame = pd.read_csv(path)
    except OSError as error:
        raise DataError(f"{path}: expected the published figures, got {error}. Restore it from Git.") from None
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise DataError(f"{path}: expected the columns {wanted}, got none named {missing}. Restore it from Git.")
    scores = frame[[name for name in map(str, frame) if name.endswith(("_mean", "_median"))]]
    if not ((scores >= 0) & (scores <= 1)).all(axis=None):
        raise DataError(f"{path}: expected Dice between 0 and 1, got others or gaps. Restore it from Git.")
    second = (frame["collection"] == _SECOND_NAME[0]) & (frame["target"] == _SECOND_NAME[1])
    return frame[~second].reset_index(drop=True)


def target_label(row: pd.Series) -> str:
    """A target with its collection, in a few words."""
    return f"{row['target']} ({row['collection'].partition('_')[2] or row['collection']})"


def expected_dice(frame: pd.DataFrame, model: str) -> Expected:
    """What a model would be expected to score on targets such as these, from its mean and median on each."""
    means, slices = frame[f"{model}_mean"], frame["slices"]
    median = frame[f"{model}_median"].mean() if f"{model}_median" in frame else None
    low, high = frame.iloc[int(means.argmin())], frame.iloc[int(means.argmax())]
    return Expected(
        mean=float(means.mean()),
        median=None if median is None else float(median),
        slice_mean=math.fsum(means * slices) / math.fsum(slices),
        lowest=(float(means.min()), target_label(low)),
        highest=(float(means.max()), target_label(high)),
    )


def expectations(frame: pd.DataFrame, models: Sequence[str] = tuple(NAMES)) -> pd.DataFrame:
    """`expected_dice` of several models as a table, one row a model, named for the reader."""
    rows = {}
    for model in models:
        found = expected_dice(frame, model)
        rows[NAMES[model]] = {
            "mean of targets": found.mean,
            "median of slices, mean of targets": found.median,
            "mean of slices": found.slice_mean,
            "lowest": f"{found.lowest[0]:.2f} {found.lowest[1]}",
            "highest": f"{found.highest[0]:.2f} {found.highest[1]}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def target(frame: pd.DataFrame, collection: str, name: str) -> pd.Series:
    """The row of one target.

    Raises:
        DataError: it was not published.
    """
    rows = frame[(frame["collection"] == collection) & (frame["target"] == name)]
    if len(rows) != 1:
        raise DataError(f"expected one published row for {name!r} of {collection}, got {len(rows)}. See {TABLE.name}.")
    return rows.iloc[0]


def nested_dice(inner: float) -> float:
    """Dice of an answer that is the whole structure, when the target is a part of it that fills the share `inner`.

    2 |A and B| / (|A| + |B|) with A the structure of volume 1 and B its part.

    Raises:
        DataError: `inner` is not in (0, 1].
    """
    if not 0 < inner <= 1:
        raise DataError(f"expected a share in (0, 1], got {inner}. Give the part's volume over the whole's.")
    return 2 * inner / (1 + inner)


def share_for_dice(dice: float) -> float:
    """The share that a part must fill of the whole for the whole to score `dice` against it; inverse of `nested_dice`.

    Raises:
        DataError: `dice` is not in (0, 1].
    """
    if not 0 < dice <= 1:
        raise DataError(f"expected a Dice in (0, 1], got {dice}. A structure always overlaps its part.")
    return dice / (2 - dice)


_MARKS = {
    "biomedparse": ("o", style.BLUE),
    "medsam_oracle_box": ("s", style.ORANGE),
    "medsam_text_box": ("x", style.VERMILION),
}


def draw(frame: pd.DataFrame, *, printed: float) -> Figure:
    """One line a target, ordered by BiomedParse's mean; the paper's printed L1 Dice as a vertical line.

    Args:
        frame: from `read_published`.
        printed: Dice in [0, 1] that the paper prints for simple prompts.
    """
    ordered = frame.sort_values("biomedparse_mean", kind="stable").reset_index(drop=True)
    with style.applied():
        figure = Figure(figsize=(6.0, 4.4), layout="constrained")
        axes = figure.subplots()
        axes.axvline(
            printed, color=style.GREY, linestyle="--", label=f"BiomedParse L1 as the paper prints: {printed:.2f}"
        )
        for key, (mark, colour) in _MARKS.items():
            means = ordered[f"{key}_mean"]
            axes.plot(means, ordered.index, mark, color=colour, markersize=4, label=f"{NAMES[key]}, mean")
        medians = ordered["biomedparse_median"]
        axes.plot(
            medians, ordered.index, "o", markerfacecolor="none", color=style.BLUE, markersize=4,
            label=f"{NAMES['biomedparse']}, median",
        )  # fmt: skip
        axes.set_yticks(ordered.index, [target_label(row) for _, row in ordered.iterrows()])
        axes.set_xlim(-0.02, 1.0)
        axes.set_xlabel("Dice over the slices that hold the target (published by the authors of BiomedParse)")
        axes.grid(axis="y", linewidth=0.3, color="0.85")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=2)
    return figure
