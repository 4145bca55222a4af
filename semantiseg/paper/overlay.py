"""The picture of answers: the mask of each sentence over the slice that shows most of it."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semantiseg import files, markup
from semantiseg.conventions import Mask, radiological
from semantiseg.paper import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLUMNS = 3
_OPACITY = 0.35


def draw_overlay(
    path: Path, image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]],
    *, sides_known: bool = True, number: Callable[[int], int] = int,
) -> None:  # fmt: skip
    """Write the picture of `overlay_figure` to a PNG, PDF or SVG file."""
    figure = overlay_figure(image, masks, captions, sides_known=sides_known, number=number)
    with style.applied():
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150, metadata=files.signed(path))


def overlay_figure(
    image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]],
    *, sides_known: bool = True, number: Callable[[int], int] = int,
) -> Figure:  # fmt: skip
    """A picture with one panel a sentence, in radiological convention.

    Args:
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        masks: `[P, D, H, W]`.
        captions: for each sentence, the sentence and a remark.
        sides_known: whether the patient's right and left are; only then R and L are drawn.
        number: of a slice `d`, the number by which the user knows it.
    """
    import matplotlib.pyplot as plt

    columns = min(_COLUMNS, len(masks))
    rows = -(-len(masks) // columns)
    height = 3.0 * image.shape[1] / image.shape[2]
    with style.applied():
        figure, panels = plt.subplots(
            rows, columns, figsize=(3.0 * columns, (height + 0.75) * rows), squeeze=False, layout="constrained"
        )
        for panel in panels.flat:
            panel.axis("off")
        for panel, mask, caption in zip(panels.flat, masks, captions, strict=False):
            index = best_slice(mask)
            said = (caption[0], f"slice {number(index)}. {caption[1]}")
            _draw(panel, image[index], mask[index], *said, sides=sides_known)
        plt.close(figure)  # a notebook shows what it is given, once
    return figure


def best_slice(mask: Mask) -> int:
    """The axial slice of `[D, H, W]` with most marked pixels; the middle one if nothing is marked."""
    areas = mask.sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def _draw(panel: Axes, image: NDArray[np.floating], mask: Mask, text: str, remark: str, *, sides: bool) -> None:
    from matplotlib.colors import to_rgb

    shown = radiological(mask)
    colours = np.repeat(radiological(image)[..., None], 3, axis=2).astype(float)
    colours[shown] = (1 - _OPACITY) * colours[shown] + _OPACITY * np.array(to_rgb(style.ANSWER))
    panel.imshow(np.clip(colours, 0, 1))
    if shown.any():
        # Padded: an answer at the edge of the picture has an outline there too.
        extent = (-1.5, shown.shape[1] + 0.5, -1.5, shown.shape[0] + 0.5)
        panel.contour(np.pad(shown.astype(float), 1), levels=[0.5], colors=style.ANSWER, linewidths=1.0, extent=extent)
    panel.set_title(_literal(text, 46), fontsize=7)
    panel.text(0.5, -0.02, _literal(remark, 54), transform=panel.transAxes, ha="center", va="top", fontsize=6)
    for side, place in (("R", 0.03), ("L", 0.97)) if sides else ():
        panel.text(place, 0.5, side, transform=panel.transAxes, color="white", fontsize=7, ha="center", va="center")


def _literal(text: str, width: int) -> str:
    """Lines of a sentence as it stands."""
    return "\n".join(textwrap.wrap(markup.drawn(text), width))
