"""Which intensities a stored volume shows, and where the body's mid-sagittal plane lies."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from semantiseg.conventions import Modality
from semantiseg.data.case import Origin
from semantiseg.errors import DataError

ABDOMEN_HU = (-150.0, 250.0)
"""Soft tissue of the abdomen; BiomedParse's window of that name (`inference_utils/processing_utils.py`)."""

LUNG_HU = (-1000.0, 400.0)
"""From air to soft tissue, so that nodules in lung, chest wall and mediastinum all show contrast."""

MR_PERCENTILES = (0.5, 99.5)
"""Of the voxels that are not 0, per volume: MR has no unit (Task04's scans differ by three orders of magnitude)."""

BODY_HU = -300.0
"""Between air (with lung and bowel gas) and fat, for finding the outline of the body."""

_MR_BODY = 0.1
"""Share of the MR window above which a voxel is body rather than noise in air."""


def window(
    image: NDArray[np.float32], *, modality: Modality, origin: Origin, leaves: Collection[str]
) -> tuple[float, float]:
    """Lowest and highest shown intensity, in the image's own unit.

    CT is windowed by site: lung where a lung label is declared, abdomen else. A user's CT without any negative value is
    not in HU: up to 255 it was rescaled to 8 bits, up to 1 to the unit interval, and that whole range is the window.

    Raises:
        DataError: the window would be empty.
    """
    if modality == "CT":
        top = rescaled_top(image) if origin == "user" else None
        if top is not None:
            return 0.0, top
        return LUNG_HU if any("lung" in leaf for leaf in leaves) else ABDOMEN_HU
    low, high = np.percentile(image[image != 0], MR_PERCENTILES)
    if not low < high:
        raise DataError(
            f"expected varied MR intensities, got {low:g} at both the {MR_PERCENTILES[0]} and the {MR_PERCENTILES[1]} "
            "percentile of the "
            "voxels that are not 0. Export the image again or leave out the case."
        )
    return float(low), float(high)


def rescaled_top(image: NDArray[np.float32]) -> float | None:
    """1 or 255 for a CT that was rescaled to [0, 1] or to 8 bits, None for Hounsfield units (air is -1000)."""
    low, high = float(image.min()), float(image.max())
    if low < 0 or high > 255:
        return None
    return 1.0 if high <= 1 else 255.0


def shown(image: NDArray[np.float32], limits: tuple[float, float]) -> NDArray[np.float32]:
    """The image with its window mapped to [0, 1], clipped."""
    low, high = limits
    result = image - np.float32(low)
    result /= np.float32(high - low)
    return np.clip(result, 0, 1, out=result)


def body_threshold(image: NDArray[np.float32], limits: tuple[float, float], *, modality: Modality) -> float:
    """Intensity above which a voxel belongs to the body."""
    if modality == "MR":
        return limits[0] + _MR_BODY * (limits[1] - limits[0])
    if limits[0] >= 0:
        # Rescaled CT: the scale is unknown, and outside the scanner's circle everything has the lowest value.
        return float(threshold_otsu(image[image > image.min()]))
    return BODY_HU


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
