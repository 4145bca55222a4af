"""An ablation in words, a table and a figure."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from semantiseg.report import style

COLUMNS = {
    "l1": "L1", "l2": "L2", "l3": "L3", "pss": "PSS", "l1_seen": "L1, seen", "l3_seen": "L3, seen",
    "collapse": "collapse rate",
}  # fmt: skip
NEAR = 0.95
"""Share of its last validation Dice at level 3 from which on a training counts as nearly done."""


def report(table: pd.DataFrame, curves: pd.DataFrame) -> str:
    """Markdown: means over seeds with the least and the greatest, and what they say."""
    seeds = table["seed"].nunique()
    lines = [
        f"Test patients, unseen phrasings unless said; mean over {seeds} seeds (least to greatest).",
        "",
        "| variant | changes | " + " | ".join(COLUMNS.values()) + " | steps to near its end |",
        "|---" * (len(COLUMNS) + 3) + "|",
    ]
    for name, rows in table.groupby("variant", sort=False):
        cells = [f"{rows[key].mean():.2f} ({rows[key].min():.2f} to {rows[key].max():.2f})" for key in COLUMNS]
        speed = _steps_to_near(curves[curves["variant"] == name])
        lines.append(f"| {name} | {rows['factor'].iloc[0]} | " + " | ".join([*cells, f"{speed:.0f}"]) + " |")
    return "\n".join([*lines, "", *findings(table)]) + "\n"


def findings(table: pd.DataFrame) -> list[str]:
    """A sentence a variant: is it better or worse at level 3 than the first one in every seed, or can they not be told
    apart?"""
    first = table["variant"].iloc[0]
    reference = table[table["variant"] == first]["l3"]
    sentences = []
    for name, rows in table.groupby("variant", sort=False):
        if name == first:
            continue
        if rows["l3"].max() < reference.min():
            verdict = "is worse: its best seed stays below the worst of"
        elif rows["l3"].min() > reference.max():
            verdict = "is better: its worst seed stays above the best of"
        else:
            verdict = "cannot be told apart from"
        change = rows["l3"].mean() - reference.mean()
        sentences.append(f"- {name} ({rows['factor'].iloc[0]}) {verdict} {first} at level 3 ({change:+.2f} Dice).")
    return sentences


def draw(curves: pd.DataFrame, stem: Path) -> list[Path]:
    """Validation Dice against steps, levels 1 and 3, a line a variant (mean over seeds), a band from least to
    greatest."""
    with style.applied():
        figure, axes = plt.subplots(1, 2, figsize=(7, 2.8), sharey=True)
        for axis, level in zip(axes, (1, 3), strict=True):
            for number, (name, rows) in enumerate(curves.groupby("variant", sort=False)):
                by_step = rows.groupby("step")[f"dice_l{level}"]
                line = axis.plot(by_step.mean(), color=f"C{number % 10}", linestyle=("-", "--")[number % 2], label=name)
                axis.fill_between(
                    by_step.min().index, by_step.min(), by_step.max(), color=line[0].get_color(), alpha=0.12, lw=0
                )
            axis.set(xlabel="step", ylabel="validation Dice", title=f"L{level}", ylim=(0, 1))
        axes[1].legend(loc="lower right", fontsize=6)
        figure.tight_layout()
    written = style.save(figure, stem)
    plt.close(figure)
    return written


def _steps_to_near(curves: pd.DataFrame) -> float:
    """Mean over seeds of the first validated step that reaches `NEAR` of the last validation Dice at level 3."""
    reached = []
    for _, rows in curves.groupby("seed"):
        rows = rows.sort_values("step")
        reached.append(rows["step"][rows["dice_l3"] >= NEAR * rows["dice_l3"].iloc[-1]].min())
    return float(pd.Series(reached).mean())
