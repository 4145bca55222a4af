"""How a window is applied, where the body begins, and where its mid-sagittal plane lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.intensity import OFFSET, Intensity

BODY_HU = -300.0
"""Between air (with lung and bowel gas) and fat, for finding the outline of the body."""

_BINS = 256
"""Of the histogram that tells body from background where the scale is unknown."""

_MR_BODY = 0.1
"""Share of the MR window above which a voxel is body rather than noise in air."""


def shown(image: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    """The image with its window mapped to [0, 1], clipped."""
    low, high = limits
    result = image - np.float32(low)
    result /= np.float32(high - low)
    return np.clip(result, 0, 1, out=result)


def body_threshold(image: NDArray[np.float32], found: Intensity) -> float:
    """Intensity above which a voxel belongs to the body."""
    if found.modality == "MR":
        return found.low + _MR_BODY * (found.high - found.low)
    if found.scale in ("HU", "HU+1024"):
        return BODY_HU + (OFFSET if found.scale == "HU+1024" else 0)
    # The scale is unknown, and outside the scanner's circle everything has the lowest value.
    inside = image[image > image.min()]
    return _otsu(inside) if inside.size else float(image.min())


def _otsu(values: NDArray[np.float32]) -> float:
    """The middle of the histogram's bin that parts the values best (Otsu 1979); scikit-image's, which is 60 MB."""
    if values.min() == values.max():
        return float(values.min())
    counts, edges = np.histogram(values, bins=_BINS)
    middles = (edges[:-1] + edges[1:]) / 2
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below = np.cumsum(counts * middles) / below
    mean_above = (np.cumsum((counts * middles)[::-1]) / above[::-1])[::-1]
    return float(middles[np.argmax(below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2)])


def midline(body: NDArray[np.bool_]) -> float:
    """Column of the mid-sagittal plane: the middle of the body's outermost columns, in pixels of `[D, H, W]`.

    The body is the largest connected region of the pixels that are body on at least half as many slices as any pixel
    is, which leaves out the table and what only few slices show. Without any body pixel it is the middle of the image.
    """
    slices = body.sum(axis=0)  # [H, W]
    if not slices.any():
        return (body.shape[2] - 1) / 2
    regions, _ = ndimage.label(2 * slices >= slices.max())
    largest = np.bincount(regions.ravel())[1:].argmax() + 1
    columns = np.flatnonzero((regions == largest).any(axis=0))
    return float(columns[0] + columns[-1]) / 2
