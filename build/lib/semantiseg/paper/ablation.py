"""An ablation in words and a table.

An ablation drawn: where every variant ends, and how fast the gates get there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg import markup
from semantiseg.evaluation.ablation_record import VARIANTS, standing, variant
from semantiseg.paper import style

COLUMNS = {
    "l1": "L1", "l3": "L3", "pss": "PSS", "collapse": "collapse rate", "l3_seen": "L3, seen",
    "l3_composed": "L3 composed", "collapse_composed": "collapse rate composed",
}  # fmt: skip
NEAR = 0.95
"""Share of its last validation Dice at level 3 from which on a training counts as nearly done."""
VERDICTS = {
    "better": "is better: its worst seed stays above the best of",
    "worse": "is worse: its best seed stays below the worst of",
    "unclear": "cannot be told apart from",
    "seldom": "was run too seldom to be compared with",
}
"""Standing -> what is said of it."""


def report(runs: pd.DataFrame, curves: pd.DataFrame) -> str:
    """Table and findings, as Markdown; arguments as in `table`."""
    return "\n".join([table(runs, curves), *findings(runs)]) + "\n"


def table(runs: pd.DataFrame, curves: pd.DataFrame) -> str:
    """A Markdown row a variant: means over seeds with the least and the greatest.

    Args:
        runs, curves: what `ablation.collect` writes: `runs.csv`, `curves.csv`.
    """
    head = ("variant", "changes", "what it is", "seeds", *COLUMNS.values(), "steps to near its end")
    lines = []
    for name, rows in runs.groupby("variant", sort=False):
        item = variant(str(name))
        steps, speed = rows["steps"].iloc[0], steps_to_near(curves[curves["variant"] == name])
        cells = [item.name, item.factor, item.says, str(len(rows)), *(_spread(rows[key]) for key in COLUMNS)]
        lines.append([*cells, f"{speed:.0f} of {steps}"])
    return "\n".join(markup.markdown_table(head, lines)) + "\n"


def findings(runs: pd.DataFrame) -> list[str]:
    """A sentence a comparison: is a variant better or worse at level 3 than the other in every seed, or can they not be
    told apart? And one on composition, which every variant was given."""
    sentences = []
    for name, rows in runs.groupby("variant", sort=False):
        item = variant(str(name))
        for against in item.against:
            reference = runs[runs["variant"] == against]
            if name == against or not len(reference):
                continue
            verdict = VERDICTS[standing(rows["l3"], reference["l3"])]
            change = rows["l3"].mean() - reference["l3"].mean()
            sentences.append(
                f"- {name} ({item.factor}: {item.says}) {verdict} {against} at level 3 ({change:+.2f} Dice)."
            )
    if "l3_composed" in runs:
        gain = runs["l3_composed"] - runs["l3"]
        sentences.append(
            f"- Composition raises level 3 in {int((gain > 0).sum())} of {len(runs)} runs, by {gain.mean():.2f} Dice "
            f"in the mean ({gain.min():+.2f} to {gain.max():+.2f}); the collapse rate falls from "
            f"{runs['collapse'].mean():.0%} to {runs['collapse_composed'].mean():.0%}."
        )
    return sentences


def steps_to_near(curves: pd.DataFrame) -> float:
    """Mean over seeds of the first validated step that reaches `NEAR` of the last validation Dice at level 3."""
    reached = []
    for _, rows in curves.groupby("seed"):
        rows = rows.sort_values("step")
        reached.append(rows["step"][rows["dice_l3"] >= NEAR * rows["dice_l3"].iloc[-1]].min())
    return float(pd.Series(reached).mean())


def _spread(values: Sequence[float] | pd.Series) -> str:
    values = pd.Series(values)
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f})"


CURVES = {
    "default": (style.BLUE, "solid"),
    "no_gate": (style.GREEN, "dotted"),
    "scalar_gate": (style.ORANGE, "dashed"),
    "longer": (style.SKY, "solid"),
    "scalar_longer": (style.VERMILION, "dashed"),
    "no_gate_longer": (style.GREEN, "dashdot"),
}
"""Variants whose learning is drawn: colour and line."""

ENDS = {
    "l1": ("L1", "o", style.GREY), "l3": ("L3", "s", style.BLUE), "l3_composed": ("L3, composed", "D", style.GREEN),
}  # fmt: skip
"""Measures whose ends are drawn: label, marker and colour."""

RANGE = ("pi", 100)
"""Seaborn's words for bars and bands that reach from the least seed to the greatest."""


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
        handles, labels = ends.get_legend_handles_labels()
        ends.get_legend().remove()
        figure.legend(handles, labels, loc="outside lower left", ncols=len(labels))
    return figure


def write(table: pd.DataFrame, curves: pd.DataFrame, stem: Path) -> list[Path]:
    """Draw and save; returns the files."""
    return style.save(draw(table, curves), stem)


def _ends(axes: Axes, table: pd.DataFrame) -> None:
    import seaborn  # late: a second

    names = [item.name for item in VARIANTS if (table["variant"] == item.name).any()]
    labels, markers, colours = map(list, zip(*ENDS.values(), strict=True))
    long = table.rename(columns=dict(zip(ENDS, labels, strict=True))).melt("variant", labels, "kind", "dice")
    seaborn.pointplot(
        long, x="dice", y="variant", hue="kind", order=names, hue_order=labels, orient="y",
        palette=colours, markers=markers, dodge=0.44, linestyle="none", markersize=3,
        errorbar=RANGE, err_kws={"linewidth": 0.8}, ax=axes,
    )  # fmt: skip
    axes.set_yticks(range(len(names)), [name.replace("_", " ") for name in names])
    axes.grid(axis="x", linewidth=0.3, color="0.85")
    axes.set(xlabel="Dice, phantoms, test patients, unseen phrasings", ylabel="")


def _learning(axes: Axes, curves: pd.DataFrame) -> None:
    import seaborn

    drawn = [name for name in CURVES if (curves["variant"] == name).any()]
    for name in drawn:
        colour, line = CURVES[name]
        seaborn.lineplot(
            curves[curves["variant"] == name], x="step", y="dice_l3", errorbar=RANGE, color=colour, linestyle=line,
            label=name.replace("_", " "), err_kws={"alpha": 0.12, "linewidth": 0}, ax=axes,
        )  # fmt: skip
    axes.set(xlabel="step", ylabel="validation Dice, L3", ylim=(0, 1))
    if drawn:
        axes.legend(loc="lower right")
