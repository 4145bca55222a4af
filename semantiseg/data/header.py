"""What a NIfTI header says and whether it can be believed: size, voxel type, scale, units, and the affine's origin.

Numbers that mean nothing are refused by the name of their field. What can be read but not trusted for left and right
(a guessed affine, or two that contradict each other) is read and said, and the case is asked no side.
Fields: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from math import prod
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from semantiseg import limits
from semantiseg.data.case import FileRefused

Affine = NDArray[np.float64]
AffineSource = Literal["sform", "qform", "none", "file"]

MOST_CHANNELS = 64
"""Channels of one file (4D); with `limits.VOXELS` it bounds a file before memory is taken."""
COARSEST_MM, FINEST_MM = 100.0, 0.001
"""Voxel edges from the one on, or below the other, are no image of a patient but a wrong unit."""
SHEAR_TOLERANCE = 0.01
"""Largest cosine between two axes of the grid (0.6 degrees from square; a volume is then 0.005% off)."""
ZOOM_TOLERANCE = 0.01
"""Share by which the edges of the sform may differ from `pixdim` before it is said."""

_UNITS = {0: ("", 1.0), 1: ("metres", 1000.0), 2: ("", 1.0), 3: ("microns", 0.001)}
_HEADER = "Correct the header, or convert the file again."


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a file lie.

    Attributes:
        affine: index in file order to RAS millimetres, 4 x 4, invertible.
        source: field of the header that it comes from; "none" is a guess, "file" another format that always has one.
        sides_known: whether left and right can be told from it.
        spacing_known: False where the file has no lengths (PNG, TIFF); the affine then has edges of 1.
        notes: what the user should know, a clause each.
    """

    affine: Affine
    source: AffineSource = "file"
    sides_known: bool = True
    spacing_known: bool = True
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """What is needed to read a NIfTI file's voxels.

    Attributes:
        shape: all axes of the file, as stored.
        dtype: of the stored numbers, with byte order.
        offset: byte of the (uncompressed) file where they begin.
        scale: slope and intercept, or None where stored numbers are the values.
        geometry: where the voxels lie.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    offset: int
    scale: tuple[float, float] | None
    geometry: Geometry

    @property
    def size(self) -> int:
        """Bytes of the voxels."""
        return prod(self.shape) * self.dtype.itemsize


def judged(block: bytes, *, path: Path) -> Header:
    """The header in a file's first bytes (348 of NIfTI-1, 540 of NIfTI-2).

    Raises:
        FileRefused: it is no NIfTI header, or one of its fields cannot be used.
    """
    fields = _fields(block, path=path)
    shape = _shape(fields, path=path)
    return Header(
        shape=shape,
        dtype=_dtype(fields, path=path),
        offset=_offset(fields, path=path),
        scale=_scale(fields, path=path),
        geometry=_geometry(fields, shape, path=path),
    )


def _fields(block: bytes, *, path: Path) -> Any:
    if path.suffix.lower() in (".img", ".hdr"):
        raise _pair(path)
    kinds = {348: (nib.Nifti1Header, b"n+1\0", 344), 540: (nib.Nifti2Header, b"n+2\0", 4)}
    sizes = [int.from_bytes(block[:4], order, signed=True) for order in ("little", "big")]
    for size, (kind, magic, at) in kinds.items():
        if size in sizes and len(block) >= size:
            if block[at : at + 3] in (b"ni1", b"ni2") or block[at : at + 4] != magic:
                raise _pair(path)
            order = "<" if size == sizes[0] else ">"
            return kind(block[:size], endianness=order, check=False)
    raise FileRefused(
        path, "expected a complete NIfTI file, got something else", "Fetch the file again or convert it to .nii.gz."
    )


def _pair(path: Path) -> FileRefused:
    return FileRefused(
        path,
        "expected a NIfTI file in one piece (.nii or .nii.gz), got half of a pair .hdr/.img (ANALYZE or NIfTI)",
        "Convert the pair, for example by nibabel: nib.save(nib.load('a.img'), 'a.nii.gz').",
    )


def _shape(fields: Any, *, path: Path) -> tuple[int, ...]:
    count = int(fields["dim"][0])
    shape = tuple(int(size) for size in fields["dim"][1 : 1 + max(count, 0)])
    if not 2 <= count <= 7 or min(shape) < 1:
        raise FileRefused(path, f"expected 2 to 7 axes of at least 1 voxel, got dim {fields['dim'].tolist()}", _HEADER)
    require_bounded(shape, path=path)
    return shape


def require_bounded(shape: tuple[int, ...], *, path: Path) -> None:
    """Stop before memory is taken for more than an honest image has.

    Raises:
        FileRefused: too many voxels or channels.
    """
    if prod(shape[:3]) > limits.VOXELS.most or prod(shape[3:]) > MOST_CHANNELS:
        raise FileRefused(
            path,
            f"expected at most {limits.VOXELS.most:,} voxels and {MOST_CHANNELS} channels, got shape {shape}",
            f"Correct or crop the file, or set the environment variable {limits.VOXELS.variable} to a larger number.",
        )


def _dtype(fields: Any, *, path: Path) -> np.dtype:
    try:
        dtype = fields.get_data_dtype()
    except (HeaderDataError, KeyError):
        dtype = np.dtype("V0")
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        code = int(fields["datatype"])
        raise FileRefused(
            path,
            f"expected real numbers, got datatype {code} ({dtype.name if dtype.itemsize else 'unknown'})",
            "Convert the file to int16 or float32 (of a complex image, its magnitude).",
        )
    return dtype


def _offset(fields: Any, *, path: Path) -> int:
    offset = float(fields["vox_offset"])
    if not (np.isfinite(offset) and 0 <= offset < 2**31):
        raise FileRefused(path, f"expected vox_offset from {len(fields.binaryblock)}, got {offset:g}", _HEADER)
    return max(int(offset), len(fields.binaryblock) + 4)


def _scale(fields: Any, *, path: Path) -> tuple[float, float] | None:
    slope, intercept = float(fields["scl_slope"]), float(fields["scl_inter"])
    if slope == 0 or np.isnan(slope):  # the standard's and SPM's way to say "no scale"
        return None
    for name, value in (("scl_slope", slope), ("scl_inter", intercept)):
        if not np.isfinite(value):
            raise FileRefused(path, f"expected a finite {name}, got {value:g}", _HEADER)
    return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)


def _geometry(fields: Any, shape: tuple[int, ...], *, path: Path) -> Geometry:
    names: tuple[AffineSource, ...] = ("sform", "qform")
    forms = {name: matrix for name in names if (matrix := _form(fields, name, path=path)) is not None}
    notes, sides_known = [], True
    source: AffineSource = next(iter(forms), "none")
    affine = forms.get(source, _guess(fields, path=path))
    if source == "none":
        notes.append("sform_code and qform_code are 0: axes are guessed, so no side is asked")
        sides_known = False
    elif len(forms) == 2 and (axes := [_axes(form) for form in forms.values()])[0] != axes[1]:
        notes.append(f"sform ({axes[0]}) and qform ({axes[1]}) contradict each other, so no side is asked")
        sides_known = False
    unit, factor = _unit(fields, path=path)
    if unit:
        notes.append(f"lengths are in {unit} (xyzt_units) and were converted to mm")
    scaled = np.diag([factor, factor, factor, 1.0]) @ _thick(affine, shape)
    require_usable_grid(scaled, shape, path=path)
    return Geometry(scaled, source, sides_known, notes=(*notes, *_zoom_notes(fields, affine, source)))


def _form(fields: Any, name: str, *, path: Path) -> Affine | None:
    """The matrix of `sform` or `qform`, None where its code is 0."""
    if not int(fields[f"{name}_code"]):
        return None
    rows = ("srow_x", "srow_y", "srow_z")
    used = rows if name == "sform" else ("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z")
    for field in used:
        _require_finite(fields[field], field, path=path)
    if name == "sform":
        return np.vstack([*(np.asarray(fields[row], np.float64) for row in rows), [0, 0, 0, 1]])
    quaternion = np.array([float(fields[f"quatern_{letter}"]) for letter in "bcd"])
    if (quaternion**2).sum() > 1 + 1e-4:  # float32 rounding only
        raise FileRefused(
            path,
            f"expected quatern_b, quatern_c and quatern_d of length at most 1, got {quaternion.round(4).tolist()}",
            "Correct the qform, or set qform_code to 0 and give an sform.",
        )
    _pixdim(fields, path=path)
    return np.asarray(fields.get_qform(), np.float64)


def _guess(fields: Any, *, path: Path) -> Affine:
    """nibabel's and SPM's affine for a file that has none."""
    right, anterior, superior = _pixdim(fields, path=path)
    return np.diag([-right, anterior, superior, 1.0])


def _pixdim(fields: Any, *, path: Path) -> tuple[float, float, float]:
    edges = np.asarray(fields["pixdim"][1:4], np.float64)
    _require_finite(edges, "pixdim", path=path)
    first, second, third = (abs(float(edge)) for edge in edges)
    return first, second, third


def _require_finite(values: Any, field: str, *, path: Path) -> None:
    if not np.isfinite(values).all():
        raise FileRefused(path, f"expected finite numbers in {field}, got {np.asarray(values).tolist()}", _HEADER)


def _unit(fields: Any, *, path: Path) -> tuple[str, float]:
    code = int(fields["xyzt_units"]) & 7
    if code not in _UNITS:
        raise FileRefused(path, f"expected xyzt_units of metres, mm or microns, got code {code}", _HEADER)
    return _UNITS[code]


def _thick(affine: Affine, shape: tuple[int, ...]) -> Affine:
    """The affine with a third axis of length 1, square to the others, where a single slice has none."""
    if (len(shape) > 2 and shape[2] > 1) or np.linalg.norm(affine[:3, 2]) > 0:
        return affine
    normal = np.cross(affine[:3, 0], affine[:3, 1])
    length = np.linalg.norm(normal)
    whole = affine.copy()
    whole[:3, 2] = normal / length if length > 0 else 0
    return whole


def _zoom_notes(fields: Any, affine: Affine, source: AffineSource) -> list[str]:
    edges, zooms = np.linalg.norm(affine[:3, :3], axis=0), np.abs(np.asarray(fields["pixdim"][1:4], np.float64))
    if source != "sform" or not np.isfinite(zooms).all() or not (zooms > 0).all():
        return []
    if (np.abs(edges / zooms - 1) <= ZOOM_TOLERANCE).all():
        return []
    return [f"the sform's voxel edges {edges.round(4).tolist()}, not pixdim's {zooms.round(4).tolist()}, are taken"]


def _axes(affine: Affine) -> str:
    return "".join(letter or "-" for letter in nib.aff2axcodes(affine)) if np.linalg.det(affine[:3, :3]) else "flat"


def require_usable_grid(affine: Affine, shape: tuple[int, ...], *, path: Path) -> None:
    """Stop unless a grid's axes are square to each other and its voxels of a size that a patient's image has.

    Raises:
        FileRefused: numbers that are not finite, a plane of no extent, shear, or edges that no scanner makes.
    """
    edges = np.linalg.norm(affine[:3, :3], axis=0) if np.isfinite(affine).all() else np.zeros(3)
    if not np.isfinite(edges).all() or not (edges > 0).all():
        raise FileRefused(
            path, f"expected an invertible affine, got {affine.tolist()}", "Correct the header's sform or qform."
        )
    wide = [edge for edge, size in zip(edges, (*shape, 1, 1), strict=False) if size > 1]
    if max(wide, default=1.0) >= COARSEST_MM or min(wide, default=1.0) < FINEST_MM:
        raise FileRefused(
            path,
            f"expected voxel edges from {FINEST_MM:g} to below {COARSEST_MM:g} mm, got "
            f"{' x '.join(f'{edge:.3g}' for edge in edges)} mm",
            "Correct the voxel size or the unit (xyzt_units) in the header.",
        )
    columns = affine[:3, :3] / edges
    lean = max(abs(float(columns[:, one] @ columns[:, other])) for one, other in combinations(range(3), 2))
    if lean > SHEAR_TOLERANCE:
        raise FileRefused(
            path,
            f"expected axes square to each other, got {np.degrees(np.arccos(min(lean, 1.0))):.1f} degrees between two "
            "(shear, such as gantry tilt)",
            "Resample image and label map to a grid without shear.",
        )
