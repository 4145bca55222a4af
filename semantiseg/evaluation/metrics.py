"""Scores of one answer against one target, both binary masks `[H, W]` of one slice.

Conventions for empty masks, so that a missed structure never vanishes from a mean:

| answer, target | Dice | IoU | NSD | HD95 |
|---|---|---|---|---|
| both empty | 1 | 1 | 1 | 0 mm |
| one empty | 0 | 0 | 0 | the slice's diagonal in mm, the largest distance that the picture allows |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from semantiseg.conventions import Mask
from semantiseg.errors import DataError

_PERCENTILE = 95.0


@dataclass(frozen=True)
class Score:
    """How one answer compares with its target; Dice, IoU and NSD in [0, 1], the distance in mm."""

    dice: float
    iou: float
    nsd: float
    hd95_mm: float


def _check(answer: NDArray, target: NDArray) -> None:
    for name, mask in (("answer", answer), ("target", target)):
        if mask.dtype != np.bool_ or mask.ndim != 2:
            raise DataError(
                f"{name}: expected a boolean mask [H, W], got {mask.dtype} of shape {mask.shape}. "
                "Threshold probabilities and cut volumes into slices first."
            )
    if answer.shape != target.shape:
        raise DataError(
            f"answer: expected the target's shape {target.shape}, got {answer.shape}. Resample the answer to the slice."
        )


def dice(answer: Mask, target: Mask) -> float:
    """Dice coefficient 2|A n T| / (|A| + |T|) of two masks `[H, W]`; 1 if both are empty."""
    _check(answer, target)
    total = int(np.count_nonzero(answer)) + int(np.count_nonzero(target))
    if total == 0:
        return 1.0
    return 2.0 * int(np.count_nonzero(answer & target)) / total


def iou(answer: Mask, target: Mask) -> float:
    """Intersection over union of two masks `[H, W]`; 1 if both are empty."""
    _check(answer, target)
    union = int(np.count_nonzero(answer | target))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(answer & target)) / union


def _contour(mask: Mask) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Contour elements of a mask whose border is background, as DeepMind's surface-distance defines them.

    An element sits on a corner shared by four pixels that are not all alike. Its length in pixels depends on which of
    them are set: half a diagonal for one or three, one edge for two neighbours, two half diagonals for two opposite
    pixels.

    Returns:
        corners `[N, 2]` (row, column) and their lengths `[N]`, both in pixels.
    """
    ones = mask.astype(np.uint8)
    top_left, top_right, bottom_left, bottom_right = ones[:-1, :-1], ones[:-1, 1:], ones[1:, :-1], ones[1:, 1:]
    set_pixels = top_left + top_right + bottom_left + bottom_right
    opposite = (set_pixels == 2) & (top_left == bottom_right)
    half_diagonal = np.sqrt(2.0) / 2.0
    length = np.array([0.0, half_diagonal, 1.0, half_diagonal, 0.0])[set_pixels]
    length[opposite] = 2.0 * half_diagonal
    corners = np.argwhere(length > 0)
    return corners, length[length > 0]


def _edge_pixels(mask: Mask) -> NDArray[np.int64]:
    """Pixels `[N, 2]` of a mask (border background) that have a background pixel as one of their four neighbours."""
    inner = mask[1:-1, 1:-1]
    surrounded = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return np.argwhere(inner & ~surrounded)


def _distances(points: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.float64]:
    """Euclidean distance in pixels from each of `points` `[N, 2]` to the nearest of `others` `[M, 2]`."""
    return KDTree(others).query(points)[0]


def _crop(answer: Mask, target: Mask) -> tuple[Mask, Mask]:
    """Both masks cut to their common bounding box with a border of one background pixel; neither changes its
    contour."""
    either = answer | target
    rows, columns = np.flatnonzero(either.any(axis=1)), np.flatnonzero(either.any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    return np.pad(answer[box], 1), np.pad(target[box], 1)


def nsd(answer: Mask, target: Mask, *, spacing_mm: float, tolerance_mm: float) -> float:
    """Normalised surface Dice of two masks `[H, W]` of square pixels: the share of both contours, by length, that lies
    within `tolerance_mm` of the other contour (Nikolov et al. 2018, arXiv:1809.04430; contour elements as in DeepMind's
    surface-distance, which is MONAI's `use_subvoxels=True`). Both empty 1, one empty 0.
    """
    _check(answer, target)
    if not answer.any() or not target.any():
        return float(answer.any() == target.any())
    (points_a, length_a), (points_t, length_t) = (_contour(mask) for mask in _crop(answer, target))
    near_a = _distances(points_a, points_t) * spacing_mm <= tolerance_mm
    near_t = _distances(points_t, points_a) * spacing_mm <= tolerance_mm
    return float((length_a[near_a].sum() + length_t[near_t].sum()) / (length_a.sum() + length_t.sum()))


def hd95(answer: Mask, target: Mask, *, spacing_mm: float) -> float:
    """95th percentile Hausdorff distance in mm of two masks `[H, W]` of square pixels: the larger of the two directed
    percentiles over edge pixels, linearly interpolated (MONAI's definition). Both empty 0; one empty the slice's
    diagonal.
    """
    _check(answer, target)
    if not answer.any() and not target.any():
        return 0.0
    if not answer.any() or not target.any():
        return float(np.hypot(*answer.shape)) * spacing_mm
    edge_a, edge_t = (_edge_pixels(mask) for mask in _crop(answer, target))
    directed = [np.percentile(_distances(a, b), _PERCENTILE) for a, b in ((edge_a, edge_t), (edge_t, edge_a))]
    return float(max(directed)) * spacing_mm


def score(answer: Mask, target: Mask, *, spacing_mm: float, nsd_tolerance_mm: float) -> Score:
    """All scores of one answer `[H, W]` against its target `[H, W]`; conventions for empty masks stand in the module's
    table.

    Args:
        spacing_mm: edge of a (square) pixel.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.

    Raises:
        DataError: a mask is not boolean `[H, W]`, or the shapes differ.
    """
    return Score(
        dice=dice(answer, target),
        iou=iou(answer, target),
        nsd=nsd(answer, target, spacing_mm=spacing_mm, tolerance_mm=nsd_tolerance_mm),
        hd95_mm=hd95(answer, target, spacing_mm=spacing_mm),
    )
