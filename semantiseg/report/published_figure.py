"""Figure of the published evidence: Dice by target, with text, with the true box, with a box found from text."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from semantiseg.report import style
from semantiseg.report.published import NAMES, label

_MARKS = {
    "biomedparse": ("o", style.BLUE),
    "medsam_oracle_box": ("s", style.ORANGE),
    "medsam_text_box": ("x", style.VERMILION),
}


def draw(frame: pd.DataFrame, *, printed: float) -> Figure:
    """One line a target, ordered by BiomedParse's mean; the paper's printed L1 Dice as a vertical line.

    Args:
        frame: from `published.read`.
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
        axes.set_yticks(ordered.index, [label(row) for _, row in ordered.iterrows()])
        axes.set_xlim(-0.02, 1.0)
        axes.set_xlabel("Dice over the slices that hold the target (published by the authors of BiomedParse)")
        axes.grid(axis="y", linewidth=0.3, color="0.85")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper center", ncols=2)
    return figure
