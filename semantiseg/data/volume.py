"""One case, read, checked, turned to canonical axes, resampled and windowed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantiseg import limits
from semantiseg.conventions import LabelArray
from semantiseg.data import grid, image_file, intensity, nifti, sides, window
from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.header import Affine, Geometry
from semantiseg.data.intensity import Intensity, Stated
from semantiseg.errors import DataError


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
    labels, canonical = grid.to_canonical(renumbered[labels], affine)
    if min(labels.shape[1:]) < 2:
        raise DataError(
            f"{case.label}: expected axial slices of at least 2 x 2 pixels, got {labels.shape[1:]} (rows, columns) "
            "with axes "
            f"{grid.source_axes(affine)}. A single slice must be axial; correct the affine."
        )
    right, anterior, superior = grid.source_spacing(affine)
    positions = tuple(
        grid.sampling(size, edge_mm=edge, spacing_mm=spacing_mm)
        for size, edge in zip(labels.shape, (superior, anterior, right), strict=True)
    )
    limits.VOXELS.require(str(case.label), map(len, positions))
    images, intensities = {}, {}
    body = np.zeros([len(where) for where in positions], dtype=bool)
    for channel, image, of_image in _channel_images(case, label_shape=file_shape, label_geometry=geometry):
        geometries.append(of_image)
        found = _intensity(image, channel, case, stated=stated)
        inside = window.body_threshold(image, found)
        resampled = grid.resample_image(grid.to_canonical(image, affine)[0], positions)
        body |= resampled > inside
        images[channel.name], intensities[channel.name] = window.shown(resampled, found.window), found
    resampled_labels, midline = grid.resample_labels(labels, positions), window.midline(body)
    return Volume(
        images=images,
        intensities=intensities,
        labels=resampled_labels,
        structures=structures,
        affine=grid.resampled_affine(canonical, positions),
        spacing_mm=spacing_mm,
        source_spacing_mm=(right, anterior, superior),
        source_axes=grid.source_axes(affine),
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
