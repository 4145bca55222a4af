"""The drawing of Figure 1, from arrays and words alone.

Figure 1: which case is shown, and why. `paper/teaser.py` draws it.

The case is chosen from results by the rule that `choose_case` states, never by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg.conventions import LEVELS, radiological, rows_of
from semantiseg.data.split import few_patients
from semantiseg.evaluation.sensitivity import HEADLINE, join
from semantiseg.files import read_table
from semantiseg.paper import gallery, style
from semantiseg.paper.gallery import Tile, read_tiles
from semantiseg.paper.table1 import read_results
from semantiseg.recipes import RECIPES, recipe_of

if TYPE_CHECKING:
    from semantiseg.bench.measure.labelled_slice import LabelledSlice


_WIDTH_INCHES = 7.2
_HEIGHT_INCHES = 4.5


@dataclass(frozen=True)
class Panels:
    """All that Figure 1 shows.

    Attributes:
        plain: panel A, answered by the model `plain_name`; None where nothing was asked.
        by_level: panel B, answered by the model `gated_name`; None where there is no such prompt. Panel C shows the
            gates of levels 1 and 3.
        origin: words for the origin of the images, written on the figure.
        collapsed: whether panel A's answer collapsed onto the parent.
        caption: written below the panels.
    """

    plain: Tile | None
    plain_name: str
    by_level: Mapping[int, Tile | None]
    gated_name: str
    origin: str
    collapsed: bool
    caption: str


def _gate_column(axes: Sequence[Axes], tiles: Sequence[Tile | None], window: tuple[slice, slice]) -> None:
    maps = [tile.gate[window] for tile in tiles if tile is not None and tile.gate is not None]
    limits = (float(min(map(np.min, maps))), float(max(map(np.max, maps)))) if maps else None
    for panel, tile in zip(axes, tiles, strict=True):
        if tile is None or tile.gate is None or limits is None:
            gallery.missing(panel, "no such prompt" if tile is None else "this model has no gate")
            continue
        gallery.picture(panel, tile.gate, window, gate=limits)
        gallery.outline(panel, radiological(tile.answer[window]), style.ANSWER, "solid", 1.0)
        gallery.outline(panel, radiological(tile.truth[window]), style.TRUTH, "dashed", 0.9)
        gallery.corner(panel, f"gate for L{tile.level}")
    if limits is not None:
        words = f"gate $\\alpha$: dark {limits[0]:.2f}, bright {limits[1]:.2f}"
        axes[-1].set_xlabel(words, fontsize=5.8, labelpad=2, parse_math=True)


def draw(panels: Panels) -> Figure:
    """Draw Figure 1: A, what the plain model makes of a level-3 prompt; B, the case at three levels; C, the gate.

    Args:
        panels: its content.

    Returns:
        A figure of 7.2 x 4.5 inches; equal panels give equal bytes through `style.save`.
    """
    with style.applied():
        figure = Figure(figsize=(_WIDTH_INCHES, _HEIGHT_INCHES))
        columns = [0.005, 0.215, 0.41, 0.605, 0.815]
        grid = [[figure.add_axes((left, bottom, 0.18, 0.288)) for left in columns] for bottom in (0.5, 0.185)]
        tiles = [panels.by_level.get(level) for level in LEVELS]
        shown = [tile for tile in (panels.plain, *tiles) if tile is not None]
        window = gallery.crop_of(shown) if shown else (slice(None), slice(None))
        gallery.pair(grid[0][0], grid[1][0], panels.plain, window, model=panels.plain_name)
        for position, tile in enumerate(tiles, start=1):
            gallery.pair(grid[0][position], grid[1][position], tile, window, model=panels.gated_name)
        _gate_column([grid[0][4], grid[1][4]], [tiles[0], tiles[2]], window)
        headings = (
            ("A", 0.005, "Semantic collapse" if panels.collapsed else "None collapsed; the worst"),
            ("B", 0.215, "One case at three levels of language"),
            ("C", 0.815, "Where the gate opens"),
        )
        for letter, left, words in headings:
            figure.text(left, 0.925, letter, fontsize=10, fontweight="bold", va="top")
            figure.text(left + 0.022, 0.92, words, fontsize=7, va="top")
        gallery.legend(figure, panels.origin)
        figure.text(
            0.005, 0.115, "\n".join(textwrap.wrap(panels.caption, 190)), fontsize=5.2, va="top", linespacing=1.2
        )
    return figure


PLAIN_MODELS = sorted(RECIPES, key=lambda model: RECIPES[model].plain)
"""Panel A shows the first of these that was trained."""

GATED_MODELS = sorted(RECIPES, key=lambda model: RECIPES[model].gated)
"""Panels B and C show the first of these that was trained."""


@dataclass(frozen=True)
class TeaserCase:
    """The case that Figure 1 shows.

    Attributes:
        prompt_id: the level-3 prompt of panels A, B and C; of the highest level that was asked where there is no
            level 3, and "" where no test patient was asked about.
        plain, gated: the models of panel A, and of panels B and C.
        by_level: level -> prompt of panel B; None where the volume has no core prompt of that level.
        level: of that prompt.
        collapsed: whether the plain model's answer lies closer to the parent than to the target.
        rule: how the case was chosen, in words for the caption.
    """

    prompt_id: str
    plain: str
    gated: str
    by_level: Mapping[int, str | None]
    collapsed: bool
    rule: str
    level: int = 3


def _first(preferred: Sequence[str], models: Sequence[str]) -> str:
    return next((model for model in preferred if model in models), models[0])


def _furthest(rows: pd.DataFrame) -> pd.Series:
    """The answer that collapsed furthest: the largest Dice with the parent less Dice with the target."""
    ordered = rows.assign(margin=rows["parent_dice"] - rows["dice"])
    return ordered.sort_values(["margin", "prompt_id"], ascending=[False, True]).iloc[0]


def _companion(core: pd.DataFrame, chosen: pd.Series, level: int) -> str | None:
    """The core prompt of another level to stand beside the chosen one: same slice first, then same structure, then
    largest."""
    rows = core[(core["volume_id"] == chosen["volume_id"]) & (core["level"] == level)]
    if not len(rows):
        return None
    rows = rows.assign(
        other_slice=rows["slice"] != chosen["slice"],
        other_structure=rows["structure"] != chosen["structure"],
        smaller=-rows["target_mm2"],
    )
    return str(rows.sort_values(["other_slice", "other_structure", "smaller", "prompt_id"]).iloc[0]["prompt_id"])


def choose_case(prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame]) -> TeaserCase:
    """Choose the case of Figure 1 by a fixed rule.

    Among the core level-3 prompts of the test split whose parent differs from the target, and whose answer by the
    plain model (the first of `PLAIN_MODELS`) has collapsed onto the parent: those that name the necrotic core if there
    are any, else those of kind exclusion, else all of them; of these the one that collapsed furthest (the largest Dice
    with the parent less Dice with the target). If none has collapsed: the lowest Dice of the plain model. Where no such
    level-3 prompt was asked: the lowest Dice of the highest level. Ties go to the smaller `prompt_id`.
    """
    models = list(results)
    plain, gated = _first(PLAIN_MODELS, models), _first(GATED_MODELS, models)
    answers = join(prompts, results[plain], origin=f"results of {plain}")
    core = answers[(answers["suite"] == "core") & (answers["phrasing"] == HEADLINE)]
    asked = core[(core["level"] == 3) & core["parent_differs"]]
    if not len(asked):
        return _without_level_3(core, plain, gated)
    label = recipe_of(plain).label
    collapsed = asked[asked["collapsed"]]
    if len(collapsed):
        subset, words = collapsed, "collapsed"
        for rows, kind in (
            (collapsed[collapsed["program"].str.contains("necrotic_core", regex=False)], "about the necrotic core"),
            (collapsed[collapsed["kind"] == "exclusion"], "with an exclusion"),
        ):
            if len(rows):
                subset, words = rows, f"{kind} and collapsed"
                break
        chosen = _furthest(subset)
        rule = (
            f"of {len(asked)} level-3 test prompts, those {words} by '{label}' ({len(subset)}); of these the one that "
            "collapsed furthest (largest Dice with the parent less Dice with the target)."
        )
    else:
        chosen = asked.sort_values(["dice", "prompt_id"]).iloc[0]
        rule = f"no level-3 test prompt collapsed by '{label}' ({len(asked)} asked); shown is its lowest Dice."
    by_level = {level: _companion(core, chosen, level) for level in LEVELS} | {3: str(chosen["prompt_id"])}
    return TeaserCase(str(chosen["prompt_id"]), plain, gated, by_level, bool(len(collapsed)), rule)


def _without_level_3(core: pd.DataFrame, plain: str, gated: str) -> TeaserCase:
    """What is shown of images about which nothing of level 3 was asked."""
    if not len(core):
        return TeaserCase(
            "", plain, gated, dict.fromkeys(LEVELS), False, "no core prompt was asked about a test patient."
        )
    level = int(core["level"].max())
    asked = core[core["level"] == level]
    chosen = asked.sort_values(["dice", "prompt_id"]).iloc[0]
    rule = (
        "no level-3 test prompt has a target that differs from its parent; shown is the lowest Dice by "
        f"'{recipe_of(plain).label}' of the {len(asked)} prompts of level {level}."
    )
    by_level = {other: _companion(core, chosen, other) for other in LEVELS} | {level: str(chosen["prompt_id"])}
    return TeaserCase(str(chosen["prompt_id"]), plain, gated, by_level, False, rule, level)


def _gates(
    model: Path, asked: pd.DataFrame, slices: Mapping[str, LabelledSlice], features: Path
) -> dict[str, np.ndarray | None]:
    """Gate maps `[H, W]` of a model for each prompt; None for a model without gate."""
    from semantiseg.evaluation.predict import ask
    from semantiseg.models.features import TextFeatures
    from semantiseg.models.registry import load

    segmenter, encoded = load(model), TextFeatures.load(features)
    maps: dict[str, np.ndarray | None] = {}
    for prompt_id in asked["prompt_id"]:
        gate = ask(segmenter, slices[prompt_id], asked[asked["prompt_id"] == prompt_id], encoded).gate
        maps[prompt_id] = None if gate is None else gate[0]
    return maps


def gather_panels(data: Path, models: Sequence[str], *, threads: int) -> tuple[TeaserCase, Panels]:
    """Choose the case and collect what Figure 1 shows of it.

    Args:
        data: the folder of the stages' files (`data`).
        models: the trained models.
        threads: PyTorch threads for the gate maps.

    Returns:
        The case and the content of the panels.
    """
    import torch

    from semantiseg.bench.measure.labelled_slice import read_slice
    from semantiseg.data.store import VolumeStore

    torch.set_num_threads(threads)
    prompts, results = read_table(
        data / "bench" / "prompts.parquet", what="prompts", remedy="Run the stage 'verify' again."
    ), read_results(data / "results", models)
    case = choose_case(prompts, results)
    shown = sorted({prompt_id for prompt_id in case.by_level.values() if prompt_id})
    asked = prompts[prompts["prompt_id"].isin(shown)].set_index("prompt_id", drop=False).sort_index()
    with VolumeStore(data / "volumes") as store:
        slices = {row.prompt_id: read_slice(store, row.volume_id, int(row.slice)) for row in rows_of(asked)}
    plain = read_tiles(data, asked[asked["prompt_id"] == case.prompt_id], model=case.plain)
    gates = _gates(data / "models" / case.gated, asked, slices, data / "text" / "features.h5")
    gated = {
        prompt_id: replace(tile, gate=gates[prompt_id])
        for prompt_id, tile in read_tiles(data, asked, model=case.gated).items()
    }
    panels = Panels(
        plain=plain.get(case.prompt_id),
        plain_name=recipe_of(case.plain).label,
        by_level={level: gated[prompt_id] if prompt_id else None for level, prompt_id in case.by_level.items()},
        gated_name=recipe_of(case.gated).label,
        origin=style.origin_name(sorted(asked["origin"].unique())),
        collapsed=case.collapsed,
        caption=teaser_caption(
            case,
            style.origin_name(sorted(asked["origin"].unique())),
            patients=max(found["patient_id"].nunique() for found in results.values()),
        ),  # fmt: skip
    )
    return case, panels


def teaser_caption(case: TeaserCase, origin: str, *, patients: int) -> str:
    """The caption of Figure 1, with the rule that chose the case and, where they are few, the patients tested."""
    if not case.prompt_id:
        return f"Nothing to show: {case.rule}"
    plain, gated = (recipe_of(model).label for model in (case.plain, case.gated))
    verdict = (
        "answers with something closer to the parent structure than to the target"
        if case.collapsed
        else "gives its worst answer"
    )
    return (
        f"Semantic failure modes on {origin}. (A) Asked at level {case.level}, '{plain}' {verdict}. (B) The same case "
        "asked at levels 1 to 3, "
        f"answered by '{gated}'. (C) Where its gate opens for the level-1 and for the level-3 prompt (mean over "
        "channels, finest "
        f"stage). Chosen by rule, not by hand: {case.rule} Levels 1 and 2: core prompts of the same volume, the same "
        "slice and "
        f"structure first, then the largest target. Ties: smaller prompt id. Prompt {case.prompt_id}."
        f" {few_patients(patients)}".rstrip()
    )
