"""Lesions: where in (or on) an organ they sit, and their shape.

Lesions of the abdomen: liver, pancreas, kidney and colon. Each function paints into an anatomy and names what it
painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.anatomy import Anatomy, Mask, Tissue, largest_piece
from semantiseg.data.phantom.field import BodyFrame, Field, Point, column, ellipsoid
from semantiseg.randomness import Streams

Room = NDArray[np.float32]


@dataclass(frozen=True)
class Blob:
    """A lesion to draw: centre and mean radius in the patient's frame, elongation, roughness (natural mm)."""

    centre: Point
    radius: float
    elongation: float = 0.15
    roughness: float = 0.0


def room_inside(frame: BodyFrame, host: Mask) -> Room:
    """Distance (natural mm) of every voxel of `host` to its border, 0 outside; the scan's own border does not count."""
    if not host.any():
        return np.zeros(host.shape, np.float32)
    low = np.maximum(np.argwhere(host).min(0) - 1, 0)
    high = np.argwhere(host).max(0) + 2
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    room = np.zeros(host.shape, np.float32)
    room[box] = ndimage.distance_transform_edt(host[box], sampling=frame.grid.voxel)
    return room


def inside_scan(frame: BodyFrame, *, margin: float) -> Mask:
    """Voxels at least `margin` natural millimetres (up and down) away from the first and last slice of the scan."""
    _, _, z = frame.grid.axes
    return np.broadcast_to((z - z[0] >= margin) & (z[-1] - z >= margin), frame.grid.shape)


def choose_centre(
    frame: BodyFrame,
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


def blob_depth(frame: BodyFrame, rng: np.random.Generator, blob: Blob) -> Field:
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


def threshold_of_volume(frame: BodyFrame, depth: Field, volume: float) -> np.float32:
    """The depth above which lie `volume` natural mm3: roughness must not change which lesion is the largest."""
    voxels = int(np.clip(volume / np.prod(frame.grid.voxel), 1, depth.size - 1))
    return np.partition(depth.ravel(), -voxels)[-voxels]


def spicules(frame: BodyFrame, rng: np.random.Generator, blob: Blob, *, count: int = 9, length: float = 0.8) -> Field:
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


SIZE_RATIO = 1.5
"""Least ratio of the diameters of a lesion and the next smaller one, so that "largest" is beyond doubt."""


def paint_liver_tumours(anatomy: Anatomy, streams: Streams, *, sides: Sequence[str], rim: bool) -> None:
    """Hypodense tumours, largest first, each in the "right" or the "left" part of the liver (of the body's midline).

    Large ones have a darker core; with `rim` they enhance at the border. Structure: "liver_tumour".
    """
    frame, rng = anatomy.frame, streams("liver tumours")
    liver = anatomy.structures["liver"]
    room, slices = room_inside(frame, liver), inside_scan(frame, margin=14)
    tumour = np.zeros_like(liver)
    blobs: list[Blob] = []
    # The left lobe is thin: where it holds the largest tumour, all are smaller.
    largest = (18.5, 22.0) if sides and sides[0] == "left" else (24.0, 32.0)
    radii = descending_radii(rng, largest=largest, count=len(sides), ratio=SIZE_RATIO)
    for side, radius in zip(sides, radii, strict=True):
        level = blobs[0].centre[2] if blobs and rng.uniform() < 0.85 else None
        where = frame.x > 24 if side == "right" else frame.x < 4
        centre = choose_centre(
            frame, rng, (room > 0.75 * radius) & slices & where, level=level, apart=blobs, radius=radius
        )
        if centre is None:
            continue
        blobs.append(Blob(centre, radius, elongation=0.12, roughness=float(rng.uniform(0.6, 2.6))))
        depth = np.minimum(blob_depth(frame, rng, blobs[-1]), anatomy.depths["liver"])
        body = largest_piece(depth > 0)
        anatomy.paint(body, Tissue.LIVER_TUMOUR)
        if rim:
            anatomy.paint(body & (depth < 3.5), Tissue.LIVER_TUMOUR_RIM)
        if radius > 20:
            core = depth > 0.5 * radius + 2.5 * frame.noise(rng, length=6)
            anatomy.paint(core & body, Tissue.LIVER_TUMOUR_CORE)
        tumour |= body
    anatomy.structures["liver_tumour"] = tumour
    anatomy.structures["hepatic_vessels"] = anatomy.structures["hepatic_vessels"] & ~tumour


def paint_pancreatic_tumour(anatomy: Anatomy, streams: Streams, *, part: str) -> None:
    """One hypodense mass in the "head", "body" or "tail".

    Structure: "pancreatic_tumour" (the pancreas keeps the rest).
    """
    frame, rng = anatomy.frame, streams("pancreatic tumour")
    pancreas = anatomy.structures["pancreas"]
    x = frame.x
    where = {"head": x > 20, "body": (x > -36) & (x < 4), "tail": x < -38}[part]
    radius = float(rng.uniform(15, 19)) if part == "head" else float(rng.uniform(14, 17.5))
    centre = choose_centre(frame, rng, (room_inside(frame, pancreas) > 5) & where, radius=radius)
    if centre is None:
        return
    blob = Blob(centre, radius, elongation=0.15, roughness=1.6)
    depth = np.minimum(blob_depth(frame, rng, blob), anatomy.depths["pancreas"] + 8)
    soft = pancreas | anatomy.mask(Tissue.FAT, Tissue.BOWEL_WALL, Tissue.BOWEL_FLUID, Tissue.BOWEL_GAS)
    tumour = largest_piece((depth > 0) & soft)
    anatomy.paint(tumour, Tissue.PANCREATIC_TUMOUR)
    anatomy.structures["pancreatic_tumour"] = tumour
    anatomy.structures["pancreas"] = pancreas & ~tumour


def parenchyma_room(anatomy: Anatomy, side: str) -> tuple[Field, Mask]:
    """Depth below a kidney's outline and the voxels of the scan in which a lesion of that kidney may be centred."""
    depth = anatomy.depths[f"kidney_{side}"]
    frame = anatomy.frame
    outward = frame.x > 58 if side == "right" else frame.x < -58
    return depth, inside_scan(frame, margin=16) & outward & (frame.z > -72) & (frame.z < 8)


def paint_kidney_tumours(anatomy: Anatomy, streams: Streams, *, sides: Sequence[str], large: bool) -> bool:
    """Heterogeneous, hypo-enhancing tumours on the named kidneys, largest first; true if one has a low-density core.

    Structure: "kidney_tumour" (the kidneys keep the rest).
    """
    frame, rng = anatomy.frame, streams("kidney tumours")
    blobs: list[Blob] = []
    tumour = np.zeros(frame.grid.shape, bool)
    necrotic = False
    first = (26.0, 32.0) if large else (18.0, 23.0)
    space = room_inside(frame, free_of_wall(anatomy))
    for side, radius in zip(
        sides, descending_radii(rng, largest=first, count=len(sides), ratio=SIZE_RATIO), strict=True
    ):
        kidney, allowed = parenchyma_room(anatomy, side)
        sink = float(rng.uniform(-0.25, 0.45)) * radius
        surface = np.abs(kidney - sink) < 2
        level = blobs[0].centre[2] if blobs and rng.uniform() < 0.85 else None
        candidates = allowed & surface & (space > 0.75 * radius)
        centre = choose_centre(frame, rng, candidates, level=level, apart=blobs, radius=radius)
        if centre is None:
            continue
        blobs.append(Blob(centre, radius, elongation=0.1, roughness=float(rng.uniform(0.5, 2.0))))
        depth = blob_depth(frame, rng, blobs[-1])
        body = largest_piece((depth > 0) & free_of_wall(anatomy))
        anatomy.paint(body, Tissue.KIDNEY_TUMOUR)
        if radius > 22:
            core = depth > 0.38 * radius + 2.5 * frame.noise(rng, length=6)
            anatomy.paint(core & body, Tissue.KIDNEY_TUMOUR_CORE)
            necrotic = True
        tumour |= body
    anatomy.structures["kidney_tumour"] = tumour
    return necrotic


def paint_kidney_cysts(anatomy: Anatomy, streams: Streams, *, sides: Sequence[str]) -> None:
    """Round, homogeneous, water-dense cysts on the named kidneys, clear of any tumour. Structure: "kidney_cyst"."""
    frame, rng = anatomy.frame, streams("kidney cysts")
    tumour = anatomy.structures["kidney_tumour"]
    cyst = np.zeros_like(tumour)
    blobs: list[Blob] = []
    level = float(frame.z[tumour].mean()) if tumour.any() else None
    radii = descending_radii(rng, largest=(18, 23), count=len(sides), ratio=SIZE_RATIO)
    for side, radius in zip(sides, radii, strict=True):
        kidney, allowed = parenchyma_room(anatomy, side)
        free = room_inside(frame, ~(tumour | cyst)) > radius + 5
        surface = np.abs(kidney - 0.15 * radius) < 2.5
        wanted = level if rng.uniform() < 0.85 else None
        centre = choose_centre(frame, rng, allowed & surface & free, level=wanted, radius=radius)
        if centre is None:
            continue
        blobs.append(Blob(centre, radius, elongation=0.05))
        body = largest_piece((blob_depth(frame, rng, blobs[-1]) > 0) & free_of_wall(anatomy) & ~tumour)
        anatomy.paint(body, Tissue.KIDNEY_CYST)
        cyst |= body
    anatomy.structures["kidney_cyst"] = cyst


def free_of_wall(anatomy: Anatomy) -> Mask:
    """Where a renal lesion may grow: inside the cavity, displacing neighbours but neither spine nor psoas."""
    return (anatomy.depths["cavity"] > 2) & (column(anatomy.frame, (0, -44), (26, 22)) < 0)


def settle_kidneys(anatomy: Anatomy) -> None:
    """Take tumour and cyst away from the kidney masks once all lesions are painted."""
    lesions = anatomy.structures["kidney_tumour"] | anatomy.structures["kidney_cyst"]
    for side in ("left", "right"):
        anatomy.structures[f"kidney_{side}"] = anatomy.structures[f"kidney_{side}"] & ~lesions


def paint_colon_tumour(anatomy: Anatomy, streams: Streams, *, part: str) -> None:
    """An eccentric soft-tissue mass in the "ascending", "transverse" or "descending" colon, narrowing its lumen.

    Structure: "colon_tumour".
    """
    frame, rng = anatomy.frame, streams("colon tumour")
    colon = np.minimum(anatomy.depths[f"colon_{part}"], anatomy.depths["cavity"] - 2)
    allowed = (np.abs(colon - 9) < 3) & inside_scan(frame, margin=22)
    if part == "transverse":
        allowed &= np.abs(frame.x) < 45
    radius = float(rng.uniform(19, 26))
    centre = choose_centre(frame, rng, allowed, radius=radius)
    if centre is None:
        return
    blob = Blob(centre, radius, elongation=0.12, roughness=1.8)
    depth = np.minimum(blob_depth(frame, rng, blob), anatomy.depths["cavity"] - 2)
    near = colon > -7  # the mass follows the bowel, bulging a little into the fat around it
    narrowed = (colon > 12.5) & (frame.noise(rng, length=6) > -0.4)
    tumour = largest_piece((depth > 0) & near & ~narrowed)
    anatomy.paint(tumour, Tissue.COLON_TUMOUR)
    anatomy.structures["colon_tumour"] = tumour
