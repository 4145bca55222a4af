"""What the browser draws of a volume: all slices as one picture, and label maps and masks as run lengths.

Everything leaves this module in radiological convention (`conventions.radiological`): the browser never flips.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from semantiseg.conventions import LabelArray, Mask, radiological
from semantiseg.evaluation import runs


def columns_for(depth: int) -> int:
    """Slices in a row of the sheet: nearly square, since browsers limit the edges of a picture."""
    return max(1, math.ceil(math.sqrt(depth)))


def sheet(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """All slices of a volume `[D, H, W]`, values in [0, 1], side by side in rows of `columns_for(D)`; 8 bits."""
    depth, height, width = image.shape
    columns = columns_for(depth)
    picture = np.zeros((math.ceil(depth / columns) * height, columns * width), dtype=np.uint8)
    for index, axial in enumerate(image):
        row, column = divmod(index, columns)
        tile = np.clip(np.round(radiological(axial) * 255), 0, 255)
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return picture


def write_sheet(image: NDArray[np.floating], path: Path) -> None:
    """Write the sheet as a PNG without loss; equal images give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(image)).save(path, format="PNG", optimize=True)


def mask_runs(mask: Mask) -> list[int]:
    """Run lengths of a mask `[H, W]` as displayed, starting with background."""
    return runs.encode(np.ascontiguousarray(radiological(mask))).tolist()


def label_runs(labels: LabelArray) -> list[int]:
    """A label slice `[H, W]` as displayed: `label, length, label, length, ...` in row-major order."""
    flat = np.ascontiguousarray(radiological(labels)).ravel()
    bounds = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    pairs = np.stack([flat[bounds[:-1]].astype(np.int64), np.diff(bounds)], axis=1)
    return pairs.ravel().tolist()
