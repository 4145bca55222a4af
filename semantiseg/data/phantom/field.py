"""Where a phantom is drawn: a voxel grid in scanner millimetres, a patient's frame of reference, smooth random fields.

Everything is `[X, Y, Z]` = (to the right, to anterior, to superior), that is RAS. Anatomy is written in the
millimetres of a natural body; the grid's `scale` (linear) makes the miniature, so that the same code draws either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

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
            centre + (np.arange(count) - (count - 1) / 2) * step / self.scale
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
class Frame:
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

    def box(self, low: Sequence[float], high: Sequence[float]) -> tuple[slice, slice, slice]:
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


def bounded_normal(rng: np.random.Generator, size: int | None = None) -> NDArray[np.float64] | float:
    """Standard normal values, cut at two standard deviations so that no patient is a monster."""
    return np.clip(rng.standard_normal(size), -2.0, 2.0)


def patient_frame(grid: Grid, rng: np.random.Generator, *, pose: Pose) -> Frame:
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
    return Frame(grid, x, y, z)


def rotate(first: Field, second: Field, angle: float) -> tuple[Field, Field]:
    """Coordinates after a turn by `angle` (radians) in their plane."""
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * first + sine * second, cosine * second - sine * first
