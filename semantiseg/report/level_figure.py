"""Dice against level, one line a model: how far each falls when the prompt asks for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from semantiseg.conventions import LEVELS
from semantiseg.report import style

_MARKERS = "osD^vPX"


def draw(metrics: Mapping[str, Any]) -> Figure:
    """The figure of `metrics.json`: mean Dice of the core prompts with 95% intervals; hollow marks and broken lines are
    matched triples, the same masks asked for at all levels. Call it within `style.applied()`."""
    figure = Figure(figsize=(3.4, 2.4), layout="constrained")
    axes = figure.subplots()
    colours = [style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.GREY, style.VERMILION, style.SKY]
    models = metrics["models"]
    for place, (model, summary) in enumerate(models.items()):
        colour = style.MODEL_COLOURS.get(model, colours[place % len(colours)])
        label = style.MODEL_LABELS.get(model, model)
        for part, line, fill, name in (("core", "-", colour, label), ("matched", ":", "none", None)):
            _line(axes, summary[part], place, len(models), colour=colour, line=line, fill=fill, name=name)
    axes.set_xticks(LEVELS, ["L1\nname", "L2\ndescription", "L3\ncomposition"])
    axes.set(ylabel=f"Dice, {style.origin_name(metrics['bench']['origins'])}", ylim=(0, 1), xlim=(0.7, 3.3))
    axes.legend(loc="lower left", fontsize=6)
    return figure


def _line(
    axes: Any, estimates: Mapping[str, Any], place: int, models: int, *, colour: str, line: str, fill: str,
    name: str | None,
) -> None:  # fmt: skip
    shown = [(level, estimates[f"l{level}"]) for level in LEVELS if estimates[f"l{level}"]["value"] is not None]
    if not shown:
        return
    values = [found["value"] for _, found in shown]
    spread = [
        [max(0.0, found["value"] - found["low"]) for _, found in shown],
        [max(0.0, found["high"] - found["value"]) for _, found in shown],
    ]
    # Side by side, so that intervals of models that fare alike can be told apart.
    shift = 0.05 * (place - (models - 1) / 2) + (0.02 if fill == "none" else 0.0)
    axes.errorbar(
        [level + shift for level, _ in shown], values, yerr=spread, color=colour, linestyle=line,
        marker=_MARKERS[place % len(_MARKERS)], markersize=4, markerfacecolor=fill, capsize=2, label=name,
    )  # fmt: skip
