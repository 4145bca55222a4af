"""An ablation in words and a table."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from semantiseg import markup
from semantiseg.report.ablation_record import standing
from semantiseg.report.ablation_variants import variant

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
