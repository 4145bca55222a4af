"""Lesions of the abdomen: liver, pancreas, kidney and colon. Each function paints into an anatomy and names what it
painted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy, Mask, largest_piece
from semantiseg.data.phantom.field import Field
from semantiseg.data.phantom.lesion import (
    Blob,
    blob_depth,
    choose_centre,
    descending_radii,
    inside_scan,
    room_inside,
)
from semantiseg.data.phantom.shape import column
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue

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
