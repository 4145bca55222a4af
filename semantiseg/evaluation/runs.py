"""Binary masks as run lengths: row-major, starting with background, so that every mask has one spelling."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Mask
from semantiseg.errors import DataError


def encode(mask: Mask) -> NDArray[np.int64]:
    """Run lengths of a boolean mask `[H, W]` in row-major order; the first counts background pixels and may be 0."""
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise DataError(
            f"mask: expected a boolean mask [H, W], got {mask.dtype} of shape {mask.shape}. Threshold it first."
        )
    flat = mask.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate(([0], changes, [flat.size]))
    lengths = np.diff(bounds).astype(np.int64)
    return np.concatenate(([0], lengths)) if flat.size and flat[0] else lengths


def decode(runs: Sequence[int] | NDArray[np.integer], *, height: int, width: int) -> Mask:
    """The boolean mask `[H, W]` that `encode` turned into `runs`.

    Raises:
        DataError: a run is negative, or the runs do not add up to `height * width`.
    """
    lengths = np.asarray(runs, dtype=np.int64)
    if (lengths < 0).any() or lengths.sum() != height * width:
        raise DataError(
            f"runs: expected non-negative lengths that add up to {height} x {width} = {height * width}, got a sum of "
            f"{int(lengths.sum())} and a smallest run of {int(lengths.min(initial=0))}. The mask belongs to another "
            "slice or is damaged."
        )
    values = np.arange(lengths.size) % 2 == 1
    return np.repeat(values, lengths).reshape(height, width)
