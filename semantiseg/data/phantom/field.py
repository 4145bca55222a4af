"""Where a phantom is drawn: a voxel grid in scanner millimetres, a patient's frame of reference, smooth random fields.

Everything is `[X, Y, Z]` = (to the right, to anterior, to superior), that is RAS. Anatomy is written in the
millimetres of a natural body; the grid's `scale` (linear) makes the miniature, so that the same code draws either.

Solid shapes as depth fields: natural millimetres below the surface, positive inside, negative outside.

With depths, union is the maximum, intersection the minimum, and a wall or a margin is a threshold.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Field = NDArray[np.float32]
Axes = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Grid:
    """Voxel centres of one scan.

    Attributes:
        shape: voxels along X, Y, Z.
        spacing: millimetres of the (miniature) scan along X, Y, Z.
        centre: natural millimetres, in the patient's frame, on which the scan is centred.
        scale: millimetres of the scan per natural millimetre.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    centre: tuple[float, float, float]
    scale: float

    @classmethod
    def covering(
        cls,
        *,
        half_extent: tuple[float, float, float],
        centre: tuple[float, float, float],
        spacing: tuple[float, float, float],
        scale: float,
    ) -> Grid:
        """The smallest grid of this spacing over `centre` +- `half_extent` (both in natural millimetres)."""
        shape = tuple(int(np.ceil(2 * half * scale / step)) for half, step in zip(half_extent, spacing, strict=True))
        return cls((shape[0], shape[1], shape[2]), spacing, centre, scale)

    @property
    def axes(self) -> Axes:
        """Natural coordinates of the voxel centres along X, Y, Z."""
        x, y, z = (
            centre + (np.arange(count, dtype=np.float64) - (count - 1) / 2) * step / self.scale
            for count, step, centre in zip(self.shape, self.spacing, self.centre, strict=True)
        )
        return x, y, z

    @property
    def affine(self) -> NDArray[np.float64]:
        """4 x 4, voxel index to RAS millimetres of the scan."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = [axis[0] * self.scale for axis in self.axes]
        return affine

    @property
    def voxel(self) -> tuple[float, float, float]:
        """Voxel size in natural millimetres."""
        x, y, z = (step / self.scale for step in self.spacing)
        return x, y, z


def interpolation(axis: NDArray[np.float64], length: float) -> sparse.csr_matrix:
    """Rows of Gaussian weights (standard deviation `length`) on knots `length` apart, each row of unit energy."""
    knots = np.arange(axis[0] - 3 * length, axis[-1] + 4 * length, length)
    nearest = np.round((axis - knots[0]) / length).astype(int)
    columns = np.clip(nearest[:, None] + np.arange(-3, 4), 0, len(knots) - 1)
    weights = np.exp(-0.5 * ((axis[:, None] - knots[columns]) / length) ** 2)
    weights /= np.sqrt((weights**2).sum(axis=1, keepdims=True))
    rows = np.repeat(np.arange(len(axis)), columns.shape[1])
    matrix = sparse.csr_matrix((weights.ravel(), (rows, columns.ravel())), shape=(len(axis), len(knots)))
    return matrix.astype(np.float32)


def smooth_noise(axes: Axes, rng: np.random.Generator, *, length: float) -> Field:
    """A Gaussian random field of zero mean and unit variance over the grid of `axes`.

    `length` is the standard deviation of its kernel in the units of `axes`. The product is sparse and so free of
    BLAS, whose sums may depend on the number of threads: the same stream gives the same bytes in any worker.
    """
    steps = [abs(axis[1] - axis[0]) if len(axis) > 1 else length for axis in axes]
    matrices = [interpolation(axis, max(length, 0.75 * step)) for axis, step in zip(axes, steps, strict=True)]
    field = rng.standard_normal([matrix.shape[1] for matrix in matrices], dtype=np.float32)
    for matrix in matrices:
        # Each pass interpolates the first axis and moves it to the end: after three passes the order is X, Y, Z again.
        rest = field.shape[1:]
        field = np.moveaxis((matrix @ field.reshape(field.shape[0], -1)).reshape(-1, *rest), 0, -1)
    return np.ascontiguousarray(field)


@dataclass(frozen=True)
class BodyFrame:
    """A patient's own coordinates at every voxel: natural millimetres after pose, size and warp are undone.

    `x` grows to the patient's right, `y` to anterior, `z` to superior, each `[X, Y, Z]`. Anatomy is written once in
    these coordinates and comes out as a different patient in every frame.
    """

    grid: Grid
    x: Field
    y: Field
    z: Field

    @cached_property
    def slack(self) -> tuple[float, float, float]:
        """How far a voxel's patient coordinate lies from its scanner coordinate at most, along X, Y, Z."""
        open_axes = np.meshgrid(*self.grid.axes, indexing="ij", sparse=True)
        x, y, z = (
            float(np.abs(own - axis).max()) for own, axis in zip((self.x, self.y, self.z), open_axes, strict=True)
        )
        return x, y, z

    def box(self, low: Iterable[float], high: Iterable[float]) -> tuple[slice, slice, slice]:
        """Voxels that hold every point with patient coordinates between `low` and `high`."""
        bounds = []
        for axis, slack, start, stop in zip(self.grid.axes, self.slack, low, high, strict=True):
            first, last = np.searchsorted(axis, (start - slack, stop + slack))
            bounds.append(slice(int(first), int(last)))
        return bounds[0], bounds[1], bounds[2]

    def noise(self, rng: np.random.Generator, *, length: float) -> Field:
        """A unit-variance random field over the grid; `length` in natural millimetres."""
        return smooth_noise(self.grid.axes, rng, length=length)


@dataclass(frozen=True)
class Pose:
    """How far patients differ: standard deviations of size (relative), turn (degrees), shift and warp (natural mm)."""

    size: float = 0.035
    turn: float = 2.5
    shift: float = 4.0
    warp: float = 3.0
    warp_length: float = 45.0


@overload
def bounded_normal(rng: np.random.Generator) -> float:
    """One of them."""


@overload
def bounded_normal(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Several of them."""


def bounded_normal(rng: np.random.Generator, size: int | None = None) -> NDArray[np.float64] | float:
    """Standard normal values, cut at two standard deviations so that no patient is a monster."""
    return np.clip(rng.standard_normal(size), -2.0, 2.0)


def patient_frame(grid: Grid, rng: np.random.Generator, *, pose: Pose) -> BodyFrame:
    """Draw one patient's size, pose and smooth deformation over the grid."""
    x, y, z = np.meshgrid(*(axis.astype(np.float32) for axis in grid.axes), indexing="ij")
    shift = pose.shift * bounded_normal(rng, 3)
    size = 1 + pose.size * bounded_normal(rng, 3)
    about_z, about_y = np.deg2rad(pose.turn * bounded_normal(rng, 2))
    warped = [
        (axis - offset) / factor + np.float32(pose.warp) * smooth_noise(grid.axes, rng, length=pose.warp_length)
        for axis, offset, factor in zip((x, y, z), shift.astype(np.float32), size.astype(np.float32), strict=True)
    ]
    x, y = rotate(warped[0], warped[1], about_z)
    x, z = rotate(x, warped[2], about_y)
    return BodyFrame(grid, x, y, z)


def rotate(first: Field, second: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates after a turn by `angle` (radians) in their plane."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * first + sine * second, cosine * second - sine * first


Point = tuple[float, float, float]
FAR = np.float32(-1e3)


def ellipsoid(
    frame: BodyFrame,
    centre: Point,
    radii: Point,
    *,
    about_z: float = 0.0,
    about_y: float = 0.0,
    about_x: float = 0.0,
    reach: float = 15.0,
) -> Field:
    """Depth below an ellipsoid turned by the given degrees; `FAR` more than `reach` millimetres outside.

    The depth is a first-order distance: value over length of the gradient.
    """
    extent = max(radii) if about_z or about_y or about_x else np.asarray(radii)
    box = frame.box(np.asarray(centre) - extent - reach, np.asarray(centre) + extent + reach)
    x, y, z = (c[box] - np.float32(o) for c, o in zip((frame.x, frame.y, frame.z), centre, strict=True))
    if about_z:
        x, y = rotate(x, y, np.deg2rad(about_z))
    if about_y:
        x, z = rotate(x, z, np.deg2rad(about_y))
    if about_x:
        y, z = rotate(y, z, np.deg2rad(about_x))
    x, y, z = (c / np.float32(radius) for c, radius in zip((x, y, z), radii, strict=True))
    value = np.sqrt(x**2 + y**2 + z**2)
    gradient = np.sqrt(sum((c / np.float32(radius)) ** 2 for c, radius in zip((x, y, z), radii, strict=True)))
    depth = np.where(value < 1e-3, min(radii), value * (1 - value) / np.maximum(gradient, 1e-9))
    return placed(frame, box, depth)


def placed(frame: BodyFrame, box: tuple[slice, slice, slice], depth: Field) -> Field:
    """A depth known in a box only, `FAR` elsewhere."""
    field = np.full(frame.grid.shape, FAR, np.float32)
    field[box] = depth
    return field


def column(frame: BodyFrame, centre: tuple[float, float], radii: tuple[float, float], *, power: float = 2.0) -> Field:
    """Depth below an upright (along Z) superelliptic column, measured along the ray from its axis."""
    x, y = frame.x - np.float32(centre[0]), frame.y - np.float32(centre[1])
    ray = np.sqrt(x**2 + y**2)
    value = ((np.abs(x) / radii[0]) ** power + (np.abs(y) / radii[1]) ** power) ** (1 / power)
    return np.where(value < 1e-3, min(radii), ray * (1 / np.maximum(value, 1e-3) - 1)).astype(np.float32)


def smooth_path(points: Sequence[Point], radii: Sequence[float], *, steps: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Catmull-Rom spline through the points: `[N, 3]` positions and `[N]` radii."""
    knots = np.column_stack([np.asarray(points, float), np.asarray(radii, float)])
    padded = np.vstack([2 * knots[0] - knots[1], knots, 2 * knots[-1] - knots[-2]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    path = np.vstack([*pieces, knots[-1:]])
    return path[:, :3], np.maximum(path[:, 3], min(radii) * 0.8)


def tube(frame: BodyFrame, points: Sequence[Point], radii: Sequence[float], *, reach: float = 12.0) -> Field:
    """Depth below a curved tube of varying radius; exact up to `reach` millimetres outside, `FAR` beyond."""
    path, width = smooth_path(points, radii)
    margin = width.max() + reach
    box = frame.box(path.min(0) - margin, path.max(0) + margin)
    here = (frame.x[box], frame.y[box], frame.z[box])
    depth = np.full(here[0].shape, FAR, np.float32)
    for start, end, r0, r1 in zip(path, path[1:], width, width[1:], strict=False):
        axis = (end - start).astype(np.float32)
        offset = [c - np.float32(o) for c, o in zip(here, start, strict=True)]
        along = sum(o * a for o, a in zip(offset, axis, strict=True)) / np.float32(max(float((axis**2).sum()), 1e-6))
        along = np.clip(along, 0, 1)
        distance = np.sqrt(sum((o - along * a) ** 2 for o, a in zip(offset, axis, strict=True)))
        np.maximum(depth, np.float32(r0) + np.float32(r1 - r0) * along - distance, out=depth)
    return placed(frame, box, depth)


def union(*depths: Field) -> Field:
    """Depth below the union of solids."""
    return np.maximum.reduce(depths)


def blend(first: Field, second: Field, *, width: float) -> Field:
    """Union whose seam is filled smoothly over `width` millimetres (polynomial smooth maximum)."""
    mix = np.maximum(np.float32(width) - np.abs(first - second), 0) / np.float32(width)
    return np.maximum(first, second) + mix**2 * np.float32(width / 4)


def without(solid: Field, *others: Field, gap: float = 0.0) -> Field:
    """Depth below a solid after others, grown by `gap` millimetres, are cut from it."""
    return np.minimum(solid, -(union(*others) + np.float32(gap)))


def jitter(rng: np.random.Generator, points: Sequence[Point], sd: float) -> list[Point]:
    """The points, each moved by a bounded normal of `sd` natural millimetres along every axis."""
    moves = sd * np.clip(rng.standard_normal((len(points), 3)), -2, 2)
    return [(p[0] + m[0], p[1] + m[1], p[2] + m[2]) for p, m in zip(points, moves, strict=True)]
