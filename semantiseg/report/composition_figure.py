"""The figure of composition: level 3 Dice of every text-reading model, asked plainly and composed."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg.report import style
from semantiseg.report.composition import SUITE_NAMES, VARIANT_NAMES

_APART = 0.17
"""Distance between models within a row."""


def draw(table: pd.DataFrame, *, images: str) -> Figure:
    """Points with 95% intervals, one panel a suite, one row a way of asking.

    Args:
        table: `report.composition.table`, not empty.
        images: what the images are, such as "phantoms".
    """
    suites = [(suite, rows) for suite, rows in table.groupby("suite", sort=False)]
    heights = [rows["variant"].nunique() for _, rows in suites]
    with style.applied():
        figure, panels = plt.subplots(
            len(suites), 1, figsize=(5.2, 0.9 + 0.62 * sum(heights)), sharex=True, squeeze=False,
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        for panel, (suite, rows) in zip(panels.flat, suites, strict=True):
            _draw(panel, rows)
            panel.set_title(SUITE_NAMES[suite], loc="left")
        panels.flat[-1].set(xlabel=f"L3 Dice, {images}", xlim=(0, 1))
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
    return figure


def _draw(panel: Axes, rows: pd.DataFrame) -> None:
    variants = list(dict.fromkeys(rows["variant"]))
    for place, (model, points) in enumerate(rows.groupby("model", sort=False)):
        heights = [variants.index(name) + _APART * place for name in points["variant"]]
        panel.errorbar(
            points["l3"], heights, xerr=[points["l3"] - points["l3_low"], points["l3_high"] - points["l3"]],
            fmt="os^Dv"[place % 5], markersize=3.5, elinewidth=0.8, color=style.MODEL_COLOURS.get(model, style.GREY),
            label=style.MODEL_LABELS.get(model, model),
        )  # fmt: skip
    models = rows["model"].nunique()
    panel.set_yticks([number + _APART * (models - 1) / 2 for number in range(len(variants))])
    panel.set_yticklabels([VARIANT_NAMES[name] for name in variants])
    panel.set_ylim(len(variants) - 1 + _APART * models + 0.1, -0.27)
    panel.grid(axis="x", linewidth=0.3)
