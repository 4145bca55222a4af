"""Lesions: where in (or on) an organ they sit, and their shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.anatomy import Mask
from semantiseg.data.phantom.field import Field, Frame
from semantiseg.data.phantom.shape import Point, ellipsoid

Room = NDArray[np.float32]


@dataclass(frozen=True)
class Blob:
    """A lesion to draw: centre and mean radius in the patient's frame, elongation, roughness (natural mm)."""

    centre: Point
    radius: float
    elongation: float = 0.15
    roughness: float = 0.0


def room_inside(frame: Frame, host: Mask) -> Room:
    """Distance (natural mm) of every voxel of `host` to its border, 0 outside; the scan's own border does not count."""
    if not host.any():
        return np.zeros(host.shape, np.float32)
    low = np.maximum(np.argwhere(host).min(0) - 1, 0)
    high = np.argwhere(host).max(0) + 2
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    room = np.zeros(host.shape, np.float32)
    room[box] = ndimage.distance_transform_edt(host[box], sampling=frame.grid.voxel)
    return room


def inside_scan(frame: Frame, *, margin: float) -> Mask:
    """Voxels at least `margin` natural millimetres (up and down) away from the first and last slice of the scan."""
    _, _, z = frame.grid.axes
    return np.broadcast_to((z - z[0] >= margin) & (z[-1] - z >= margin), frame.grid.shape)


def choose_centre(
    frame: Frame,
    rng: np.random.Generator,
    allowed: Mask,
    *,
    level: float | None = None,
    apart: Sequence[Blob] = (),
    radius: float,
    gap: float = 6.0,
) -> Point | None:
    """A random allowed voxel as centre, near the height `level` if given, clear of others; None if there is no room."""
    candidates = allowed.copy()
    for other in apart:
        away = np.sqrt(sum((c - o) ** 2 for c, o in zip((frame.x, frame.y, frame.z), other.centre, strict=True)))
        candidates &= away > 1.2 * (radius + other.radius) + gap
    if level is not None:
        near = candidates & (np.abs(frame.z - level) < 8)
        candidates = near if near.any() else candidates
    index = np.flatnonzero(candidates)
    if not len(index):
        return None
    chosen = index[rng.integers(len(index))]
    return (float(frame.x.flat[chosen]), float(frame.y.flat[chosen]), float(frame.z.flat[chosen]))


def blob_depth(frame: Frame, rng: np.random.Generator, blob: Blob) -> Field:
    """Depth below a lesion: an ellipsoid of random direction whose surface is roughened by a smooth field."""
    stretch = np.exp(blob.elongation * np.clip(rng.standard_normal(3), -1.5, 1.5))
    stretch /= stretch.prod() ** (1 / 3)
    rx, ry, rz = (float(blob.radius * s) for s in stretch)
    turn = float(rng.uniform(0, 180))
    depth = ellipsoid(frame, blob.centre, (rx, ry, rz), about_z=turn)
    if blob.roughness:
        depth = depth + np.float32(blob.roughness) * frame.noise(rng, length=max(5.0, blob.radius * 0.35))
        # Far from the lesion the field may rise above the surface: keep what lies around the lesion itself.
        depth = np.minimum(depth, ellipsoid(frame, blob.centre, (1.35 * rx, 1.35 * ry, 1.35 * rz), about_z=turn))
        depth = depth - threshold_of_volume(frame, depth, 4 / 3 * np.pi * blob.radius**3)
    return depth


def threshold_of_volume(frame: Frame, depth: Field, volume: float) -> np.float32:
    """The depth above which lie `volume` natural mm3: roughness must not change which lesion is the largest."""
    voxels = int(np.clip(volume / np.prod(frame.grid.voxel), 1, depth.size - 1))
    return np.partition(depth.ravel(), -voxels)[-voxels]


def spicules(frame: Frame, rng: np.random.Generator, blob: Blob, *, count: int = 9, length: float = 0.8) -> Field:
    """Depth below thin spikes radiating from a lesion (spiculated margin), `length` in radii beyond its surface."""
    x, y, z = (c - np.float32(o) for c, o in zip((frame.x, frame.y, frame.z), blob.centre, strict=True))
    distance = np.sqrt(x**2 + y**2 + z**2)
    depth = np.full(x.shape, -1e3, np.float32)
    for direction in rng.standard_normal((count, 3)) * (1.0, 1.0, 0.5):
        unit = direction / np.linalg.norm(direction)
        along = x * np.float32(unit[0]) + y * np.float32(unit[1]) + z * np.float32(unit[2])
        off = np.sqrt(np.maximum(distance**2 - along**2, 0))
        reach = blob.radius * (1 + length * rng.uniform(0.6, 1.0))
        width = 3.2 * (1 - along / reach)
        np.maximum(depth, np.where((along > 0) & (along < reach), width - off, -1e3), out=depth)
    return depth


def descending_radii(
    rng: np.random.Generator, *, largest: tuple[float, float], count: int, ratio: float
) -> list[float]:
    """Radii of `count` lesions, each at most 1/`ratio` of the one before, so that the largest is beyond doubt."""
    steps = rng.uniform(ratio, ratio * 1.15, max(count - 1, 0))
    first = float(rng.uniform(*largest))
    return [float(first / step) for step in np.cumprod([1.0, *steps])][:count]
