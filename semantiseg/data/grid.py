"""Bring an array to canonical axes and cubic voxels.

Arrays come in file order with their affine and leave as `[D, H, W]` = (superior, anterior, right). The affine that goes
with such an array is for index order (w, h, d), so that its columns are the RAS axes.

One case, read, checked, turned to canonical axes, resampled and windowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, inv_ornt_aff, io_orientation
from numpy.typing import NDArray

from semantiseg import limits
from semantiseg.conventions import LabelArray
from semantiseg.data import image_file, intensity, nifti, sides, window
from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.header import Affine, Geometry
from semantiseg.data.intensity import Intensity, Stated
from semantiseg.data.nifti import present
from semantiseg.errors import DataError

# Where an output voxel lies exactly between two source voxels of different label, neither has more weight. Leaning by
# this share of a source voxel to the lower index settles all ties the same way: a structure then neither grows nor
# shrinks on average.
_TIE_LEAN = 1e-3

_STRIP = 16
"""Columns copied at a time where axes are swapped."""


def source_axes(affine: Affine) -> str:
    """Directions of the file's axes, such as `LAS`."""
    return "".join(nib.aff2axcodes(affine))


def source_spacing(affine: Affine) -> tuple[float, float, float]:
    """Voxel edges in mm along right, anterior, superior (nearest axes), rounded to 1e-5 mm: headers hold float32."""
    edges = np.linalg.norm(affine[:3, :3], axis=0)[np.argsort(io_orientation(affine)[:, 0])]
    right, anterior, superior = (round(float(edge), 5) for edge in edges)
    return right, anterior, superior


def to_canonical(values: NDArray, affine: Affine) -> tuple[NDArray, Affine]:
    """`[I, J, K]` in file order to `[D, H, W]`, by flips and swaps only (as nibabel's `as_closest_canonical`).

    An oblique scan keeps its own axes; they are named for the nearest RAS axes, and the affine keeps the rotation.
    """
    orientation = io_orientation(affine)
    turned = apply_orientation(values, orientation).transpose(2, 1, 0)
    return _contiguous(turned), affine @ inv_ornt_aff(orientation, values.shape)


def _contiguous(values: NDArray) -> NDArray:
    """The array in memory order. Where the file's fastest axis is not the last one, a plain copy reads one voxel a
    cache line; a strip of columns at a time is five times as fast."""
    if values.flags.c_contiguous:
        return values
    if abs(values.strides[2]) == values.itemsize:
        return np.ascontiguousarray(values)
    copy = np.empty(values.shape, dtype=values.dtype)
    for start in range(0, values.shape[2], _STRIP):
        copy[:, :, start : start + _STRIP] = values[:, :, start : start + _STRIP]
    return copy


def sampling(size: int, *, edge_mm: float, spacing_mm: float) -> NDArray[np.float64]:
    """Positions (in source voxels) at which one axis is sampled: `spacing_mm` apart, centred on the field of view.

    An axis of one voxel is left alone: a single slice says nothing about the space beside it.

    Raises:
        DataError: more samples than `limits.VOXELS`; so do the resampling functions for the whole grid. Voxels of
            100 mm, in truth of another unit, would otherwise fill any memory.
    """
    if size == 1:
        return np.zeros(1)
    step = spacing_mm / edge_mm
    count = max(1, int(np.floor(size / step + 0.5)))
    limits.VOXELS.require("the prepared grid, along one axis", (count,))
    # 1e-5: headers store float32, and 0.99999994 mm is 1 mm.
    if count == size and abs(step - 1) < 1e-5:
        return np.arange(size, dtype=np.float64)
    return (size - 1) / 2 + (np.arange(count, dtype=np.float64) - (count - 1) / 2) * step


def resampled_affine(affine: Affine, positions: tuple[NDArray[np.float64], ...]) -> Affine:
    """Affine of the sampled grid; `positions` in array order (d, h, w), the affine in index order (w, h, d)."""
    change = np.eye(4)
    for index, where in enumerate(reversed(positions)):
        change[index, index] = where[1] - where[0] if len(where) > 1 else 1.0
        change[index, 3] = where[0]
    return affine @ change


def resample_image(image: NDArray[np.float32], positions: tuple[NDArray[np.float64], ...]) -> NDArray[np.float32]:
    """Linear interpolation of `[D, H, W]`, axis by axis; beyond the outermost voxel centres the border value holds."""
    limits.VOXELS.require("the prepared grid", map(len, positions))
    # The axis that shrinks most goes first: the others then have less to do.
    for axis in sorted(range(3), key=lambda axis: len(positions[axis]) / image.shape[axis]):
        image = _interpolate(image, positions[axis], axis=axis)
    return image


def resample_labels(labels: NDArray[np.uint8], positions: tuple[NDArray[np.float64], ...]) -> NDArray[np.uint8]:
    """Each label's indicator is interpolated linearly and the largest wins, background included; `[D, H, W]`.

    Smoother than nearest neighbour on thick slices (no staircase), and at least as faithful elsewhere. Works only where
    labels lie.
    """
    limits.VOXELS.require("the prepared grid", map(len, positions))
    fits = [np.array_equal(where, np.arange(size)) for where, size in zip(positions, labels.shape, strict=True)]
    if all(fits):
        return labels.copy()
    leaning = tuple(
        where if fit else np.maximum(where - _TIE_LEAN, 0) for where, fit in zip(positions, fits, strict=True)
    )
    winner = np.zeros(tuple(len(where) for where in positions), dtype=np.uint8)
    labelled = labels > 0
    if not labelled.any():
        return winner
    reach = _support(labelled, leaning)[1]
    won = winner[reach]
    best, total = np.zeros(won.shape, dtype=np.float32), np.zeros(won.shape, dtype=np.float32)
    for number in present(labels):
        indicator = labels == number
        source, target = _support(indicator, leaning)
        if any(part.start >= part.stop for part in target):
            continue
        local = tuple(where[part] - box.start for where, part, box in zip(leaning, target, source, strict=True))
        here = tuple(
            slice(part.start - box.start, part.stop - box.start) for part, box in zip(target, reach, strict=True)
        )
        weight = resample_image(indicator[source].astype(np.float32), local)
        total[here] += weight
        ahead = weight > best[here]
        np.copyto(best[here], weight, where=ahead)
        np.copyto(won[here], np.uint8(number), where=ahead)
    won[best <= 1 - total] = 0
    return winner


def _support(
    indicator: NDArray[np.bool_], positions: tuple[NDArray[np.float64], ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Box of the source that holds the label and one voxel around it, and the box of samples that it can reach."""
    source, target = [], []
    for axis, where in enumerate(positions):
        others = tuple(other for other in range(3) if other != axis)
        inside = np.flatnonzero(indicator.any(axis=others))
        low, high = max(int(inside[0]) - 1, 0), min(int(inside[-1]) + 1, indicator.shape[axis] - 1)
        source.append(slice(low, high + 1))
        # At the border the outermost voxel's value holds, so samples beyond it belong to the box too.
        first = 0 if inside[0] == 0 else int(np.searchsorted(where, inside[0] - 1, side="right"))
        last = (
            len(where)
            if inside[-1] == indicator.shape[axis] - 1
            else int(np.searchsorted(where, inside[-1] + 1, side="left"))
        )
        target.append(slice(first, last))
    return tuple(source), tuple(target)


def _interpolate(values: NDArray[np.float32], positions: NDArray[np.float64], *, axis: int) -> NDArray[np.float32]:
    size = values.shape[axis]
    if size == 1:
        return np.repeat(values, len(positions), axis=axis) if len(positions) > 1 else values
    if np.array_equal(positions, np.arange(size)):
        return values
    held = np.clip(positions, 0, size - 1)
    lower = np.minimum(held.astype(np.intp), size - 2)
    upper_weight = (held - lower).astype(np.float32)
    shape = list(values.shape)
    shape[axis] = len(positions)
    result = np.empty(shape, dtype=np.float32)
    # Slice by slice, which fits the processor's cache; the whole volume at once would be read from memory four times.
    if axis == 0:
        for index, (low, weight) in enumerate(zip(lower, upper_weight, strict=True)):
            _mix(values[low], values[low + 1], weight, out=result[index])
    else:
        weight = upper_weight[:, None] if axis == 1 else upper_weight
        for index, image in enumerate(values):
            below, above = np.take(image, lower, axis=axis - 1), np.take(image, lower + 1, axis=axis - 1)
            _mix(below, above, weight, out=result[index])
    return result


def _mix(
    below: NDArray[np.float32], above: NDArray[np.float32], weight: NDArray[np.float32] | np.float32, *,
    out: NDArray[np.float32],
) -> None:  # fmt: skip
    """`below` + (`above` - `below`) * `weight`."""
    np.subtract(above, below, out=out)
    out *= weight
    out += below


@dataclass(frozen=True)
class Volume:
    """A prepared case.

    Attributes:
        images: channel -> `[D, H, W]`, values in [0, 1].
        intensities: channel -> what its numbers were, and which of them became 0 and 1.
        labels: `[D, H, W]`; numbers are keys of `structures`.
        structures: label number -> leaf key; numbers of one leaf are merged.
        affine: index (w, h, d) to RAS millimetres.
        spacing_mm: voxel edge. A volume of a single slice keeps that slice; its thickness stands in `affine` only.
        source_spacing_mm: along right, anterior, superior.
        source_axes: directions of the file's axes, such as `LAS`.
        midline: column of the mid-sagittal plane.
        spacing_known: False where a file has no lengths; nothing was resampled then, and no mm is true.
        sides_known: whether the headers of image and label map tell left from right.
        organ_sides: where one-sided organs lie by that, see `sides.py`.
    """

    images: Mapping[str, NDArray[np.float32]]
    intensities: Mapping[str, Intensity]
    labels: LabelArray
    structures: Mapping[int, str]
    affine: Affine
    spacing_mm: float
    source_spacing_mm: tuple[float, float, float]
    source_axes: str
    midline: float
    spacing_known: bool
    sides_known: bool
    organ_sides: sides.Count


def load_volume(case: SourceCase, *, spacing_mm: float, stated: Stated = "") -> Volume:
    """Read a case and bring it to the project's one grid (see docs/architecture.md).

    `stated` is what the user says of CT, see `intensity.recognise`.

    Raises:
        DataError: names the file at fault and what to do; see `nifti.py` for what is checked.
    """
    raw, geometry = image_file.read(case.label)
    # Where no length is known, pixels and slices stay as they are stored.
    affine = geometry.affine if geometry.spacing_known else _as_spaced(geometry.affine, spacing_mm=spacing_mm)
    geometries = [geometry]
    known = set(case.structures) | case.ignored
    labels = nifti.label_values(raw, known=known, path=case.label, described_in=case.described_in)
    file_shape = labels.shape
    structures, renumbered = _one_number_per_leaf(case)
    labels, canonical = to_canonical(renumbered[labels], affine)
    if min(labels.shape[1:]) < 2:
        raise DataError(
            f"{case.label}: expected axial slices of at least 2 x 2 pixels, got {labels.shape[1:]} (rows, columns) "
            "with axes "
            f"{source_axes(affine)}. A single slice must be axial; correct the affine."
        )
    right, anterior, superior = source_spacing(affine)
    positions = tuple(
        sampling(size, edge_mm=edge, spacing_mm=spacing_mm)
        for size, edge in zip(labels.shape, (superior, anterior, right), strict=True)
    )
    limits.VOXELS.require(str(case.label), map(len, positions))
    images, intensities = {}, {}
    body = np.zeros([len(where) for where in positions], dtype=bool)
    for channel, image, of_image in _channel_images(case, label_shape=file_shape, label_geometry=geometry):
        geometries.append(of_image)
        found = _intensity(image, channel, case, stated=stated)
        inside = window.body_threshold(image, found)
        resampled = resample_image(to_canonical(image, affine)[0], positions)
        body |= resampled > inside
        images[channel.name], intensities[channel.name] = window.shown(resampled, found.window), found
    resampled_labels, midline = resample_labels(labels, positions), window.midline(body)
    return Volume(
        images=images,
        intensities=intensities,
        labels=resampled_labels,
        structures=structures,
        affine=resampled_affine(canonical, positions),
        spacing_mm=spacing_mm,
        source_spacing_mm=(right, anterior, superior),
        source_axes=source_axes(affine),
        midline=midline,
        spacing_known=all(found.spacing_known for found in geometries),
        sides_known=all(found.sides_known for found in geometries),
        organ_sides=sides.count(resampled_labels, structures, midline),
    )


def _as_spaced(affine: Affine, *, spacing_mm: float) -> Affine:
    return affine @ np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])


def _one_number_per_leaf(case: SourceCase) -> tuple[dict[int, str], NDArray[np.uint8]]:
    """Structures with the smallest number of every leaf, and the table that renumbers a label map accordingly."""
    table = np.zeros(256, dtype=np.uint8)
    first: dict[str, int] = {}
    for number, leaf in sorted(case.structures.items()):
        table[number] = first.setdefault(leaf, number)
    return {number: leaf for leaf, number in first.items()}, table


def _channel_images(
    case: SourceCase, *, label_shape: tuple[int, ...], label_geometry: Geometry
) -> Iterator[tuple[Channel, NDArray[np.float32], Geometry]]:
    """Every channel with its checked 3D image in file order; a multi-channel file is read once."""
    path, raw, geometry = Path(), np.empty(0), label_geometry
    for channel in case.channels:
        if channel.path != path:
            path = channel.path
            raw, geometry = image_file.read(path)
        image = nifti.image_values(raw, channel)
        nifti.require_same_grid(
            image.shape, geometry.affine, label_shape, label_geometry.affine, image=path, label=case.label
        )
        yield channel, image, geometry


def _intensity(image: NDArray[np.float32], channel: Channel, case: SourceCase, *, stated: Stated) -> Intensity:
    leaves = tuple(case.structures.values())
    try:
        return intensity.recognise(
            image, modality=channel.modality, origin=case.origin, leaves=leaves, stated=stated
        )
    except DataError as error:
        raise DataError(f"{channel.path}: {error}") from None
