"""Picture files of others: only the formats that are asked for, and none too large, whatever their names say.

Read one image or label map of any format that is understood, by the checked reader of that format.

NIfTI is told by content, the others by name: MHA and NRRD and DICOM series through SimpleITK, pictures (PNG, TIFF, ...)
through Pillow. All give values in file order `[I, J]`, `[I, J, K]` or `[I, J, K, C]` and a `Geometry` in RAS mm.
"""

from __future__ import annotations

import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from semantiseg import limits
from semantiseg.data import nifti
from semantiseg.data.case import FileRefused
from semantiseg.data.header import Affine, Geometry, require_bounded, require_usable_grid
from semantiseg.errors import DataError

_UNREADABLE = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files, by its own tests and by fuzzing."""


@contextmanager
def opened_picture(path: Path, *, formats: Sequence[str]) -> Iterator[Image.Image]:
    """A picture, decoded whole.

    Args:
        path: the file.
        formats: Pillow's names of the formats allowed. Without them Pillow tries every decoder on any file: an EPS
            named `.png` would be run by Ghostscript.

    Raises:
        DataError: no file, another format, damaged, or larger than `limits.PIXELS`; the size is judged by the header,
            before anything is decoded.
    """
    kinds = " or ".join(formats)
    try:
        with warnings.catch_warnings():
            # Pillow's own bound is global: it warns above it and refuses twice as much, before we see the size.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = limits.PIXELS.most
            image = Image.open(path, formats=tuple(formats))
        with image:
            limits.PIXELS.require(str(path), image.size)
            image.load()
            yield image
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: expected at most {limits.PIXELS.most} pixels, got more than twice as many. If that is right, set "
            f"the environment variable {limits.PIXELS.variable} to a larger number."
        ) from None
    except _UNREADABLE as error:
        raise DataError(f"{path}: expected a complete {kinds} file, got {error}. Write it again.") from None


PICTURES = (".png", ".tif", ".tiff", ".bmp", ".jpg", ".jpeg")
"""Endings that are read through Pillow."""
ITK = (".mha", ".nrrd")
DETACHED = (".mhd", ".nhdr")
"""Headers whose voxels lie in another file: copied without it they are worth nothing."""

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_AGAIN = "Fetch or convert the file again, for example to .nii.gz."


def read(path: Path) -> tuple[NDArray, Geometry]:
    """Values in file order and where they lie; `path` is a file, or a folder with the slices of one DICOM series.

    Raises:
        FileRefused: the file is missing, damaged, of no known format, or its geometry cannot be used.
    """
    if os.path.isdir(path):
        return _read_itk(path, _dicom)
    ending = path.suffix.lower()
    if ending in DETACHED:
        raise FileRefused(path, "expected header and voxels in one file, got a header alone", "Write .mha or .nrrd.")
    if ending in (*PICTURES, *ITK) and not os.path.isfile(path):
        raise FileRefused(path, "expected an image file, got none", "Fetch the collection again.")
    if ending in ITK:
        return _read_itk(path, _one_file)
    return _read_picture(path) if ending in PICTURES else nifti.read(path)


def read_layout(path: Path) -> tuple[tuple[int, ...], Geometry]:
    """Shape of the stored values and where they lie; of a NIfTI file only the header is read.

    Raises:
        FileRefused: as `read`.
    """
    if os.path.isdir(path) or path.suffix.lower() in (*PICTURES, *ITK, *DETACHED):
        values, geometry = read(path)
        return values.shape, geometry
    header = nifti.read_header(path)
    return header.shape, header.geometry


def grid_of(path: Path) -> tuple[tuple[int, ...], Affine] | None:
    """Shape and affine of a file, None where it cannot be used (who reads its voxels says why)."""
    try:
        shape, geometry = read_layout(path)
    except FileRefused:
        return None
    return shape, geometry.affine


def _read_picture(path: Path) -> tuple[NDArray, Geometry]:
    """A picture in radiological view: rows run to posterior, columns to the patient's left, as far as is known."""
    try:
        with opened_picture(path, formats=("PNG", "TIFF", "BMP", "JPEG")) as picture:
            # A palette's numbers are its colours' places: label maps are stored so.
            values = np.asarray(picture)
    except DataError as error:
        raise FileRefused(path, str(error).removeprefix(f"{path}: "), _AGAIN) from None
    if values.ndim == 3 and values.shape[2] in (3, 4) and (values[..., :3] == values[..., :1]).all():
        values = values[..., 0]  # grey stored as RGB
    if values.ndim != 2:
        raise FileRefused(
            path, f"expected a grey picture, got shape {values.shape} (colour)", "Save it as a grey picture."
        )
    notes = ("a picture has no voxel size and no directions, so no length is measured and no side is asked",)
    geometry = Geometry(np.diag([-1.0, -1.0, 1.0, 1.0]), "none", sides_known=False, spacing_known=False, notes=notes)
    return values.T, geometry


def _read_itk(path: Path, load: Any) -> tuple[NDArray, Geometry]:
    try:
        import SimpleITK as sitk
    except ModuleNotFoundError:
        raise FileRefused(
            path, "expected SimpleITK to read this format, got no such package", "Run `pip install SimpleITK`."
        ) from None
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        image = load(sitk, path)
        values = sitk.GetArrayFromImage(image)
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        raise FileRefused(path, f"expected an image that SimpleITK reads, got {reason}", _AGAIN) from None
    several = image.GetNumberOfComponentsPerPixel() > 1
    axes = tuple(range(image.GetDimension()))[::-1]
    values = values.transpose((*axes, values.ndim - 1) if several else axes)
    if not values.size:
        raise FileRefused(path, f"expected voxels, got shape {values.shape}", _AGAIN)
    affine = _affine(image)
    require_usable_grid(affine, values.shape[:3], path=path)
    return values, Geometry(affine)


def _one_file(sitk: Any, path: Path) -> Any:
    reader = sitk.ImageFileReader()
    # Named, for ITK tells formats by endings in small letters.
    reader.SetImageIO("MetaImageIO" if path.suffix.lower() == ".mha" else "NrrdImageIO")
    reader.SetFileName(os.fspath(path))
    reader.ReadImageInformation()
    require_bounded(tuple(reader.GetSize()), path=path)
    return reader.Execute()


def _dicom(sitk: Any, path: Path) -> Any:
    series = sitk.ImageSeriesReader.GetGDCMSeriesIDs(os.fspath(path))
    if len(series) != 1:
        raise FileRefused(
            path, f"expected the slices of one DICOM series, got {len(series)} series", "Keep one series a folder."
        )
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(os.fspath(path), series[0]))
    return reader.Execute()


def _affine(image: Any) -> NDArray[np.float64]:
    """ITK's origin, spacing and directions (LPS mm) as an affine to RAS mm; a 2D image gets a third axis of 1 mm."""
    count = min(image.GetDimension(), 3)
    full = image.GetDimension()
    directions = np.asarray(image.GetDirection(), np.float64).reshape(full, full)[:count, :count]
    affine = np.eye(4)
    affine[:count, :count] = directions * np.asarray(image.GetSpacing(), np.float64)[:count]
    affine[:count, 3] = np.asarray(image.GetOrigin(), np.float64)[:count]
    return _LPS_TO_RAS @ affine
