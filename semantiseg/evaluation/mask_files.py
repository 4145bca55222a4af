"""One predicted mask from a file or from run lengths, checked against the slice that was asked about.

All become `[H, W]` on the prepared slice: rows to anterior, columns to the patient's right, as
`VolumeStore.image_slice` gives the image.
"""

from __future__ import annotations

import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from semantiseg import limits
from semantiseg.conventions import Mask
from semantiseg.data import picture_file
from semantiseg.data.nifti import GRID_TOLERANCE
from semantiseg.errors import DataError
from semantiseg.evaluation.benchmark import Benchmark

SUFFIXES = (".png", ".nii.gz", ".nii")


def read_mask(path: Path, prompt_id: str, benchmark: Benchmark) -> Mask:
    """The mask `[H, W]` that a PNG or NIfTI file gives as answer to a prompt.

    Raises:
        DataError: the file cannot be read, has another shape or affine, or holds anything but two values.
    """
    shape = benchmark.shown(prompt_id).labels.shape
    values = _png(path) if path.name.endswith(".png") else _nifti(path, prompt_id, benchmark)
    if values.shape != shape:
        raise DataError(
            f"{path}: expected a mask of {shape[0]} x {shape[1]} pixels (rows x columns of the prepared slice), got "
            f"{' x '.join(map(str, values.shape))}. Resample it to the slice with nearest neighbour."
        )
    return binary(values, str(path))


def binary(values: NDArray, name: str) -> Mask:
    """Values as a mask: 0 and 1, or 0 and 255.

    Raises:
        DataError: NaN, probabilities, label numbers, or no numbers at all.
    """
    if values.dtype == np.bool_:
        return values
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected a mask of numbers, got {values.dtype}. Write 0 and 1.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise DataError(f"{name}: expected a mask of 0 and 1, got {count} NaN or infinite values. Repair the model.")
    found = np.unique(values)
    if not (np.isin(found, (0, 1)).all() or np.isin(found, (0, 255)).all()):
        fractions = bool((found != np.rint(found)).any())
        what, remedy = (
            ("probabilities", "Threshold them first.")
            if fractions
            else ("label numbers or grey levels", "Write one mask of 0 and 1 (or 0 and 255) a prompt.")
        )
        raise DataError(
            f"{name}: expected a mask of 0 and 1 (or 0 and 255), got {what}: {len(found)} values from {found[0]:g} to "
            f"{found[-1]:g}. {remedy}"
        )
    return values != 0


def _png(path: Path) -> NDArray:
    with picture_file.opened(path, formats=("PNG",)) as image:
        mode = image.mode
        # As booleans, Pillow's one-bit pixels hold 255 where NumPy expects 1.
        values = np.asarray(image.convert("L") if mode == "1" else image)
    if values.ndim != 2 or mode == "P":
        raise DataError(f"{path}: expected a PNG of one grey channel, got mode {mode}. Save it as 8-bit grey or 1-bit.")
    return values


def _nifti(path: Path, prompt_id: str, benchmark: Benchmark) -> NDArray:
    """The asked slice of a volume, or a single slice, brought to the prepared grid by its affine."""
    try:
        image = nib.load(path)
        # What the header asks for is allocated with the first look at the voxels.
        limits.VOXELS.require(str(path), image.shape)
        if len(image.shape) == 2:
            image = nib.Nifti1Image(np.asanyarray(image.dataobj)[..., None], image.affine)
        image = nib.as_closest_canonical(image)
        values = np.asanyarray(image.dataobj)
    except (ImageFileError, HeaderDataError, EOFError, OSError, ValueError, zlib.error, np.linalg.LinAlgError) as error:
        raise DataError(f"{path}: expected a complete NIfTI file, got {error}. Write it again.") from None
    if values.ndim != 3:
        raise DataError(f"{path}: expected one slice or one volume, got shape {values.shape}. Write one mask a prompt.")
    index, affine = int(benchmark.test[prompt_id].slice), benchmark.affine(prompt_id)
    single = values.shape[2] == 1
    if not single and values.shape[2] != benchmark.depth(prompt_id):
        raise DataError(
            f"{path}: expected 1 axial slice or the {benchmark.depth(prompt_id)} of the prepared volume, got "
            f"{values.shape[2]}. Save the mask on the prepared volume's grid."
        )
    if single:
        affine = affine @ _moved(index)
    corners = np.array([[w, h, d, 1.0] for w in (0, values.shape[0]) for h in (0, values.shape[1]) for d in (0, 1)])
    apart = float(np.linalg.norm(((image.affine - affine) @ corners.T)[:3], axis=0).max())
    # Written so that a NaN does not pass.
    if not apart <= GRID_TOLERANCE * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
        raise DataError(
            f"{path}: expected the affine of prepared volume {benchmark.test[prompt_id].volume_id}"
            f"{f', slice {index}' if single else ''}, got corners up to {apart:.3g} mm away. Copy the affine that "
            "VolumeStore.affine gives, or resample."
        )
    return values[:, :, 0 if single else index].T


def _moved(slices: int) -> NDArray[np.float64]:
    step = np.eye(4)
    step[2, 3] = slices
    return step
