"""An ablation drawn: where every variant ends, and how fast the gates get there."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg.report import style
from semantiseg.report.ablation_variants import VARIANTS

CURVES = {
    "default": (style.BLUE, "solid"),
    "no_gate": (style.GREEN, "dotted"),
    "scalar_gate": (style.ORANGE, "dashed"),
    "longer": (style.SKY, "solid"),
    "scalar_longer": (style.VERMILION, "dashed"),
    "no_gate_longer": (style.GREEN, "dashdot"),
}
"""Variants whose learning is drawn: colour and line."""


def draw(table: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Left: mean Dice over seeds at levels 1 and 3, and at level 3 composed, with bars from the least to the greatest.
    Right: validation Dice at level 3 against steps, a band from the least to the greatest seed.

    Args:
        table, curves: what `ablation.collect` writes: `runs.csv`, `curves.csv`.
    """
    with style.applied():
        figure = Figure(figsize=(7.0, 3.4), layout="constrained")
        ends, learning = figure.subplots(1, 2, width_ratios=(3, 2))
        _ends(ends, table)
        _learning(learning, curves)
        figure.legend(*ends.get_legend_handles_labels(), loc="outside lower left", ncols=3)
    return figure


def write(table: pd.DataFrame, curves: pd.DataFrame, stem: Path) -> list[Path]:
    """Draw and save; returns the files."""
    return style.save(draw(table, curves), stem)


def _ends(axes: Axes, table: pd.DataFrame) -> None:
    names = [item.name for item in VARIANTS if (table["variant"] == item.name).any()]
    kinds = (
        ("l1", "L1", "o", style.GREY),
        ("l3", "L3", "s", style.BLUE),
        ("l3_composed", "L3, composed", "D", style.GREEN),
    )
    for shift, (key, label, marker, colour) in zip((-0.22, 0.0, 0.22), kinds, strict=True):
        of_variant = table.groupby("variant")[key]
        mean, low, high = (getattr(of_variant, name)().reindex(names) for name in ("mean", "min", "max"))
        axes.errorbar(
            mean, [row + shift for row in range(len(names))], xerr=[mean - low, high - mean],
            fmt=marker, color=colour, markersize=3, elinewidth=0.8, label=label,
        )  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.invert_yaxis()
    axes.grid(axis="x", linewidth=0.3, color="0.85")
    axes.set_xlabel("Dice, phantoms, test patients, unseen phrasings")


def _learning(axes: Axes, curves: pd.DataFrame) -> None:
    for name, (colour, line) in CURVES.items():
        rows = curves[curves["variant"] == name]
        if not len(rows):
            continue
        by_step = rows.groupby("step")["dice_l3"]
        axes.plot(by_step.mean(), color=colour, linestyle=line, label=name.replace("_", " "))
        axes.fill_between(by_step.min().index, by_step.min(), by_step.max(), color=colour, alpha=0.12, linewidth=0)
    axes.set(xlabel="step", ylabel="validation Dice, L3", ylim=(0, 1))
    axes.legend(loc="lower right")
