"""One prompt and its answer as a picture: target, parent structure and answer on the slice, readable in grey.

Stored answers of a model as pictures' content: slice, target, parent and answer of a prompt.

Which answers are shown, and why: of every level the worst, the median and the best, by a rule and never by hand.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from semantiseg.conventions import LEVELS, Mask, Slice, radiological, rows_of
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics, runs
from semantiseg.evaluation.sensitivity import HEADLINE, join, suite_of
from semantiseg.files import read_table
from semantiseg.paper import style

_MARGIN = 0.15
"""Border around everything that is drawn, as a share of its extent."""


@dataclass(frozen=True)
class Tile:
    """One prompt and its answer; arrays `[H, W]` in stored axes.

    Attributes:
        text: the prompt.
        level: 1, 2 or 3.
        image: in [0, 1].
        truth, parent, answer: the target, the dominant structure, the model's answer.
        dice: of the answer.
        gate: the gate's map in [0, 1]; None for a model without gate.
    """

    text: str
    level: int
    image: Slice
    truth: Mask
    parent: Mask
    answer: Mask
    dice: float
    gate: NDArray[np.floating] | None


def crop_of(tiles: Sequence[Tile]) -> tuple[slice, slice]:
    """Rows and columns that hold every mask drawn, with a border; square where the picture allows."""
    drawn = np.logical_or.reduce([mask for tile in tiles for mask in (tile.truth, tile.parent, tile.answer)])
    if not drawn.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
    extent = max(int(np.ptp(rows)), int(np.ptp(columns))) + 1
    side = round(extent * (1 + 2 * _MARGIN))

    def span(indices: NDArray, size: int) -> slice:
        start = max(0, min((int(indices[0]) + int(indices[-1]) + 1 - side) // 2, size - side))
        return slice(start, min(size, start + side))

    return span(rows, drawn.shape[0]), span(columns, drawn.shape[1])


def blank(axes: Axes) -> None:
    """No frame and no ticks."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def outline(axes: Axes, mask: Mask, colour: str, linestyle: str, width: float) -> None:
    """The contour of a mask; nothing where it is empty or fills the picture."""
    if mask.any() and not mask.all():
        axes.contour(mask.astype(float), [0.5], colors=[colour], linestyles=[linestyle], linewidths=[width])


def picture(
    axes: Axes, image: NDArray, window: tuple[slice, slice], *, gate: tuple[float, float] | None = None
) -> None:
    """A slice, or a gate's map over the range given, in radiological convention."""
    blank(axes)
    low, high = gate or (0.0, 1.0)
    axes.imshow(radiological(image[window]), cmap="cividis" if gate else "gray", vmin=low, vmax=high)


def masks(axes: Axes, tile: Tile, window: tuple[slice, slice], *, answer: bool, parent: bool) -> None:
    """Target, and on request answer and parent structure, over a slice."""
    truth, marked, whole = (radiological(mask[window]) for mask in (tile.truth, tile.answer, tile.parent))
    if answer:
        colours = np.zeros((*marked.shape, 4))
        colours[marked] = to_rgba(style.ANSWER, 0.55)
        axes.imshow(colours)
        if marked.any():
            # The fill's brightness may equal the tissue's: in grey the hatching tells them apart.
            hatched = axes.contourf(marked.astype(float), [0.5, 1.5], colors="none", hatches=["////"])
            hatched.set_edgecolor(style.BLUE)
            hatched.set_linewidth(0.0)
        outline(axes, marked, style.BLUE, "solid", 0.6)
    if parent:
        outline(axes, whole, "black", "solid", 1.6)
        outline(axes, whole, style.PARENT, "dotted", 1.2)
    # A dark line below keeps the contour visible on bright tissue and in grey.
    outline(axes, truth, "black", "solid", 1.9)
    outline(axes, truth, style.TRUTH, "solid", 1.1)


def write_prompt(axes: Axes, text: str, *, level: int) -> None:
    """The prompt above a picture, wrapped."""
    wrapped = "\n".join(textwrap.wrap(f"L{level}: “{text}”", 27))
    axes.set_title(wrapped, fontsize=5.8, pad=3, linespacing=1.1)


def corner(axes: Axes, text: str) -> None:
    """A short text in the lower left corner, readable on any tissue."""
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, color="white", fontsize=5.5, va="bottom", ha="left",
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.0, "linewidth": 0},
    )  # fmt: skip


def missing(axes: Axes, words: str) -> None:
    """Words where there is no picture."""
    blank(axes)
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, fontsize=6, color=style.GREY)


def pair(above: Axes, below: Axes, tile: Tile | None, window: tuple[slice, slice], *, model: str) -> None:
    """What was asked above, what was answered below."""
    if tile is None:
        for axes in (above, below):
            missing(axes, "no such prompt")
        return
    write_prompt(above, tile.text, level=tile.level)
    picture(above, tile.image, window)
    masks(above, tile, window, answer=False, parent=True)
    corner(above, "asked for")
    picture(below, tile.image, window)
    masks(below, tile, window, answer=True, parent=False)
    corner(below, f"Dice {tile.dice:.2f}")
    below.set_xlabel(model, fontsize=5.8, labelpad=2)


def legend(figure: Figure, origin: str) -> None:
    """What the colours mean, above everything, beside the origin of the images."""
    handles = [
        Line2D([], [], color=style.TRUTH, linewidth=1.4, label="target (truth)"),
        Line2D([], [], color=style.PARENT, linestyle="dotted", linewidth=1.4, label="parent structure"),
        Patch(facecolor=style.ANSWER, edgecolor=style.BLUE, hatch="//////", linewidth=0.6, label="answer"),
    ]
    legend = figure.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(0.005, 1.0), ncols=3, fontsize=6, frameon=True
    )
    legend.get_frame().set(facecolor="#262626", linewidth=0)
    for text in legend.get_texts():
        text.set_color("white")
    figure.text(0.995, 0.985, f"Images: {origin}", ha="right", va="top", fontsize=7, fontweight="bold")


def read_tiles(data: Path, asked: pd.DataFrame, *, model: str) -> dict[str, Tile]:
    """The stored answers of one model to some prompts.

    Args:
        data: the folder of the stages' files.
        asked: rows of `prompts.parquet`.
        model: its results lie in `data/results/<model>`.

    Returns:
        Prompt id -> tile, without the gate's map.

    Raises:
        DataError: no answer to a prompt is stored, or its Dice on these volumes is not the one in the results.
    """
    from semantiseg.bench.measure.labelled_slice import read_slice
    from semantiseg.data.store import VolumeStore

    if not len(asked):
        return {}
    folder = data / "results" / model
    wanted = [("prompt_id", "in", list(asked["prompt_id"]))]
    again = f"Run the stage 'evaluate@{model}' again."
    stored = read_table(folder / "masks.parquet", what="masks", remedy=again, filters=wanted).set_index("prompt_id")
    scored = read_table(folder / "results.parquet", what="results", remedy=again, filters=wanted)
    scores = scored.set_index("prompt_id")["dice"]
    tiles = {}
    with VolumeStore(data / "volumes") as store:
        for row in rows_of(asked):
            if row.prompt_id not in stored.index or row.prompt_id not in scores.index:
                raise DataError(
                    f"{folder}: expected an answer to prompt {row.prompt_id}, got none. Run 'evaluate@{model}' again."
                )
            shown, answer = read_slice(store, row.volume_id, int(row.slice)), stored.loc[row.prompt_id]
            tile = Tile(
                text=row.text,
                level=int(row.level),
                image=shown.picture,
                truth=shown.mask(row.program),
                parent=shown.mask(row.parent),
                answer=runs.decode(answer["runs"], height=answer["height"], width=answer["width"]),
                dice=float(scores[row.prompt_id]),
                gate=None,
            )
            found = metrics.dice(tile.answer, tile.truth)
            if not np.isclose(found, tile.dice):
                raise DataError(
                    f"{folder}, prompt {row.prompt_id}: expected a stored answer of Dice {tile.dice:.4f} on these "
                    f"volumes, got {found:.4f}. Run the stage 'evaluate@{model}' again."
                )
            tiles[row.prompt_id] = tile
    return tiles


_NO_PLACE = pd.MultiIndex.from_arrays([[], []], names=["level", "rank"])
RANKS = ("worst", "median", "best")
RULE = (
    "core prompts of the test split in words that training never met, ordered by Dice and then by prompt id; of each "
    "level the first, the middle (the lower of two) and the last"
)


def choose_answers(answers: pd.DataFrame) -> pd.DataFrame:
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


def gather_tiles(data: Path, model: str) -> tuple[pd.DataFrame, dict[tuple[int, str], Tile]]:
    """The chosen answers of a model and their pictures' content, by level and rank.

    Args:
        data: the folder of the stages' files.
        model: a trained model.
    """
    prompts = read_table(data / "bench" / "prompts.parquet", what="prompts", remedy="Run the stage 'verify' again.")
    results = read_table(
        data / "results" / model / "results.parquet", what="results", remedy=f"Run the stage 'evaluate@{model}' again."
    )
    chosen = choose_answers(join(prompts, results, origin=f"results of {model}"))
    tiles = read_tiles(data, chosen.drop_duplicates("prompt_id"), model=model)
    return chosen, {row.Index: tiles[row.prompt_id] for row in rows_of(chosen)}


def draw(tiles: Mapping[tuple[int, str], Tile], *, model: str, origin: str, patients: int) -> Figure:
    """Three columns a level (worst, median, best): what was asked for above, what was answered below.

    Args:
        tiles: from `gather_tiles`.
        model: its label.
        origin: words for the origin of the images.
        patients: that were tested.
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
                pair(
                    above,
                    below,
                    tile,
                    crop_of([tile]) if tile else (slice(None), slice(None)),
                    model=model,
                )
        legend(figure, origin)
        style.say_few_patients(figure, patients)
    return figure
