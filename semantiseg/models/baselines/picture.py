"""Pictures as the baselines take them: RGB in 8 bits, whatever they were stored as."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Slice, radiological
from semantiseg.data import picture_file
from semantiseg.errors import ModelError

Picture = NDArray[np.uint8]
"""`[H, W, 3]`, RGB, rows from the top of the picture; medical slices in radiological convention."""


def as_picture(pixels: NDArray) -> Picture:
    """A picture from grey or RGB pixels.

    Args:
        pixels: `[H, W]` or `[H, W, 3]`; uint8 as it is, uint16 from its own minimum to its maximum (BiomedParse's rule
            for what exceeds 8 bits; window a CT first), floats in [0, 1].

    Raises:
        ModelError: another shape or type, an empty picture, or floats outside [0, 1].
    """
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ModelError(
            f"picture: expected [H, W] or [H, W, 3], got {list(pixels.shape)}. Drop alpha, give one slice."
        )
    if pixels.dtype == np.uint16:
        low, high = int(pixels.min()), int(pixels.max())
        pixels = np.round((pixels.astype(np.float32) - low) * (255 / max(high - low, 1))).astype(np.uint8)
    elif np.issubdtype(pixels.dtype, np.floating):
        if not (pixels.min() >= -1e-3 and pixels.max() <= 1 + 1e-3):  # also true for NaN
            raise ModelError(
                f"picture: expected floats in [0, 1], got {pixels.min()} to {pixels.max()}. Apply the modality's "
                "window."
            )
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise ModelError(f"picture: expected uint8, uint16 or floats, got {pixels.dtype}. Convert it.")
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def read_picture(path: Path) -> Picture:
    """A picture from a PNG or JPEG file: grey, RGB, palette or 16-bit.

    Raises:
        DataError: no file, none that Pillow can read whole, or one larger than `limits.PIXELS`.
    """
    with picture_file.opened(path, formats=("PNG", "JPEG")) as image:
        if image.mode.startswith("I"):  # 16-bit greys; some decoders hand them over in 32 bits
            return as_picture(np.asarray(image).astype(np.uint16))
        return as_picture(np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")))


def slice_picture(image: Slice) -> Picture:
    """A prepared slice `[H, W]` (rows to anterior, columns to the right) as the picture that a radiologist has, and
    every baseline's training set: anterior up, the patient's right on the left.

    Raises:
        ModelError: not a slice, or outside [0, 1].
    """
    if np.ndim(image) != 2:
        raise ModelError(
            f"image: expected one slice [H, W], got {list(np.shape(image))}. Give one slice of one channel."
        )
    return as_picture(np.ascontiguousarray(radiological(np.asarray(image, dtype=np.float32))))
