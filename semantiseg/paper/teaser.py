"""Figure 1: one sentence, answered by the printed gate, by the token gate and by SemantiSeg.

The drawing, from arrays and words alone; and which case is shown, and why: it is chosen from results by the rule that
`choose_case` states, never by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg.data.split import few_patients
from semantiseg.evaluation.sensitivity import HEADLINE, join
from semantiseg.files import read_table
from semantiseg.paper import gallery, style
from semantiseg.paper.gallery import Tile, read_tiles
from semantiseg.paper.table1 import read_results
from semantiseg.recipes import NETWORK, RECIPES, SEMANTISEG, recipe_of

_SIZE_INCHES = (4.2, 5.6)
"""Narrow, so that a phone shows its letters at 10 pixels and more."""

PLAIN_MODELS = sorted(RECIPES, key=lambda model: RECIPES[model].plain)
"""The first answer shown is that of the first of these that was trained."""


@dataclass(frozen=True)
class TeaserCase:
    """The case that Figure 1 shows.

    Attributes:
        prompt_id: the prompt; "" where no test patient was asked about.
        models: whose answers are shown, from the printed gate to SemantiSeg, as far as there are results.
        rule: how the case was chosen, in words for the caption.
        level: of the prompt.
    """

    prompt_id: str
    models: tuple[str, ...]
    rule: str
    level: int = 3


@dataclass(frozen=True)
class Panels:
    """All that Figure 1 shows.

    Attributes:
        answers: name of a model -> its answer to the one prompt; empty where nothing was asked.
        origin: words for the origin of the images, written on the figure.
        note: written below the pictures.
        caption: all that there is to say, for the text beside the figure.
    """

    answers: Mapping[str, Tile]
    origin: str
    note: str
    caption: str


def draw(panels: Panels) -> Figure:
    """Draw Figure 1: what the sentence asks for, and an answer of each model.

    Args:
        panels: its content.

    Returns:
        A figure; equal panels give equal bytes through `style.save`.
    """
    with style.applied():
        figure = Figure(figsize=_SIZE_INCHES)
        places = [figure.add_axes((left, bottom, 0.47, 0.3525)) for bottom in (0.497, 0.1) for left in (0.015, 0.515)]
        tiles = list(panels.answers.items())
        if not tiles:
            for axes in places:
                gallery.missing(axes, "no such prompt")
        else:
            _fill(places, tiles)
            sentence = textwrap.wrap(f"“{tiles[0][1].text}”", 52)[:2]
            figure.text(0.5, 0.935, "\n".join(sentence), fontsize=8.5, fontweight="bold", ha="center", va="top")
        gallery.legend(figure, panels.origin)
        figure.text(0.015, 0.05, "\n".join(textwrap.wrap(panels.note, 76)[:2]), fontsize=7, va="top", linespacing=1.15)
    return figure


def _fill(places: Sequence[Axes], tiles: Sequence[tuple[str, Tile]]) -> None:
    window = gallery.crop_of([tile for _, tile in tiles])
    asked = tiles[0][1]
    gallery.picture(places[0], asked.image, window)
    gallery.masks(places[0], asked, window, answer=False, parent=True)
    places[0].set_xlabel(f"asked for (level {asked.level})", fontsize=8, labelpad=2)
    for axes, (name, tile) in zip(places[1:], tiles, strict=False):
        gallery.picture(axes, tile.image, window)
        gallery.masks(axes, tile, window, answer=True, parent=False)
        axes.set_xlabel(f"{name}: Dice {tile.dice:.2f}", fontsize=8, labelpad=2)
    for axes in places[1 + len(tiles) :]:
        gallery.missing(axes, "not trained")


def choose_case(prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame]) -> TeaserCase:
    """Choose the case of Figure 1 by a fixed rule: one that is neither the best nor the worst.

    Of the core level-3 prompts of the test split whose parent differs from the target (where there are none, of the
    core prompts of the highest level), ordered by the gain in Dice from the first model shown to the last (by Dice,
    where only one is shown), the lower median. Ties go to the smaller `prompt_id`.
    """
    first = next((model for model in PLAIN_MODELS if model in results), next(iter(results)))
    shown = tuple(dict.fromkeys(model for model in (first, NETWORK, SEMANTISEG) if model in results))
    answers = {model: join(prompts, results[model], origin=f"results of {model}") for model in shown}
    core = answers[shown[0]]
    core = core[(core["suite"] == "core") & (core["phrasing"] == HEADLINE)]
    if not len(core):
        return TeaserCase("", shown, "no core prompt was asked about a test patient.")
    asked = core[(core["level"] == 3) & core["parent_differs"]]
    level, which = 3, "level-3 test prompts whose parent structure differs from the target"
    if not len(asked):
        level = int(core["level"].max())
        asked, which = core[core["level"] == level], f"test prompts of level {level}; none of level 3 has a parent"
    last = answers[shown[-1]].set_index("prompt_id")["dice"]
    gain = last.loc[asked["prompt_id"]] - (asked.set_index("prompt_id")["dice"] if len(shown) > 1 else 0.0)
    ordered = gain.rename("gain").reset_index().sort_values(["gain", "prompt_id"], ignore_index=True)
    chosen = ordered.iloc[(len(ordered) - 1) // 2]
    by = (
        f"gain in Dice from '{recipe_of(shown[0]).label}' to '{recipe_of(shown[-1]).label}' ({chosen['gain']:+.2f})"
        if len(shown) > 1
        else f"Dice of '{recipe_of(shown[0]).label}'"
    )
    rule = f"of {len(asked)} {which}, the one with the median {by}."
    return TeaserCase(str(chosen["prompt_id"]), shown, rule, level)


def gather_panels(data: Path, models: Sequence[str]) -> tuple[TeaserCase, Panels]:
    """Choose the case and collect what Figure 1 shows of it.

    Args:
        data: the folder of the stages' files (`data`).
        models: rows of Table 1 (`recipes.shown`).

    Returns:
        The case and the content of the panels.

    Raises:
        DataError: prompts or results are absent, or do not belong to one another.
    """
    prompts = read_table(data / "bench" / "prompts.parquet", what="prompts", remedy="Run the stage 'verify' again.")
    results = read_results(data / "results", models)
    case = choose_case(prompts, results)
    asked = prompts[prompts["prompt_id"] == case.prompt_id]
    answers = {
        recipe_of(model).label: read_tiles(data, asked, model=model)[case.prompt_id]
        for model in (case.models if case.prompt_id else ())
    }
    patients = max(found["patient_id"].nunique() for found in results.values())
    origin = style.origin_name(sorted(asked["origin"].unique()))
    few = few_patients(patients)
    what = "gain from the first answer to the last" if len(case.models) > 1 else "Dice"
    note = f"Chosen by rule: the case of the median {what}." if case.prompt_id else f"Nothing to show: {case.rule}"
    return case, Panels(answers, origin, note, teaser_caption(case, origin, few=few))


def teaser_caption(case: TeaserCase, origin: str, *, few: str = "") -> str:
    """The caption of Figure 1, with the rule that chose the case and, where they are few, the patients tested."""
    if not case.prompt_id:
        return f"Nothing to show: {case.rule}"
    names = ", ".join(f"'{recipe_of(model).label}'" for model in case.models)
    return (
        f"One sentence of level {case.level} on {origin}, answered by {names}. Chosen by rule, not by hand: "
        f"{case.rule} Ties: smaller prompt id. Prompt {case.prompt_id}. {few}"
    ).rstrip()
