"""Solid shapes as depth fields: natural millimetres below the surface, positive inside, negative outside.

With depths, union is the maximum, intersection the minimum, and a wall or a margin is a threshold.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semantiseg.data.phantom.field import Field, Frame, rotate

Point = tuple[float, float, float]
FAR = np.float32(-1e3)


def ellipsoid(
    frame: Frame,
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


def placed(frame: Frame, box: tuple[slice, slice, slice], depth: Field) -> Field:
    """A depth known in a box only, `FAR` elsewhere."""
    field = np.full(frame.grid.shape, FAR, np.float32)
    field[box] = depth
    return field


def column(frame: Frame, centre: tuple[float, float], radii: tuple[float, float], *, power: float = 2.0) -> Field:
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


def tube(frame: Frame, points: Sequence[Point], radii: Sequence[float], *, reach: float = 12.0) -> Field:
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
