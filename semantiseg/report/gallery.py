"""Which answers are shown, and why: of every level the worst, the median and the best, by a rule and never by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from semantiseg.conventions import LEVELS
from semantiseg.evaluation.sensitivity import HEADLINE, join, suite_of
from semantiseg.report import answer_picture, style
from semantiseg.report.answer_picture import Tile
from semantiseg.report.answers import read_tiles

_NO_PLACE = pd.MultiIndex.from_arrays([[], []], names=["level", "rank"])
RANKS = ("worst", "median", "best")
RULE = (
    "core prompts of the test split in words that training never met, ordered by Dice and then by prompt id; of each "
    "level the first, the middle (the lower of two) and the last"
)


def choose(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers to show.

    Args:
        answers: `sensitivity.join` of the prompts with one model's results.

    Returns:
        Rows of `answers` by level and rank, in columns `level` and `rank` as index; chosen by `RULE`. Levels without
        prompts have no row, and the picture says so.
    """
    core = suite_of(answers, "core", phrasing=HEADLINE)
    rows = {}
    for level in LEVELS:
        ordered = core[core["level"] == level].sort_values(["dice", "prompt_id"], ignore_index=True)
        if len(ordered):
            for rank, place in zip(RANKS, (0, (len(ordered) - 1) // 2, len(ordered) - 1), strict=True):
                rows[level, rank] = ordered.iloc[place]
    chosen = pd.DataFrame.from_dict(rows, orient="index") if rows else core.iloc[:0].copy()
    chosen.index = pd.MultiIndex.from_tuples(rows, names=["level", "rank"]) if rows else _NO_PLACE
    return chosen


def gather(data: Path, model: str) -> tuple[pd.DataFrame, dict[tuple[int, str], Tile]]:
    """The chosen answers of a model and their pictures' content, by level and rank.

    Args:
        data: the folder of the stages' files.
        model: a trained model.
    """
    prompts = pd.read_parquet(data / "bench" / "prompts.parquet")
    results = pd.read_parquet(data / "results" / model / "results.parquet")
    chosen = choose(join(prompts, results, origin=f"results of {model}"))
    tiles = read_tiles(data, chosen.drop_duplicates("prompt_id"), model=model)
    return chosen, {place: tiles[row["prompt_id"]] for place, row in chosen.iterrows()}


def draw(tiles: Mapping[tuple[int, str], Tile], *, model: str, origin: str) -> Figure:
    """Three columns a level (worst, median, best): what was asked for above, what was answered below.

    Args:
        tiles: from `gather`.
        model: its label.
        origin: words for the origin of the images.
    """
    with style.applied():
        figure = Figure(figsize=(7.2, 5.7))
        for row, level in enumerate(LEVELS):
            for column, rank in enumerate(RANKS):
                left, top = 0.01 + 0.33 * column, 0.945 - 0.315 * row
                above = figure.add_axes((left, top - 0.27, 0.15, 0.19))
                below = figure.add_axes((left + 0.16, top - 0.27, 0.15, 0.19))
                tile = tiles.get((level, rank))
                figure.text(left + 0.235, top - 0.075, rank, fontsize=7, fontweight="bold", ha="center")
                answer_picture.pair(
                    above,
                    below,
                    tile,
                    answer_picture.window_of([tile]) if tile else (slice(None), slice(None)),
                    model=model,
                )
        answer_picture.legend(figure, origin)
    return figure
