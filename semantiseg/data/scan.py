"""One unlabelled image as the models see it, and the way back: an answer on that grid in the file's own geometry."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, io_orientation, ornt_transform
from numpy.typing import NDArray
from PIL import Image

from semantiseg.conventions import Modality
from semantiseg.data import dicom_segmentation, grid, image_file, nifti, window
from semantiseg.data.case import Channel
from semantiseg.data.header import Affine, Geometry
from semantiseg.data.intensity import Intensity, Stated, modality_of, recognise
from semantiseg.errors import DataError
from semantiseg.extras import lacking

Site = Literal["abdomen", "lung"]
"""Window of a CT; see `data/window.py`."""

_RAS = np.array([[0, 1], [1, 1], [2, 1]])


@dataclass(frozen=True)
class Scan:
    """A prepared image and where it came from.

    Attributes:
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        intensity: CT or MR, on which scale, by what evidence, and which intensities are shown.
        spacing_mm: voxel edge (a single slice keeps its thickness).
        midline: column of the mid-sagittal plane.
        path: the file.
        shape: of the file's image, one channel: `[I, J]` or `[I, J, K]`.
        geometry: where the file's voxels lie.
        positions: for each axis (d, h, w), where its samples lie in voxels of the turned file.
    """

    image: NDArray[np.float32]
    intensity: Intensity
    spacing_mm: float
    midline: float
    path: Path
    shape: tuple[int, ...]
    geometry: Geometry
    positions: tuple[NDArray[np.float64], ...]

    def in_file_order(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Probabilities `[D, H, W]` on the prepared grid, interpolated at the file's voxels, in the file's shape."""
        size = self.shape if len(self.shape) == 3 else (*self.shape, 1)
        orientation = io_orientation(self.affine)
        turned = apply_orientation(np.zeros(size, np.bool_), orientation).transpose(2, 1, 0).shape
        back = tuple(_inverse(where, count) for where, count in zip(self.positions, turned, strict=True))
        at_voxels = grid.resample_image(np.asarray(values, np.float32), back).transpose(2, 1, 0)
        return apply_orientation(at_voxels, ornt_transform(_RAS, orientation)).reshape(self.shape)

    @property
    def affine(self) -> Affine:
        """Of the file, 4 x 4, to RAS millimetres."""
        return self.geometry.affine

    @property
    def modality(self) -> Modality:
        """CT or MR."""
        return self.intensity.modality

    @property
    def voxel_ml(self) -> float | None:
        """Volume of one voxel of the file in millilitres; None where the file says no lengths (pictures)."""
        if not self.geometry.spacing_known:
            return None
        return float(abs(np.linalg.det(self.affine[:3, :3]))) / 1000


def _inverse(positions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Where `count` source voxels lie, in samples taken at `positions`."""
    step = positions[1] - positions[0] if len(positions) > 1 else 1.0
    return (np.arange(count) - positions[0]) / step


def read_scan(
    path: Path,
    *,
    modality: Modality | None = None,
    site: Site = "abdomen",
    channel: int | None = None,
    spacing_mm: float = 1.0,
    stated: Stated = "",
) -> Scan:
    """Read an image of any format of `image_file.read` and prepare it as the training images were.

    Args:
        path: the file, or the folder of a DICOM series.
        modality: CT or MR; None takes it for a CT if it holds values below `HOUNSFIELD_BELOW`.
        site: which window a CT gets.
        channel: position along the fourth axis of a multi-channel file.
        spacing_mm: voxel edge that the model was trained with.
        stated: scale of a CT, see `intensity.recognise`; "" recognises it.

    Raises:
        DataError: no usable image, several channels and none chosen, or slices that are not axial pictures.
    """
    values, geometry = image_file.read(path)
    affine = geometry.affine
    values = _one_channel(values, channel, path=path)
    shape = values.shape
    source = Channel(name="image", modality=modality or "CT", path=path)
    image = nifti.image_values(values[..., None] if values.ndim == 2 else values, source)
    kind, why = (modality, "") if modality else modality_of(image)
    try:
        found = recognise(
            image, modality=kind, origin="user", leaves=("lung",) if site == "lung" else (), stated=stated
        )
        found = replace(found, evidence="; ".join(filter(None, (why, found.evidence))))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    turned = grid.to_canonical(image, affine)[0]
    if min(turned.shape[1:]) < 2:
        raise DataError(
            f"{path}: expected axial slices of at least 2 x 2 pixels, got {turned.shape[1:]} (rows, columns) with axes "
            f"{grid.source_axes(affine)}. A single slice must be axial; correct the affine."
        )
    # Where no length is known, pixels stay as they are stored.
    right, anterior, superior = grid.source_spacing(affine) if geometry.spacing_known else (spacing_mm,) * 3
    positions = tuple(
        grid.sampling(size, edge_mm=edge, spacing_mm=spacing_mm)
        for size, edge in zip(turned.shape, (superior, anterior, right), strict=True)
    )
    resampled = grid.resample_image(turned, positions)
    body = resampled > window.body_threshold(image, found)
    return Scan(
        image=window.shown(resampled, found.window), intensity=found, spacing_mm=spacing_mm,
        midline=window.midline(body), path=Path(path), shape=shape, geometry=geometry, positions=positions,
    )  # fmt: skip


def _one_channel(values: NDArray, channel: int | None, *, path: Path) -> NDArray:
    """One channel of the file's values; a fourth axis of length 1 says nothing."""
    if values.ndim == 4 and channel is not None:
        if not 0 <= channel < values.shape[3]:
            raise DataError(f"{path}: expected a channel from 0 to {values.shape[3] - 1}, got {channel}. Choose one.")
        return values[..., channel]
    if values.ndim == 4 and values.shape[3] == 1:
        return values[..., 0]
    if values.ndim not in (2, 3) or channel not in (None, 0):
        several = f"{values.shape[3]} channels" if values.ndim == 4 else f"shape {values.shape}"
        raise DataError(
            f"{path}: expected an image of one channel, [I, J] or [I, J, K], got {several} and channel {channel}. "
            "Choose one channel (--channel), counted from 0."
        )
    return values


NIFTI = (".nii", ".nii.gz")


def check_output(path: Path, *, source: Path, count: int) -> None:
    """Stop unless `count` masks of the image `source` can be written to `path`; looks at the names alone.

    Raises:
        DataError: the name is not that of a NIfTI file, nor, for one mask of a picture, of a PNG, nor, for a DICOM
            series, of a DICOM segmentation.
        ExtraError: a DICOM segmentation is asked for and the extra `dicom` is not installed.
    """
    picture = source.suffix.lower() in image_file.PICTURES and count == 1
    further = (".png",) if picture else (dicom_segmentation.ENDING,) if source.is_dir() else ()
    if str(path).endswith(further) and (without := lacking("dicom")) and not picture:
        raise without
    if not str(path).endswith((*NIFTI, *further)):
        allowed = ".nii or .nii.gz" + "".join(f" (or {ending})" for ending in further)
        raise DataError(f"{path}: expected a name that ends in {allowed}, got another. Rename the output.")


def write_masks(path: Path, masks: NDArray[np.bool_], scan: Scan, *, texts: Sequence[str] = ()) -> None:
    """Write P masks `[P, *scan.shape]` as uint8 in the geometry of the scan's file: NIfTI, PNG of a picture, or a DICOM
    segmentation (.dcm) of a series, whose segments are named by `texts`.

    One mask has the file's own shape; several stand along the fourth axis, in the order of the prompts. In a NIfTI file
    the affine keeps its meaning: codes of a NIfTI source are its own, MHA, NRRD and DICOM are in scanner space, and
    where the source has no affine the answer claims none.

    Raises:
        DataError: the name does not fit, see `check_output`.
    """
    check_output(path, source=scan.path, count=len(masks))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == dicom_segmentation.ENDING:
        names = texts or [f"answer {place}" for place in range(1, len(masks) + 1)]
        dicom_segmentation.write_segmentation(path, masks, names, series=scan.path, affine=scan.affine)
        return
    if path.suffix == ".png":
        Image.fromarray(masks[0].T.astype(np.uint8) * 255).save(path)
        return
    several = np.moveaxis(masks if masks.ndim == 4 else masks[..., None], 0, -1)
    array = (masks[0] if len(masks) == 1 else several).astype(np.uint8)
    codes = _codes(scan.path)
    image = nib.Nifti1Image(array, scan.affine if any(codes.values()) else None)
    for name, code in codes.items():
        if code:  # which space the affine means; viewers overlay images by it
            getattr(image, f"set_{name}")(scan.affine, code=code)
    if not any(codes.values()):
        edges = np.linalg.norm(scan.affine[:3, :3], axis=0)[: array.ndim]
        image.header.set_zooms((*edges, *(1.0,) * (array.ndim - len(edges))))
    if scan.geometry.spacing_known:
        image.header.set_xyzt_units("mm")
    nib.save(image, path)


def _codes(path: Path) -> dict[str, int]:
    """`sform_code` and `qform_code` that the answer to a file gets."""
    names, ending = ("sform", "qform"), path.suffix.lower()
    if path.is_dir() or ending in (*image_file.ITK, *image_file.PICTURES):
        return dict.fromkeys(names, 0 if ending in image_file.PICTURES else 1)
    with path.open("rb") as raw:
        opened = gzip.GzipFile(fileobj=raw) if raw.read(2) == b"\x1f\x8b" else raw
        raw.seek(0)
        block = opened.read(nib.Nifti2Header.sizeof_hdr)
    second = nib.Nifti2Header.sizeof_hdr in (int.from_bytes(block[:4], order) for order in ("little", "big"))
    kind = nib.Nifti2Header if second else nib.Nifti1Header
    header = kind.from_fileobj(io.BytesIO(block), check=False)
    return {name: int(header[f"{name}_code"]) for name in names}
