"""The collapse figure: mean Dice against level of language, one line a model, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from semantiseg.conventions import LEVELS
from semantiseg.report import style

_STYLES = {
    "token": ("o", "solid"), "scalar": ("s", "dashed"), "none": ("^", "dotted"), "bag_of_words": ("D", "dashdot"),
    "box": ("x", (0, (1, 3))),
}  # fmt: skip
_STEP = 0.05
"""Models are drawn beside one another, so that intervals do not hide each other; in levels."""


def draw(metrics: Mapping[str, Any]) -> Figure:
    """Left: core prompts in unseen words. Right: matched triples, where the very same mask is asked at every level.

    Args:
        metrics: the content of `metrics.json`. A level without prompts has no point.
    """
    with style.applied():
        figure = Figure(figsize=(7.0, 2.7), layout="constrained")
        panels = figure.subplots(1, 2, sharey=True)
        for axes, (part, title) in zip(
            panels,
            (("core", "all core prompts, unseen words"), ("matched", "the same mask at three levels")),
            strict=True,
        ):
            for position, (model, summary) in enumerate(style.ordered(metrics["models"]).items()):
                _line(axes, summary[part], model, offset=(position - (len(metrics["models"]) - 1) / 2) * _STEP)
            axes.set_title(title)
            axes.set_xticks(LEVELS, [f"L{level}" for level in LEVELS])
            axes.set_xlabel("level of language")
            axes.set_ylim(0, 1)
            axes.grid(axis="y", linewidth=0.3, color="0.85")
        panels[0].set_ylabel(f"Dice, {style.origin_name(metrics['bench']['origins'])}")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
    return figure


def _line(axes, estimates: Mapping[str, Any], model: str, *, offset: float) -> None:
    points = [(level, estimates[f"l{level}"]) for level in LEVELS if estimates[f"l{level}"]["value"] is not None]
    if not points:
        return
    marker, line = _STYLES.get(model, ("o", "solid"))
    values = [point["value"] for _, point in points]
    errors = [
        [value - point["low"] for value, (_, point) in zip(values, points, strict=True)],
        [point["high"] - value for value, (_, point) in zip(values, points, strict=True)],
    ]
    axes.errorbar(
        [level + offset for level, _ in points], values, yerr=errors, marker=marker, linestyle=line, markersize=3.5,
        capsize=1.5, elinewidth=0.6, color=style.MODEL_COLOURS.get(model, style.GREY),
        label=style.MODEL_LABELS.get(model, model),
    )  # fmt: skip
