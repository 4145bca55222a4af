"""The wall of the trunk: skin, fat, muscle, ribs and spine, shared by abdomen and thorax.

The pelvis around the prostate, as in a small field of view: zones of the prostate, bladder, rectum, muscle and
bone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy, Tissue
from semantiseg.data.phantom.field import (
    BodyFrame,
    Field,
    bounded_normal,
    column,
    ellipsoid,
    jitter,
    tube,
    union,
    without,
)
from semantiseg.randomness import Streams

SKIN = 3.0
RIB_PITCH = 31.0
VERTEBRA_PITCH = 36.0


@dataclass(frozen=True)
class Wall:
    """Size of a trunk, natural millimetres: inner half axes (to the wall's inside), thickness of muscle and of fat."""

    half_width: float
    half_height: float
    muscle: float
    fat: float
    lowest_rib: float
    """Height (Z) of the lowest rib at the spine; it falls forwards."""
    spine: float
    """Y of the centre of the vertebral bodies."""


def paint_wall(anatomy: Anatomy, streams: Streams, wall: Wall) -> Field:
    """Paint body outline, fat, muscle and ribs; return the depth below the inner surface of the wall (the cavity)."""
    frame, rng = anatomy.frame, streams("wall")
    fat = wall.fat * (1 + 0.3 * float(bounded_normal(rng)))
    cavity = column(frame, (0, 0), (wall.half_width, wall.half_height), power=2.4)
    cavity = cavity + 2.0 * frame.noise(rng, length=30)
    # Fat is thicker at the flanks and the belly than over the spine.
    angle = np.arctan2(frame.x, -frame.y)
    thickness = wall.muscle + fat * (1.0 + 0.25 * np.cos(2 * angle) - 0.25 * np.cos(angle))
    skin = cavity + thickness + SKIN
    anatomy.paint(skin, Tissue.SKIN)
    anatomy.paint(skin - SKIN, Tissue.FAT)
    muscle = cavity + wall.muscle
    anatomy.paint(muscle, Tissue.MUSCLE)
    # Thin fat planes between the sheets of the abdominal wall.
    sheets = frame.noise(rng, length=9)
    anatomy.paint((np.abs(cavity + wall.muscle / 2 + 1.5 * sheets) < 0.9) & (np.abs(angle) > 0.9), Tissue.FAT)
    anatomy.paint(cavity, Tissue.FAT)
    paint_ribs(anatomy, cavity + wall.muscle * 0.55, angle, wall)
    return cavity


def paint_ribs(anatomy: Anatomy, depth: Field, angle: Field, wall: Wall) -> None:
    """Ribs run around the chest, one every `RIB_PITCH`, falling forwards; `depth` is zero on their middle surface."""
    height = anatomy.frame.z + 34.0 * np.abs(angle) - wall.lowest_rib
    number = np.round(height / RIB_PITCH)
    across = (height - number * RIB_PITCH) / 7.5
    section = 1 - np.sqrt(across**2 + (depth / 5.0) ** 2)
    there = (number >= 0) & (np.abs(angle) < 2.3) & (np.abs(angle) > 0.35)
    anatomy.paint(there & (section > 0), Tissue.BONE_CORTEX)
    anatomy.paint(there & (section > 0.55), Tissue.BONE_MARROW)


def paint_spine(anatomy: Anatomy, streams: Streams, wall: Wall) -> None:
    """Vertebral bodies with discs between, canal, arch and spinous process, and the muscles beside them."""
    frame, y = anatomy.frame, wall.spine
    for side in (-1, 1):
        anatomy.paint(column(frame, (31 * side, y - 33), (27, 17)), Tissue.MUSCLE)
        transverse = column(frame, (30 * side, y - 18), (17, 4.5))
        anatomy.paint(transverse, Tissue.BONE_CORTEX)
        anatomy.paint(transverse - 2, Tissue.BONE_MARROW)
    arch = without(column(frame, (0, y - 24), (17, 15)), column(frame, (0, y - 24), (9.5, 9)))
    spinous = column(frame, (0, y - 42), (4.5, 15))
    bone = union(arch, spinous)
    anatomy.paint(bone, Tissue.BONE_CORTEX)
    anatomy.paint(spinous - 2, Tissue.BONE_MARROW)
    anatomy.paint(column(frame, (0, y - 24), (9.5, 9)), Tissue.CORD)
    body = column(frame, (0, y), (22, 16.5), power=2.3)
    phase = float(streams("spine").uniform(0, VERTEBRA_PITCH))
    within = np.abs((frame.z + phase) % VERTEBRA_PITCH - VERTEBRA_PITCH / 2)
    anatomy.paint(body, Tissue.BONE_CORTEX)
    anatomy.paint((body > 2.4) & (within < VERTEBRA_PITCH / 2 - 6), Tissue.BONE_MARROW)
    anatomy.paint((body > 0) & (within > VERTEBRA_PITCH / 2 - 4), Tissue.DISC)
    anatomy.depths["spine"] = union(body, arch)


def paint_table(anatomy: Anatomy, depth: Field) -> None:
    """The scanner's table below the back: a shallow curved shell, only where there is air."""
    frame = anatomy.frame
    lowest = float(frame.y[depth > 0].min())
    # Straight in scanner space, so it uses the grid's axes and not the patient's.
    x, y, _ = frame.grid.axes
    surface = lowest - 7 - 10 * (1 - (x[:, None] / 170) ** 2) + 0 * y[None, :]
    shell = np.abs(y[None, :] - surface) < 3.5
    anatomy.paint(shell[..., None] & (anatomy.tissue == Tissue.AIR) & np.ones_like(depth, bool), Tissue.TABLE)


def skin_depth(anatomy: Anatomy) -> Field:
    """A crude depth of the painted body: positive where there is any tissue."""
    return np.where(anatomy.tissue != Tissue.AIR, 1, -1).astype(np.float32)


def draw_pelvis(frame: BodyFrame, streams: Streams) -> Anatomy:
    """Structures: "peripheral_zone" (crescent, posterior and lateral) and "transition_zone" (central, with nodules)."""
    anatomy = Anatomy(frame)
    anatomy.tissue[:] = Tissue.FAT
    paint_pelvic_wall(anatomy, streams)
    paint_bladder_and_rectum(anatomy, streams)
    paint_prostate(anatomy, streams)
    return anatomy


def paint_pelvic_wall(anatomy: Anatomy, streams: Streams) -> None:
    """Hip bones with the muscles on either side of them, pubic bones, levator, vessels and sacrum."""
    frame = anatomy.frame
    for side in (-1, 1):
        paint_hip(anatomy, side)
        gluteus = tube(frame, [(96 * side, -30, 0), (70 * side, -66, 0), (34 * side, -86, 0)], [24, 22, 14], reach=60)
        anatomy.paint(gluteus + 0.25 * np.abs(frame.z), Tissue.MUSCLE)
        levator = tube(frame, [(22 * side, 16, -34), (31 * side, -14, -18), (36 * side, -30, 10)], [4.5, 4.5, 4])
        anatomy.paint(levator, Tissue.MUSCLE)
        anatomy.paint(column(frame, (19 * side, 80), (18, 8)), Tissue.MUSCLE)
        for name, radius, shift in (("artery", 5.0, 0), ("vein", 6.5, -9)):
            points = [(56 * side, 46 + shift, 45), (66 * side, 68 + shift, -45)]
            vessel = tube(frame, jitter(streams(f"iliac {name} {side}"), points, 2), [radius, radius])
            anatomy.paint(vessel, Tissue.VEIN)
    sacrum = ellipsoid(frame, (0, -92, 20), (30, 13, 60))
    anatomy.paint(sacrum, Tissue.BONE_CORTEX)
    anatomy.paint(sacrum - 2.5, Tissue.BONE_MARROW)
    strands = np.abs(frame.noise(streams("pelvic fat"), length=9)) < 0.06
    anatomy.paint(strands & anatomy.mask(Tissue.FAT), Tissue.CAPSULE)


def paint_hip(anatomy: Anatomy, side: int) -> None:
    """Acetabulum, femoral head and pubic bone of one side, obturator internus inside, hip muscles outside."""
    frame = anatomy.frame
    anatomy.paint(ellipsoid(frame, (92 * side, 46, 0), (32, 24, 70), reach=30), Tissue.MUSCLE)
    anatomy.paint(ellipsoid(frame, (60 * side, 58, -30), (26, 15, 34), about_z=-20 * side), Tissue.MUSCLE)
    acetabulum = ellipsoid(frame, (74 * side, -4, 10), (17, 42, 70), about_z=12 * side, reach=20)
    obturator = without(ellipsoid(frame, (56 * side, -6, -2), (16, 41, 56), about_z=14 * side), acetabulum)
    anatomy.paint(obturator, Tissue.MUSCLE)
    anatomy.paint(acetabulum, Tissue.BONE_CORTEX)
    anatomy.paint(acetabulum - 3, Tissue.BONE_MARROW)
    head = ellipsoid(frame, (90 * side, 6, 12), (23, 23, 24))
    anatomy.paint(head + 4.5, Tissue.VEIN)  # joint fluid
    anatomy.paint(head + 2.5, Tissue.BONE_CORTEX)
    anatomy.paint(head, Tissue.BONE_MARROW)
    pubis = tube(frame, [(66 * side, 28, -2), (40 * side, 46, -14), (8 * side, 50, -28)], [12, 10.5, 13])
    anatomy.paint(pubis, Tissue.BONE_CORTEX)
    anatomy.paint(pubis - 2.6, Tissue.BONE_MARROW)


def paint_bladder_and_rectum(anatomy: Anatomy, streams: Streams) -> None:
    """Bladder above and before the prostate, seminal vesicles, and the rectum behind with stool and gas."""
    frame, rng = anatomy.frame, streams("bladder")
    fill = 1 + 0.12 * float(bounded_normal(rng))
    bladder = ellipsoid(frame, (0, 20, 46), (36 * fill, 28 * fill, 27))
    anatomy.paint(bladder + 4, Tissue.MUSCLE)
    anatomy.paint(bladder, Tissue.BLADDER)
    for side in (-1, 1):
        vesicle = tube(frame, [(6 * side, -18, 24), (20 * side, -20, 30), (32 * side, -18, 38)], [6, 7, 5])
        vesicle = vesicle + 1.5 * frame.noise(streams(f"seminal vesicle {side}"), length=4)
        anatomy.paint(vesicle, Tissue.VEIN)
    points = jitter(rng, [(0, -36, -50), (0, -43, -15), (2, -50, 20), (-4, -56, 50)], 2.0)
    rectum = tube(frame, points, [14, 17, 19, 19]) + 1.6 * frame.noise(rng, length=9)
    anatomy.depths["rectum"] = rectum
    anatomy.paint(rectum + 1.2, Tissue.CAPSULE)
    anatomy.paint(rectum, Tissue.BOWEL_WALL)
    anatomy.paint(rectum - 4.5, Tissue.BOWEL_FLUID)
    gas = (rectum > 4.5) & (frame.y > points[1][1] + float(rng.uniform(-6, 8)))
    anatomy.paint(gas, Tissue.BOWEL_GAS)


def paint_prostate(anatomy: Anatomy, streams: Streams) -> None:
    """The gland with its thin capsule; the transition zone lies anterior of the peripheral zone and is nodular."""
    frame, rng = anatomy.frame, streams("prostate")
    size = 1 + 0.06 * bounded_normal(rng, 3)
    gland = ellipsoid(frame, (0, -2, -4), (28 * size[0], 21 * size[1], 25 * size[2]))
    gland = without(gland + 0.8 * frame.noise(rng, length=10), anatomy.depths["rectum"], gap=1.5)
    inner = ellipsoid(frame, (0, 7.0, 1), (20 * size[0], 13.5 * size[1], 22 * size[2])) + 0.8 * frame.noise(
        rng, length=8
    )
    inner = np.minimum(inner, gland - 1.0)
    stroma = without(ellipsoid(frame, (0, 20, -2), (17, 6, 20)), inner)
    anatomy.paint(gland + 1.8, Tissue.CAPSULE)
    anatomy.paint(gland, Tissue.PERIPHERAL_ZONE)
    anatomy.paint(np.minimum(stroma, gland + 2), Tissue.MUSCLE)
    anatomy.paint(inner + 1.4, Tissue.CAPSULE)
    anatomy.paint(inner, Tissue.TRANSITION_ZONE)
    nodules = frame.noise(rng, length=5)
    anatomy.paint((inner > 1) & (nodules > 0.5), Tissue.TRANSITION_NODULE)
    transition = inner > 0
    anatomy.structures["transition_zone"] = transition
    anatomy.structures["peripheral_zone"] = (
        (gland > 0) & ~transition & anatomy.mask(Tissue.PERIPHERAL_ZONE, Tissue.CAPSULE)
    )
