"""Answers over the picture: for each sentence the axial slice that shows most of what was marked."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

from semantiseg.conventions import Mask, radiological
from semantiseg.report import style

_COLUMNS = 3
_OPACITY = 0.35


def draw_overlay(
    path: Path, image: NDArray[np.floating], masks: NDArray[np.bool_], captions: Sequence[tuple[str, str]]
) -> None:
    """Write a picture with one panel a sentence, in radiological convention.

    Args:
        path: PNG, PDF or SVG file.
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        masks: `[P, D, H, W]`.
        captions: for each sentence, the sentence and a remark.
    """
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
            _draw(panel, image, mask, *caption)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def best_slice(mask: Mask) -> int:
    """The axial slice of `[D, H, W]` with most marked pixels; the middle one if nothing is marked."""
    areas = mask.sum(axis=(1, 2))
    return int(areas.argmax()) if areas.any() else len(areas) // 2


def _draw(panel: Axes, image: NDArray[np.floating], mask: Mask, text: str, remark: str) -> None:
    index = best_slice(mask)
    shown = radiological(mask[index])
    colours = np.repeat(radiological(image[index])[..., None], 3, axis=2).astype(float)
    colours[shown] = (1 - _OPACITY) * colours[shown] + _OPACITY * np.array(to_rgb(style.ANSWER))
    panel.imshow(np.clip(colours, 0, 1))
    if shown.any():
        # Padded: an answer at the edge of the picture has an outline there too.
        extent = (-1.5, shown.shape[1] + 0.5, -1.5, shown.shape[0] + 0.5)
        panel.contour(np.pad(shown.astype(float), 1), levels=[0.5], colors=style.ANSWER, linewidths=1.0, extent=extent)
    panel.set_title(_literal(text, 46), fontsize=7)
    note = _literal(f"slice {index}. {remark}", 54)
    panel.text(0.5, -0.02, note, transform=panel.transAxes, ha="center", va="top", fontsize=6)
    for side, place in (("R", 0.03), ("L", 0.97)):
        panel.text(place, 0.5, side, transform=panel.transAxes, color="white", fontsize=7, ha="center", va="center")


def _literal(text: str, width: int) -> str:
    """Lines of a sentence as it stands; what no font can have (half of a surrogate pair, controls) is spelt out."""
    drawn = "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in " ".join(text.split()))
    return "\n".join(textwrap.wrap(drawn, width))
