"""Layers inside and outside a mask, as thick as asked for: what a region is compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Mask


def shell(mask: Mask, *, low: float, high: float) -> Mask:
    """Voxels whose centre is from `low` to `high` voxels away from the nearest voxel of the mask.

    The same as a Euclidean distance transform between these limits, which finds all distances however far: on boxes
    of organs it takes five times as long.

    Args:
        mask: `[D, H, W]`.
        low, high: in voxels, above 0; `high` below 180.
    """
    reach = int(high)
    # Squared distances are whole numbers, so what is farther is one number above the limit.
    far = (reach + 1) ** 2
    squared = np.where(mask, 0, far).astype(np.uint16)
    for axis in range(mask.ndim):
        squared = _spread_along(squared, axis, reach=reach)
    return (squared >= low**2) & (squared <= high**2) & ~mask


def eroded(mask: Mask, *, beyond: bool = False) -> Mask:
    """The mask without the voxels that share a face with the outside; `beyond`: whether the mask goes on past the
    array."""
    inner = np.pad(mask, 1, constant_values=beyond)
    kept = inner[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            kept &= inner[tuple(slice(start if at == axis else 1, (start if at == axis else 1) + size)
                                for at, size in enumerate(mask.shape))]  # fmt: skip
    return kept


def _spread_along(squared: NDArray[np.uint16], axis: int, *, reach: int) -> NDArray[np.uint16]:
    """Least of `squared[x + k] + k ** 2` along an axis, `k` up to `reach`."""
    source = np.moveaxis(squared, axis, 0)
    least = squared.copy()
    target = np.moveaxis(least, axis, 0)
    for step in range(1, min(reach, len(source) - 1) + 1):
        moved = source + np.uint16(step**2)
        np.minimum(target[:-step], moved[step:], out=target[:-step])
        np.minimum(target[step:], moved[:-step], out=target[step:])
    return least
