"""Checks that the recorded ablation decides: one thing changed, several seeds, on phantoms."""

from __future__ import annotations

import pandas as pd

from semantiseg.report import ablation_record
from semantiseg.report.finding import Finding, Metrics

_NAMES = {"l1": "L1 Dice", "l2": "L2 Dice", "l3": "L3 Dice"}


def ablation_better(*, variant: str, other: str, statistic: str, metrics: Metrics) -> Finding:
    """Is one variant of the ablation better than another in every seed: its worst above the other's best?"""
    runs, _ = ablation_record.read()
    printed = f"{_NAMES[statistic]}: {variant} above {other}"
    mine, theirs = (runs[runs["variant"] == name][statistic] for name in (variant, other))
    found = ablation_record.standing(mine, theirs)
    if found == "seldom":
        return Finding(None, printed, f"`semantiseg ablation` with several seeds of {variant} and {other}")
    words = f"{_NAMES[statistic]} {variant} {spread_of(mine)}, {other} {spread_of(theirs)}"
    if found == "unclear":
        return Finding(None, printed, f"{words}; seeds overlap", measured=True, origin="phantoms", apart=False)
    return Finding(found == "better", printed, words, measured=True, origin="phantoms")


def spread_of(values: pd.Series) -> str:
    """Mean and range over seeds, in words."""
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f} over {len(values)} seeds)"
