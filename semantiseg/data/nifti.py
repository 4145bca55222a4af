"""Read NIfTI files and refuse what cannot be used. Arrays here are in file order `[I, J, K]`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from semantiseg.data.case import Channel
from semantiseg.errors import DataError

Affine = NDArray[np.float64]

GRID_TOLERANCE = 0.1
"""Image and label lie on one grid when no corner differs by more than this share of the smallest voxel edge."""

_FEW_NUMBERS = 16
"""Highest label number up to which looking for each by itself is faster than counting all."""


def read(path: Path) -> tuple[NDArray, Affine]:
    """Scaled values (in the file's own precision where it stores no scale) and the 4 x 4 affine to RAS millimetres.

    Raises:
        DataError: the file is missing, truncated, not NIfTI, or its affine is unusable.
    """
    try:
        image = nib.load(path)
        if not isinstance(image, nib.Nifti1Image):
            raise ImageFileError(f"a {type(image).__name__}")
        values = np.asanyarray(image.dataobj)
    except FileNotFoundError:
        raise DataError(f"{path}: expected a NIfTI file, got none. Fetch the collection again.") from None
    except (ImageFileError, HeaderDataError, EOFError, OSError, ValueError, zlib.error) as error:
        raise DataError(
            f"{path}: expected a complete NIfTI file, got {error or type(error).__name__}. Fetch or convert the file "
            "again."
        ) from None
    if not values.size:
        raise DataError(f"{path}: expected voxels, got shape {values.shape}. Fetch or convert the file again.")
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(
            f"{path}: expected an invertible affine, got {affine.tolist()}. Correct the header's sform or qform."
        )
    return values, affine


def grid_of(path: Path) -> tuple[tuple[int, ...], Affine] | None:
    """Shape and affine as a file's header says them, None where there is no readable header; no voxel is read."""
    try:
        image = nib.load(path)
        return image.shape, np.asarray(image.affine, dtype=np.float64)
    except (ImageFileError, HeaderDataError, EOFError, OSError, ValueError, zlib.error):
        return None


def image_values(values: NDArray, channel: Channel) -> NDArray[np.float32]:
    """The 3D image of one channel, checked.

    Raises:
        DataError: wrong number of axes or channels, values that are not finite, or one value everywhere.
    """
    if channel.index is not None or (values.ndim == 4 and values.shape[3] == channel.channels_in_file):
        if values.ndim != 4 or values.shape[3] != channel.channels_in_file:
            raise DataError(
                f"{channel.path}: expected a 4D image with {channel.channels_in_file} channels, got shape "
                f"{values.shape}. "
                "Correct the file or the entry 'modality' of dataset.json."
            )
        values = values[..., channel.index or 0]
    if values.ndim != 3:
        raise DataError(
            f"{channel.path}: expected a 3D image, got shape {values.shape}. "
            "Write one 3D file a case, or list every channel under 'modality' in dataset.json."
        )
    if values.dtype.kind not in "iuf":
        raise DataError(
            f"{channel.path}: expected real numbers, got {values.dtype}. Convert the image to int16 or float32."
        )
    image = values.astype(np.float32)
    if values.dtype.kind == "f" and not np.isfinite(image).all():
        count = int((~np.isfinite(image)).sum())
        raise DataError(
            f"{channel.path}: expected finite intensities, got {count} NaN or infinite voxels. Repair or leave out the "
            "case."
        )
    if image.min() == image.max():
        raise DataError(
            f"{channel.path}: expected an image, got {image.min():g} in every voxel. Export it again or leave out the "
            "case."
        )
    return image


def label_values(values: NDArray, *, known: Iterable[int], path: Path, described_in: str) -> NDArray[np.uint8]:
    """The label map, checked against the numbers that the collection names (0 is always known).

    Raises:
        DataError: wrong number of axes, NaN, fractions, or numbers that nothing names.
    """
    if values.ndim == 4 and values.shape[3] == 1:
        values = values[..., 0]
    if values.ndim != 3:
        raise DataError(
            f"{path}: expected a 3D label map, got shape {values.shape}. Write one number a voxel in a 3D file."
        )
    if values.dtype.kind == "f":
        if np.isnan(values).any():
            raise DataError(f"{path}: expected whole label numbers, got NaN. Export the label map again as uint8.")
        if (values != np.rint(values)).any():
            fraction = values[values != np.rint(values)].flat[0]
            raise DataError(
                f"{path}: expected whole label numbers, got {fraction:g}. Resample label maps with nearest neighbour."
            )
    elif values.dtype.kind not in "iub":
        raise DataError(f"{path}: expected whole label numbers, got {values.dtype}. Export the label map as uint8.")
    # Signed zeros and -1 must be told before the cast to uint8 wraps them.
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        raise DataError(
            f"{path}: expected label numbers from 0 to 255, got {low:g} to {high:g}. Correct the label map."
        )
    labels = values.astype(np.uint8)
    unnamed = sorted(set(present(labels)) - set(known) - {0})
    if unnamed:
        raise DataError(
            f"{path}: expected the labels that {described_in} names ({sorted(known)}), got also {unnamed}. Name them "
            "there."
        )
    return labels


def present(labels: NDArray[np.uint8]) -> list[int]:
    """Label numbers that occur, sorted, without background."""
    highest = int(labels.max(initial=0))
    if highest <= _FEW_NUMBERS:
        # A pass a number reads a byte a voxel; bincount widens its input to 64 bits.
        return [number for number in range(1, highest + 1) if (labels == number).any()]
    flat = labels.ravel(order="K")
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, flat.size, 1 << 22):
        counts += np.bincount(flat[start : start + (1 << 22)], minlength=256)
    return [int(number) for number in np.flatnonzero(counts) if number]


def require_same_grid(
    image_shape: tuple[int, ...],
    image_affine: Affine,
    label_shape: tuple[int, ...],
    label_affine: Affine,
    *,
    image: Path,
    label: Path,
) -> None:
    """Stop unless both arrays cover the same voxels (tolerance: `GRID_TOLERANCE`).

    Raises:
        DataError: shape or affine differ.
    """
    if image_shape != label_shape:
        raise DataError(
            f"{image} and {label}: expected one shape, got {image_shape} and {label_shape}. Resample one to the other."
        )
    corners = np.array([[*corner, 1] for corner in product(*((0, size - 1) for size in image_shape))], dtype=np.float64)
    apart = np.linalg.norm(((image_affine - label_affine) @ corners.T)[:3], axis=0).max()
    edge = np.linalg.norm(image_affine[:3, :3], axis=0).min()
    if apart > GRID_TOLERANCE * edge:
        raise DataError(
            f"{image} and {label}: expected one affine, got corners up to {apart:.3g} mm apart (at most "
            f"{GRID_TOLERANCE} voxel is let pass). "
            "Copy the right header to the other file, or resample."
        )
