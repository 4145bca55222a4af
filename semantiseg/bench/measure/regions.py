"""Layers inside and outside a mask, as thick as asked for: what a region is compared with.

Attributes of whole regions, measured once a case in three dimensions and stored.

A region is a connected piece (26 neighbours) of a structure. Where a number decides a word, the word is given only
outside a dead band, with the distance to the nearest limit as margin; inside the band `value` is None and no prompt may
say it. Sources of the limits: R.E.N.A.L. (size, poles), VASARI (proportions, rim), Bosniak (fluid), this project's dead
bands of 10% (KiTS23's `radiographic_size` differs from the label maps by 0.6 cm on average).

Where a region lies: in the organ that holds it, and how far from the nearest other structure.

Both are this project's own measures of what reports say in words ("in the superior part of the liver", "3 mm from the
kidney"). Thirds and the dead band at their limits are those of the poles in R.E.N.A.L. (`region_attributes.pole`); 3 mm
is `CLEAR_MM`, the distance that this benchmark asks of any position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from semantiseg.bench.measure.attributes import Measurement
from semantiseg.conventions import Mask


def shell(mask: Mask, *, low: float, high: float) -> Mask:
    """Voxels whose centre is from `low` to `high` voxels away from the nearest voxel of the mask.

    The same as a Euclidean distance transform between these limits, which finds all distances however far: on boxes
    of organs it takes five times as long.

    Args:
        mask: `[D, H, W]`.
        low, high: in voxels, above 0; `high` below 180.
    """
    reach = int(high)
    # Squared distances are whole numbers, so what is farther is one number above the limit.
    far = (reach + 1) ** 2
    squared = np.where(mask, 0, far).astype(np.uint16)
    for axis in range(mask.ndim):
        squared = _spread_along(squared, axis, reach=reach)
    return (squared >= low**2) & (squared <= high**2) & ~mask


def eroded(mask: Mask, *, beyond: bool = False) -> Mask:
    """The mask without the voxels that share a face with the outside; `beyond`: whether the mask goes on past the
    array."""
    inner = np.pad(mask, 1, constant_values=beyond)
    kept = inner[1:-1, 1:-1, 1:-1].copy()
    for axis in range(3):
        for start in (0, 2):
            kept &= inner[tuple(slice(start if at == axis else 1, (start if at == axis else 1) + size)
                                for at, size in enumerate(mask.shape))]  # fmt: skip
    return kept


def _spread_along(squared: NDArray[np.uint16], axis: int, *, reach: int) -> NDArray[np.uint16]:
    """Least of `squared[x + k] + k ** 2` along an axis, `k` up to `reach`."""
    source = np.moveaxis(squared, axis, 0)
    least = squared.copy()
    target = np.moveaxis(least, axis, 0)
    for step in range(1, min(reach, len(source) - 1) + 1):
        moved = source + np.uint16(step**2)
        np.minimum(target[:-step], moved[step:], out=target[:-step])
        np.minimum(target[step:], moved[:-step], out=target[step:])
    return least


SHELL_MM = (2.0, 10.0)
"""Distance at which the surroundings are read where no parent organ is labelled."""
SMALLEST_MM3 = 50.0
"""Smaller pieces are no regions (BraTS ignores lesions of as many voxels)."""
THICK_SLICE_MM = 2.0
"""Above it the staircase of the slices dominates a surface: no sphericity."""
SURFACE_SHARE = 0.9
"""Least share of a region's voxels that its smoothed surface must hold: a sheet of one voxel has no surface at half."""
CORE_SMALLEST_ML = 1.0
LOW_CORE_HU = (-15.0, -10.0)
"""A core is called dark at or below the first, not dark at or above the second (core minus rim)."""
RENAL_MM = (40.0, 70.0)
"""Limits of the R of R.E.N.A.L.: at most 4 cm, up to 7 cm, more."""
DEAD_SHARE = 0.10
CLEAR_MM = 3.0
"""A centroid nearer to the midline is on no side."""
RANK_RATIO = 1.2
"""The first is called the largest only if the second is smaller by this factor."""


@dataclass(frozen=True)
class Region:
    """A piece of a structure: its box in the volume `[D, H, W]`, its mask in that box, and its voxel count."""

    box: tuple[slice, slice, slice]
    mask: Mask
    voxels: int

    @cached_property
    def centre(self) -> tuple[float, float, float]:
        """Index of the centroid in the volume."""
        sums = (self.mask.sum(axis=(1, 2)), self.mask.sum(axis=(0, 2)), self.mask.sum(axis=(0, 1)))
        found = (float(np.arange(len(line)) @ line) / self.voxels for line in sums)
        return tuple(place + part.start for place, part in zip(found, self.box, strict=True))


def regions(mask: Mask, *, spacing_mm: float) -> list[Region]:
    """The connected pieces of at least `SMALLEST_MM3`, largest first."""
    if not mask.any():
        return []
    (whole,) = ndimage.find_objects(mask.view(np.uint8))
    labelled, _ = ndimage.label(mask[whole], structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labelled.ravel())
    found = [
        Region(_moved(box, whole), labelled[box] == number, int(sizes[number]))
        for number, box in enumerate(ndimage.find_objects(labelled), start=1)
        if sizes[number] * spacing_mm**3 >= SMALLEST_MM3
    ]
    return sorted(found, key=lambda region: -region.voxels)


def geometry(region: Region, *, spacing_mm: float, slice_mm: float) -> Iterator[Measurement]:
    """Volume (ml), longest axial diameter (mm, the largest Feret diameter of any slice), and sphericity (surface of the
    ball of that volume over the surface, 1 for a ball; not on slices thicker than `THICK_SLICE_MM`, and not of a region
    too thin to have a surface at this grid, see `SURFACE_SHARE`)."""
    yield Measurement("volume", region.voxels * spacing_mm**3 / 1000, "ml", None, 0.0)
    diameter = max(_feret(image) for image in region.mask if image.any()) * spacing_mm
    yield banded("renal_size", diameter, "mm", RENAL_MM, ("small", "medium", "large"))
    if slice_mm <= THICK_SLICE_MM and (ratio := _sphericity(region.mask, region.voxels)) is not None:
        yield Measurement("sphericity", ratio, "ratio", None, 0.0)


def side(region: Region, *, midline: float, spacing_mm: float) -> Measurement:
    """Distance of the centroid from the mid-sagittal plane in mm, positive to the patient's right."""
    number = float(region.centre[2] - midline) * spacing_mm
    value = None if abs(number) < CLEAR_MM else "right" if number > 0 else "left"
    return Measurement("side", number, "mm", value, max(abs(number) - CLEAR_MM, 0.0))


def pole(region: Region, parent: Region, *, depth: int) -> Measurement | None:
    """Height of the centroid in its organ, 0 at the lower and 1 at the upper end; thirds are the poles of R.E.N.A.L.

    None where the organ is cut off by the first or last slice of the volume (`depth` slices).
    """
    low, high = parent.box[0].start, parent.box[0].stop
    if low == 0 or high == depth:
        return None
    height = (region.centre[0] + 0.5 - low) / (high - low)
    return banded("pole", height, "share", (1 / 3, 2 / 3), ("lower pole", "interpolar", "upper pole"))


def ranks(found: list[Region]) -> list[Measurement]:
    """Rank by volume, 1 is the largest; "largest" and "smallest" only with a clear lead over the neighbour."""
    sizes = [region.voxels for region in found]
    result = []
    for position, size in enumerate(sizes):
        ratio, value = 0.0, None
        if len(sizes) == 1:
            value = "solitary"
        elif position == 0 and (ratio := size / sizes[1]) >= RANK_RATIO:
            value = "largest"
        elif position == len(sizes) - 1 and (ratio := sizes[-2] / size) >= RANK_RATIO:
            value = "smallest"
        result.append(Measurement("rank", float(position + 1), "", value, max(ratio - RANK_RATIO, 0.0)))
    return result


@dataclass(frozen=True)
class Surroundings:
    """Where a region's intensity is read and what it is compared with: the same on every channel of a case.

    Attributes:
        box: the region's box and 10 mm around it, in the volume.
        interior: the region without its outermost voxels, if 50 are left, in the box.
        reference: what it is compared with, in the box; empty if that is less than 50 voxels.
        deep, rim: inner and outer half of a lesion, in the box; None where it has no core to speak of.
    """

    box: tuple[slice, slice, slice]
    interior: Mask
    reference: Mask
    deep: Mask | None
    rim: Mask | None


def surroundings(
    region: Region, parent: Mask | None, *, others: Mask, spacing_mm: float, cored: bool = True
) -> Surroundings:
    """What a region is compared with: its organ, or a shell of `SHELL_MM`, without what else is labelled.

    Args:
        parent: the organ around the region, whole volume, or None.
        others: labelled lesions of the same organ, whole volume, left out of the reference.
        cored: whether a core is looked for: a lesion may have one, an organ has none.
    """
    margin = int(np.ceil(SHELL_MM[1] / spacing_mm)) + 1
    slices, rows, columns = (
        slice(max(part.start - margin, 0), min(part.stop + margin, size))
        for part, size in zip(region.box, others.shape, strict=True)
    )
    box = (slices, rows, columns)
    mask = np.zeros([part.stop - part.start for part in box], dtype=bool)
    inner = tuple(slice(a.start - b.start, a.stop - b.start) for a, b in zip(region.box, box, strict=True))
    mask[inner] = region.mask
    low, high = (distance / spacing_mm for distance in SHELL_MM)
    reference = shell(mask, low=low, high=high) & ~others[box]
    if parent is not None:
        reference &= parent[box]
    if reference.sum() < 50:
        reference = np.zeros_like(mask)
    # What the volume cuts off is no edge of the region.
    core = eroded(mask, beyond=True)
    deep, rim = _core(region, mask, core, inner, spacing_mm=spacing_mm) if cored else (None, None)
    return Surroundings(box, core if core.sum() >= 50 else mask, reference, deep, rim)


def _core(
    region: Region, mask: Mask, inside: Mask, inner: tuple[slice, ...], *, spacing_mm: float
) -> tuple[Mask | None, Mask | None]:
    """The half of a region that is deepest, and the rest without its outermost voxels."""
    if region.voxels * spacing_mm**3 < CORE_SMALLEST_ML * 1000:
        return None, None
    near = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in inner)
    depth = np.zeros(mask.shape, dtype=np.float32)
    depth[near] = ndimage.distance_transform_edt(mask[near])
    deep = depth > depth.max() / 2
    rim = inside & ~deep
    return (deep, rim) if deep.sum() >= 0.1 * region.voxels and rim.any() else (None, None)


def intensity(image: NDArray[np.floating], around: Surroundings, *, unit: float) -> Iterator[Measurement]:
    """Mean against parent or shell, heterogeneity against it, and the core against the rim.

    Args:
        image: the whole volume, `[D, H, W]` in [0, 1].
        unit: HU (or robust standard deviations of MR's window) that 1 stands for.
    """
    values = image[around.box]
    if around.reference.any():
        interior, compared = values[around.interior], values[around.reference]
        yield Measurement("contrast", float(interior.mean() - compared.mean()) * unit, "HU", None, 0.0)
        yield Measurement("heterogeneity", _spread(interior) / max(_spread(compared), 1e-6), "ratio", None, 0.0)
    if around.deep is not None:
        number = float(values[around.deep].mean() - values[around.rim].mean()) * unit
        low, high = LOW_CORE_HU
        value = "low-density core" if number <= low else "no low-density core" if number >= high else None
        yield Measurement("core", number, "HU", value, max(low - number, number - high, 0.0) if value else 0.0)


def proportions(labels: Mapping[str, Mask], *, whole: Mask) -> Iterator[Measurement]:
    """Share of each part in the whole tumour, in VASARI's bins (F5 to F7, F14): up to 5, 33, 67, 100 percent."""
    total = max(int(whole.sum()), 1)
    for name, mask in labels.items():
        share = float((mask & whole).sum()) / total
        limits = (0.05, 0.33, 0.67)
        yield banded(f"{name} share", share, "share", limits, ("up to 5%", "5 to 33%", "33 to 67%", "above 67%"))


def rim(enhancing: Mask, core: Mask, *, spacing_mm: float) -> Iterator[Measurement]:
    """Share of the core's surface that touches enhancing tissue, and that tissue's mean thickness in mm (VASARI F11).

    Thickness is twice the mean distance to the edge on the medial axis; below 3 mm a rim is thin.
    """
    from skimage.morphology import skeletonize

    surface = ndimage.binary_dilation(core) & ~core
    if surface.any() and enhancing.any():
        share = float((surface & enhancing).sum() / surface.sum())
        value = "ring-enhancing" if share >= 0.7 else "no ring" if share <= 0.5 else None
        yield Measurement("rim share", share, "share", value, max(share - 0.7, 0.5 - share) if value else 0.0)
        axis = skeletonize(enhancing).astype(bool)
        if axis.any():
            depth = ndimage.distance_transform_edt(enhancing, sampling=spacing_mm)
            yield banded("rim thickness", 2 * float(depth[axis].mean()), "mm", (3.0,), ("thin", "thick"))


def banded(name: str, number: float, unit: str, limits: tuple[float, ...], values: tuple[str, ...]) -> Measurement:
    """The word of the range that the number lies in, unless it is within `DEAD_SHARE` of a limit."""
    distance = min((abs(number - limit) - DEAD_SHARE * limit for limit in limits), default=0.0)
    word = values[int(np.searchsorted(limits, number, side="left"))]
    return Measurement(name, float(number), unit, word if distance >= 0 else None, max(float(distance), 0.0))


def _feret(image: Mask) -> float:
    """Largest distance between corners of a slice's pixels, in pixels.

    The farthest corners lie at the ends of two rows, so ends are enough: exact, and ten times as fast as a hull.
    """
    rows = np.flatnonzero(image.any(axis=1))
    first = image[rows].argmax(axis=1)
    end = image.shape[1] - image[rows, ::-1].argmax(axis=1)
    across = end[:, None] - first[None, :]
    along = np.abs(rows[:, None] - rows[None, :]) + 1
    return float(np.sqrt((across**2 + along**2).max()))


def _sphericity(mask: Mask, voxels: int) -> float | None:
    from skimage.measure import marching_cubes, mesh_surface_area

    # Smoothed by half a voxel: the corners of voxels would add a third to the surface of a ball.
    soft = ndimage.gaussian_filter(np.pad(mask, 2).astype(np.float32), 0.8)
    if (soft > 0.5).sum() < SURFACE_SHARE * voxels:
        return None
    vertices, faces, _, _ = marching_cubes(soft, 0.5)
    return float(np.pi ** (1 / 3) * (6 * voxels) ** (2 / 3) / mesh_surface_area(vertices, faces))


def _moved(box: tuple[slice, ...], whole: tuple[slice, ...]) -> tuple[slice, slice, slice]:
    return tuple(slice(a.start + b.start, a.stop + b.start) for a, b in zip(box, whole, strict=True))  # type: ignore[return-value]


def _spread(values: NDArray[np.floating]) -> float:
    low, high = np.percentile(values, (25, 75))
    return float(high - low) / 1.349


AXES = (
    ("height in parent", ("inferior part", "middle", "superior part")),
    ("depth in parent", ("posterior part", "middle", "anterior part")),
    ("width in parent", ("left part", "middle", "right part")),
)
"""Attribute and words of each axis `[D, H, W]`, from its low to its high end."""


def place(region: Region, parent: Region, *, shape: tuple[int, ...], lateral: bool) -> Iterator[Measurement]:
    """The centroid in the parent's own bounding box: 0 at the inferior, posterior or left end, 1 at the other.

    Formula: (centroid + 0.5 - start) / (stop - start) along each axis, a share. Words are thirds, given only outside
    the dead band around a limit, with the distance to it as margin. An axis along which the parent touches the border
    of the volume is left out: what lies beyond is not seen.

    Args:
        shape: of the volume that both boxes count in, in voxels.
        lateral: whether left and right may be said.
    """
    for axis, (name, words) in enumerate(AXES):
        low, high = parent.box[axis].start, parent.box[axis].stop
        if low == 0 or high == shape[axis] or (axis == 2 and not lateral):
            continue
        share = (region.centre[axis] + 0.5 - low) / (high - low)
        yield banded(name, share, "share", (1 / 3, 2 / 3), words)


def nearest(region: Region, others: Mapping[str, NDArray[np.integer]], *, spacing_mm: float) -> Iterator[Measurement]:
    """The gap to the nearest of the other structures in mm, and its name where no other is as near.

    Formula: least distance between the centres of two voxels, one of each, less one voxel: 0 where they touch. The
    structure's key is the value if the second nearest is at least `CLEAR_MM` farther, with what is beyond as margin; so
    of structures that lie in one another (a tumour's core and its rim) none is named. Without a second the margin is
    `CLEAR_MM`.

    Args:
        others: structure -> `surface` of it; nothing is yielded if there is none.
    """
    if not others:
        return
    own = surface(region.mask) + [part.start for part in region.box]
    gaps = sorted((float(_closest(own, points)) - 1, key) for key, points in others.items())
    number, key = max(gaps[0][0], 0.0) * spacing_mm, gaps[0][1]
    lead = gaps[1][0] * spacing_mm - number - CLEAR_MM if len(gaps) > 1 else CLEAR_MM
    yield Measurement("nearest structure", number, "mm", key if lead >= 0 else None, max(lead, 0.0))


def surface(mask: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Indices `[N, 3]` of the voxels of a mask that share a face with the outside."""
    return np.argwhere(mask & ~eroded(mask))


def _closest(one: NDArray[np.integer], two: NDArray[np.integer]) -> float:
    few, many = sorted((one, two), key=len)
    return float(spatial.cKDTree(many).query(few)[0].min())
