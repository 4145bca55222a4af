"""The drawing of Figure 1, from arrays and words alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from semantiseg.conventions import LEVELS, Mask, Slice, radiological
from semantiseg.report import style

_WIDTH_INCHES = 7.2
_HEIGHT_INCHES = 4.5
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


@dataclass(frozen=True)
class Panels:
    """All that Figure 1 shows.

    Attributes:
        plain: panel A, answered by the model `plain_name`.
        by_level: panel B, answered by the model `gated_name`; None where there is no such prompt. Panel C shows the
            gates of levels 1 and 3.
        origin: words for the origin of the images, written on the figure.
        collapsed: whether panel A's answer collapsed onto the parent.
        caption: written below the panels.
    """

    plain: Tile
    plain_name: str
    by_level: Mapping[int, Tile | None]
    gated_name: str
    origin: str
    collapsed: bool
    caption: str


def _window(tiles: Sequence[Tile]) -> tuple[slice, slice]:
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


def _blank(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _outline(axes: Axes, mask: Mask, colour: str, linestyle: str, width: float) -> None:
    if mask.any() and not mask.all():
        axes.contour(mask.astype(float), [0.5], colors=[colour], linestyles=[linestyle], linewidths=[width])


def _picture(
    axes: Axes, image: NDArray, window: tuple[slice, slice], *, gate: tuple[float, float] | None = None
) -> None:
    """A slice, or a gate's map over the range given, in radiological convention."""
    _blank(axes)
    low, high = gate or (0.0, 1.0)
    axes.imshow(radiological(image[window]), cmap="cividis" if gate else "gray", vmin=low, vmax=high)


def _masks(axes: Axes, tile: Tile, window: tuple[slice, slice], *, answer: bool, parent: bool) -> None:
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
        _outline(axes, marked, style.BLUE, "solid", 0.6)
    if parent:
        _outline(axes, whole, "black", "solid", 1.6)
        _outline(axes, whole, style.PARENT, "dotted", 1.2)
    # A dark line below keeps the contour visible on bright tissue and in grey.
    _outline(axes, truth, "black", "solid", 1.9)
    _outline(axes, truth, style.TRUTH, "solid", 1.1)


def _words(axes: Axes, text: str, *, level: int) -> None:
    wrapped = "\n".join(textwrap.wrap(f"L{level}: “{text}”", 27))
    axes.set_title(wrapped, fontsize=5.8, pad=3, linespacing=1.1)


def _corner(axes: Axes, text: str) -> None:
    axes.text(
        0.03, 0.03, text, transform=axes.transAxes, color="white", fontsize=5.5, va="bottom", ha="left",
        bbox={"facecolor": "black", "alpha": 0.6, "pad": 1.0, "linewidth": 0},
    )  # fmt: skip


def _missing(axes: Axes, words: str) -> None:
    _blank(axes)
    axes.text(0.5, 0.5, words, ha="center", va="center", transform=axes.transAxes, fontsize=6, color=style.GREY)


def _pair(above: Axes, below: Axes, tile: Tile | None, window: tuple[slice, slice], *, model: str) -> None:
    """What was asked above, what was answered below."""
    if tile is None:
        for axes in (above, below):
            _missing(axes, "no such prompt")
        return
    _words(above, tile.text, level=tile.level)
    _picture(above, tile.image, window)
    _masks(above, tile, window, answer=False, parent=True)
    _corner(above, "asked for")
    _picture(below, tile.image, window)
    _masks(below, tile, window, answer=True, parent=False)
    _corner(below, f"Dice {tile.dice:.2f}")
    below.set_xlabel(model, fontsize=5.8, labelpad=2)


def _gate_column(axes: Sequence[Axes], tiles: Sequence[Tile | None], window: tuple[slice, slice]) -> None:
    maps = [tile.gate[window] for tile in tiles if tile is not None and tile.gate is not None]
    limits = (float(min(map(np.min, maps))), float(max(map(np.max, maps)))) if maps else None
    for panel, tile in zip(axes, tiles, strict=True):
        if tile is None or tile.gate is None or limits is None:
            _missing(panel, "no such prompt" if tile is None else "this model has no gate")
            continue
        _picture(panel, tile.gate, window, gate=limits)
        _outline(panel, radiological(tile.answer[window]), style.ANSWER, "solid", 1.0)
        _outline(panel, radiological(tile.truth[window]), style.TRUTH, "dashed", 0.9)
        _corner(panel, f"gate for L{tile.level}")
    if limits is not None:
        axes[-1].set_xlabel(f"gate $\\alpha$: dark {limits[0]:.2f}, bright {limits[1]:.2f}", fontsize=5.8, labelpad=2)


def _legend(figure: Figure, origin: str) -> None:
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
        window = _window([panels.plain, *(tile for tile in tiles if tile is not None)])
        _pair(grid[0][0], grid[1][0], panels.plain, window, model=panels.plain_name)
        for position, tile in enumerate(tiles, start=1):
            _pair(grid[0][position], grid[1][position], tile, window, model=panels.gated_name)
        _gate_column([grid[0][4], grid[1][4]], [tiles[0], tiles[2]], window)
        headings = (
            ("A", 0.005, "Semantic collapse" if panels.collapsed else "None collapsed; the worst"),
            ("B", 0.215, "One case at three levels of language"),
            ("C", 0.815, "Where the gate opens"),
        )
        for letter, left, words in headings:
            figure.text(left, 0.925, letter, fontsize=10, fontweight="bold", va="top")
            figure.text(left + 0.022, 0.92, words, fontsize=7, va="top")
        _legend(figure, panels.origin)
        figure.text(
            0.005, 0.115, "\n".join(textwrap.wrap(panels.caption, 190)), fontsize=5.2, va="top", linespacing=1.2
        )
    return figure
