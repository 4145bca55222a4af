"""Figure 1: which case is shown, and why. `report/teaser_figure.py` draws it.

The case is chosen from results by the rule that `choose` states, never by hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semantiseg.conventions import LEVELS
from semantiseg.evaluation.sensitivity import HEADLINE, join
from semantiseg.report import style
from semantiseg.report.answers import read_tiles
from semantiseg.report.table1 import read_results
from semantiseg.report.teaser_figure import Panels

if TYPE_CHECKING:
    from semantiseg.bench.labelled_slice import LabelledSlice

PLAIN_MODELS = ("scalar", "none", "bag_of_words", "box", "token")
"""Panel A shows the first of these that was trained."""

GATED_MODELS = ("token", "scalar", "bag_of_words", "none", "box")
"""Panels B and C show the first of these that was trained."""


@dataclass(frozen=True)
class Case:
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


def choose(prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame]) -> Case:
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
    label = style.MODEL_LABELS.get(plain, plain)
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
    return Case(str(chosen["prompt_id"]), plain, gated, by_level, bool(len(collapsed)), rule)


def _without_level_3(core: pd.DataFrame, plain: str, gated: str) -> Case:
    """What is shown of images about which nothing of level 3 was asked."""
    if not len(core):
        return Case("", plain, gated, dict.fromkeys(LEVELS), False, "no core prompt was asked about a test patient.")
    level = int(core["level"].max())
    asked = core[core["level"] == level]
    chosen = asked.sort_values(["dice", "prompt_id"]).iloc[0]
    rule = (
        "no level-3 test prompt has a target that differs from its parent; shown is the lowest Dice by "
        f"'{style.MODEL_LABELS.get(plain, plain)}' of the {len(asked)} prompts of level {level}."
    )
    by_level = {other: _companion(core, chosen, other) for other in LEVELS} | {level: str(chosen["prompt_id"])}
    return Case(str(chosen["prompt_id"]), plain, gated, by_level, False, rule, level)


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


def gather(data: Path, models: Sequence[str], *, threads: int) -> tuple[Case, Panels]:
    """Choose the case and collect what Figure 1 shows of it.

    Args:
        data: the folder of the stages' files (`data`).
        models: the trained models.
        threads: PyTorch threads for the gate maps.

    Returns:
        The case and the content of the panels.
    """
    import torch

    from semantiseg.bench.labelled_slice import read_slice
    from semantiseg.data.store import VolumeStore

    torch.set_num_threads(threads)
    prompts, results = pd.read_parquet(data / "bench" / "prompts.parquet"), read_results(data / "results", models)
    case = choose(prompts, results)
    shown = sorted({prompt_id for prompt_id in case.by_level.values() if prompt_id})
    asked = prompts[prompts["prompt_id"].isin(shown)].set_index("prompt_id", drop=False).sort_index()
    with VolumeStore(data / "volumes") as store:
        slices = {row.prompt_id: read_slice(store, row.volume_id, int(row.slice)) for row in asked.itertuples()}
    plain = read_tiles(data, asked[asked["prompt_id"] == case.prompt_id], model=case.plain)
    gates = _gates(data / "models" / case.gated, asked, slices, data / "text" / "features.h5")
    gated = {
        prompt_id: replace(tile, gate=gates[prompt_id])
        for prompt_id, tile in read_tiles(data, asked, model=case.gated).items()
    }
    panels = Panels(
        plain=plain.get(case.prompt_id),
        plain_name=style.MODEL_LABELS.get(case.plain, case.plain),
        by_level={level: gated[prompt_id] if prompt_id else None for level, prompt_id in case.by_level.items()},
        gated_name=style.MODEL_LABELS.get(case.gated, case.gated),
        origin=style.origin_name(sorted(asked["origin"].unique())),
        collapsed=case.collapsed,
        caption=caption(case, style.origin_name(sorted(asked["origin"].unique()))),
    )
    return case, panels


def caption(case: Case, origin: str) -> str:
    """The caption of Figure 1, with the rule that chose the case."""
    if not case.prompt_id:
        return f"Nothing to show: {case.rule}"
    plain, gated = (style.MODEL_LABELS.get(model, model) for model in (case.plain, case.gated))
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
    )
