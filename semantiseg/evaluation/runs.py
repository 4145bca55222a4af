"""Binary masks as run lengths: row-major, starting with background, so that every mask has one spelling."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semantiseg import limits
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

    Every length is held against the picture before any are added: sums of 64-bit lengths wrap around, and
    `np.repeat` then writes past its buffer.

    Raises:
        DataError: the picture is larger than `limits.PIXELS`; a run is no whole number, negative or longer than the
            picture, or the runs do not add up to `height * width`.
    """
    picture = (_whole(height), _whole(width))
    limits.PIXELS.require("runs", (max(edge, 1) for edge in picture))
    pixels, lengths = picture[0] * picture[1], _lengths(runs)
    # An unsigned or short type compares, and adds, as Python's whole numbers only within its own range.
    low, high = (int(lengths.min()), int(lengths.max())) if lengths.size else (0, 0)
    fits = 0 <= low and high <= pixels and lengths.size <= 2 * pixels + 2
    total = int(lengths.astype(np.int64).sum()) if fits else None
    if total != pixels:
        found = f"a sum of {total}" if fits else f"{lengths.size} runs"
        raise DataError(
            f"runs: expected non-negative lengths that add up to {picture[0]} x {picture[1]} = {pixels}, got {found}, "
            f"the smallest {low} and the largest {high}. The mask belongs to another slice or is damaged."
        )
    values = np.arange(lengths.size) % 2 == 1
    return np.repeat(values, lengths.astype(np.int64)).reshape(picture)


def _lengths(runs: Sequence[int] | NDArray[np.integer]) -> NDArray[np.integer]:
    try:
        lengths = np.asarray(runs)
    except (ValueError, TypeError, OverflowError) as error:
        raise DataError(f"runs: expected a list of whole numbers, got {error}. Encode the mask again.") from None
    lengths = lengths if lengths.size else np.zeros(0, dtype=np.int64)
    if lengths.ndim != 1 or lengths.dtype.kind not in "iu":
        raise DataError(
            f"runs: expected a list of whole numbers below 2^63, got {lengths.dtype} of shape {lengths.shape}. Encode "
            "the mask again."
        )
    return lengths


def _whole(size: int) -> int:
    """A picture's edge: NaN, text and negative numbers come from spoiled tables."""
    edge = operator.index(size) if hasattr(size, "__index__") else -1
    if edge < 0:
        raise DataError(
            f"runs: expected a picture's height and width in whole pixels, got {str(size)[:40]!r}. It is damaged."
        )
    return edge
