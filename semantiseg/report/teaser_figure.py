"""The drawing of Figure 1, from arrays and words alone."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg.conventions import LEVELS, radiological
from semantiseg.report import answer_picture, style
from semantiseg.report.answer_picture import Tile

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
            answer_picture.missing(panel, "no such prompt" if tile is None else "this model has no gate")
            continue
        answer_picture.picture(panel, tile.gate, window, gate=limits)
        answer_picture.outline(panel, radiological(tile.answer[window]), style.ANSWER, "solid", 1.0)
        answer_picture.outline(panel, radiological(tile.truth[window]), style.TRUTH, "dashed", 0.9)
        answer_picture.corner(panel, f"gate for L{tile.level}")
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
        window = answer_picture.window_of(shown) if shown else (slice(None), slice(None))
        answer_picture.pair(grid[0][0], grid[1][0], panels.plain, window, model=panels.plain_name)
        for position, tile in enumerate(tiles, start=1):
            answer_picture.pair(grid[0][position], grid[1][position], tile, window, model=panels.gated_name)
        _gate_column([grid[0][4], grid[1][4]], [tiles[0], tiles[2]], window)
        headings = (
            ("A", 0.005, "Semantic collapse" if panels.collapsed else "None collapsed; the worst"),
            ("B", 0.215, "One case at three levels of language"),
            ("C", 0.815, "Where the gate opens"),
        )
        for letter, left, words in headings:
            figure.text(left, 0.925, letter, fontsize=10, fontweight="bold", va="top")
            figure.text(left + 0.022, 0.92, words, fontsize=7, va="top")
        answer_picture.legend(figure, panels.origin)
        figure.text(
            0.005, 0.115, "\n".join(textwrap.wrap(panels.caption, 190)), fontsize=5.2, va="top", linespacing=1.2
        )
    return figure
