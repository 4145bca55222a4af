"""Stomach, small bowel and colon: walls around gas, fluid and stool. The patient lies supine, so gas rises to
anterior.

The abdomen: wall, spine, bowel, liver with its vessels, spleen, pancreas, kidneys (lesions: `abdominal_lesion`).

All positions are in the patient's frame (natural millimetres, X right, Y anterior, Z superior; the origin lies in
front of the spine at the level of the pancreas), after any atlas of cross-sectional anatomy at L1/L2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semantiseg.data.phantom.anatomy import Anatomy, Tissue
from semantiseg.data.phantom.field import (
    FAR,
    BodyFrame,
    Field,
    Point,
    blend,
    bounded_normal,
    column,
    ellipsoid,
    jitter,
    tube,
    union,
    without,
)
from semantiseg.data.phantom.trunk import Wall, paint_spine, paint_table, paint_wall, skin_depth
from semantiseg.randomness import Streams

HOLLOW_WALL = 4.0
ASCENDING: list[Point] = [(88, 8, -125), (90, 6, -95), (88, 10, -66), (84, 22, -50)]
TRANSVERSE: list[Point] = [(84, 22, -50), (52, 54, -56), (10, 62, -64), (-40, 58, -52), (-82, 26, -26)]
DESCENDING: list[Point] = [(-82, 26, -26), (-94, 0, -36), (-95, -6, -75), (-90, 4, -125)]


def paint_bowel(anatomy: Anatomy, streams: Streams) -> None:
    """Colon (ascending on the patient's right, descending on the left), duodenum and loops of small bowel."""
    paint_loops(anatomy, streams)
    frame, rng = anatomy.frame, streams("colon")
    haustra = 1.6 * frame.noise(rng, length=7)
    parts = {}
    for name, points, radius in (
        ("ascending", ASCENDING, 19.0),
        ("transverse", TRANSVERSE, 16.0),
        ("descending", DESCENDING, 16.0),
    ):
        # The flexures, which neighbouring parts share, stay; points between them vary.
        moved = [points[0], *jitter(rng, points[1:-1], 3.0), points[-1]]
        parts[name] = moved
        depth = tube(frame, moved, [radius] * len(moved))
        anatomy.depths[f"colon_{name}"] = np.where(depth > FAR, depth + haustra, FAR)
    colon = union(*(anatomy.depths[f"colon_{name}"] for name in parts))
    colon = np.minimum(colon, anatomy.depths["cavity"] - 2)
    anatomy.depths["colon"] = colon
    paint_hollow(anatomy, colon, Tissue.STOOL)
    content = frame.noise(rng, length=9)
    anatomy.paint((colon > HOLLOW_WALL) & (content + 0.02 * frame.y > 0.3), Tissue.BOWEL_GAS)


def paint_hollow(anatomy: Anatomy, depth: Field, content: Tissue) -> None:
    """A hollow organ: wall of `HOLLOW_WALL` millimetres around its content."""
    anatomy.paint(depth, Tissue.BOWEL_WALL)
    anatomy.paint(depth - HOLLOW_WALL, content)


def paint_loops(anatomy: Anatomy, streams: Streams) -> None:
    """Duodenum around the pancreatic head and loops of small bowel in the lower, anterior abdomen."""
    frame, rng = anatomy.frame, streams("small bowel")
    inside = anatomy.depths["cavity"] - 6
    for _ in range(26):
        centre = (float(rng.uniform(-72, 72)), float(rng.uniform(-2, 58)), float(rng.uniform(-120, -28)))
        radii = (float(rng.uniform(13, 24)), float(rng.uniform(11, 15)), float(rng.uniform(12, 20)))
        loop = np.minimum(ellipsoid(frame, centre, radii, about_z=float(rng.uniform(0, 180))), inside)
        anatomy.paint(loop + 1.5, Tissue.FAT)
        paint_hollow(anatomy, loop, Tissue.BOWEL_FLUID)
        if rng.uniform() < 0.4:
            anatomy.paint((loop > HOLLOW_WALL) & (frame.y > centre[1] + 3), Tissue.BOWEL_GAS)
    duodenum = tube(
        frame, [(36, 24, -2), (56, 8, -14), (54, 2, -34), (30, -4, -42), (4, 2, -42)], [11, 11.5, 11.5, 11, 10]
    )
    paint_hollow(anatomy, duodenum, Tissue.BOWEL_FLUID)


def paint_stomach(anatomy: Anatomy, streams: Streams) -> None:
    """Stomach from the left dome to the pylorus, gas above fluid."""
    frame, rng = anatomy.frame, streams("stomach")
    points = jitter(
        rng, [(-52, -6, 62), (-60, 18, 38), (-50, 42, 12), (-18, 50, -14), (16, 42, -14), (34, 28, -4)], 2.5
    )
    size = float(rng.uniform(0.88, 1.08))
    stomach = tube(frame, points, [size * r for r in (28, 29, 23, 17, 13, 9)])
    stomach = np.where(stomach > FAR, stomach + 1.5 * frame.noise(rng, length=10), FAR)
    stomach = np.minimum(stomach, np.minimum(anatomy.depths["cavity"] - 4, anatomy.depths["diaphragm"] - 4))
    anatomy.depths["stomach"] = stomach
    paint_hollow(anatomy, stomach, Tissue.BOWEL_FLUID)
    level = float(rng.uniform(22, 42))
    anatomy.paint((stomach > HOLLOW_WALL) & (frame.y > level), Tissue.BOWEL_GAS)


WALL = Wall(half_width=112, half_height=80, muscle=11, fat=14, lowest_rib=-22, spine=-44)
IVC_TOP = (20.0, -10.0, 62.0)
HILUM = (32.0, 14.0, 14.0)
CONFLUENCE = (12.0, 12.0, -5.0)


def draw_abdomen(frame: BodyFrame, streams: Streams) -> Anatomy:
    """A whole abdomen without lesions.

    Structures: "liver", "hepatic_vessels" (within the liver), "spleen", "pancreas", "kidney_left", "kidney_right".
    """
    anatomy = Anatomy(frame)
    cavity = paint_wall(anatomy, streams, WALL)
    anatomy.depths["cavity"] = cavity
    paint_lung_bases(anatomy, cavity)
    paint_retroperitoneum(anatomy, cavity)
    paint_spine(anatomy, streams, WALL)
    kidneys = {side: kidney_depths(frame, streams, side) for side in ("left", "right")}
    for side, (body, _) in kidneys.items():
        anatomy.depths[f"kidney_{side}"] = body
    paint_bowel(anatomy, streams)
    pancreas = paint_pancreas(anatomy, streams)
    paint_stomach(anatomy, streams)
    paint_liver(anatomy, streams)
    paint_spleen(anatomy, streams)
    anatomy.paint(pancreas, Tissue.PANCREAS)
    paint_abdominal_vessels(anatomy, streams)
    for side, (body, sinus) in kidneys.items():
        paint_kidney(anatomy, streams, side, body, sinus)
    paint_adrenals(anatomy, streams)
    paint_table(anatomy, skin_depth(anatomy))
    name_structures(anatomy)
    return anatomy


def name_structures(anatomy: Anatomy) -> None:
    """Name what the collections label, from the tissues as painted (later paint has covered earlier)."""
    vessel = anatomy.mask(Tissue.LIVER_VESSEL)
    anatomy.structures.update(
        liver=anatomy.mask(Tissue.LIVER) | vessel,
        hepatic_vessels=vessel,
        spleen=anatomy.mask(Tissue.SPLEEN),
        pancreas=anatomy.mask(Tissue.PANCREAS),
    )
    kidney = anatomy.mask(Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA)
    anatomy.structures["kidney_right"] = kidney & (anatomy.frame.x > 0)
    anatomy.structures["kidney_left"] = kidney & (anatomy.frame.x <= 0)


def paint_lung_bases(anatomy: Anatomy, cavity: Field) -> None:
    """Lung in the recess above and around the domes of the diaphragm; `depths["diaphragm"]` is the depth below it."""
    x, y, z = anatomy.frame.x, anatomy.frame.y, anatomy.frame.z
    right = 84 - 62 * (((x - 58) / 64) ** 2 + ((y - 2) / 78) ** 2)
    left = 78 - 62 * (((x + 58) / 64) ** 2 + ((y - 2) / 78) ** 2)
    middle = 66 - 40 * ((x / 60) ** 2 + ((y - 36) / 60) ** 2)
    domes: list[NDArray[np.floating]] = [right, left, middle, np.full_like(z, -25)]
    dome = np.maximum.reduce(domes)
    anatomy.depths["diaphragm"] = dome - z
    anatomy.paint((z > dome + 3) & (z > dome) & (cavity > 2) & (np.abs(x) > 30), Tissue.LUNG)
    anatomy.paint((np.abs(z - dome - 1) < 2.5) & (cavity > 0), Tissue.MUSCLE)


def paint_retroperitoneum(anatomy: Anatomy, cavity: Field) -> None:
    """Psoas muscles, growing downwards, and the crura of the diaphragm beside the aorta."""
    frame = anatomy.frame
    growth = np.clip((25 - frame.z) / 90, 0, 1)
    for side in (-1, 1):
        psoas = column(frame, (36 * side, WALL.spine - 3), (19, 19)) - 15 * (1 - growth)
        anatomy.paint(np.minimum(psoas, cavity + 6), Tissue.MUSCLE)
        crus = np.minimum(column(frame, (15 * side - 2, -20), (5, 13)), frame.z + 25)
        anatomy.paint(crus, Tissue.MUSCLE)
        quadratus = np.minimum(column(frame, (62 * side, WALL.spine - 20), (17, 9)), 20 - frame.z)
        anatomy.paint(np.minimum(quadratus, cavity + 8), Tissue.MUSCLE)


def paint_liver(anatomy: Anatomy, streams: Streams) -> None:
    """Right and left lobe under the right dome, with fossae for neighbours, gallbladder and the vascular tree."""
    frame, rng = anatomy.frame, streams("liver")
    size = 1 + 0.05 * bounded_normal(rng, 3)
    right = ellipsoid(frame, (61, 0, 14), (57 * size[0], 78 * size[1], 70))
    left = ellipsoid(frame, (6, 42, 32), (60 * size[2], 36, 34 * size[2]), about_y=-8)
    liver = blend(right, left, width=24) + 1.6 * frame.noise(rng, length=16)
    bile = ellipsoid(frame, (50, 40, -16), (13, 13, 25), about_x=20)
    around = union(column(frame, (-4, WALL.spine + 8), (25, 36)), ellipsoid(frame, (22, 12, -12), (24, 22, 22)))
    liver = without(liver, around)
    liver = without(liver, anatomy.depths["kidney_right"], anatomy.depths["pancreas"], gap=4)
    liver = without(liver, bile, gap=1)
    liver = np.minimum(liver, np.minimum(anatomy.depths["cavity"] - 3, anatomy.depths["diaphragm"] - 3))
    anatomy.paint(liver, Tissue.LIVER)
    anatomy.paint(bile + 1.2, Tissue.BOWEL_WALL)
    anatomy.paint(bile, Tissue.GALLBLADDER)
    anatomy.depths["liver"] = liver
    tree = hepatic_tree(frame, streams)
    anatomy.paint(np.minimum(tree, liver - 2), Tissue.LIVER_VESSEL)


Branch = tuple[list[tuple[float, float, float]], list[float]]
"""Points of a vessel in natural millimetres and its radius at each."""


def hepatic_tree(frame: BodyFrame, streams: Streams) -> Field:
    """Depth below portal and hepatic veins; the smallest branches are 8 natural millimetres wide."""
    rng = streams("hepatic vessels")
    portal: list[Branch] = [
        ([HILUM, (58, 8, 20), (72, 30, 30), (84, 50, 38)], [7.0, 6.2, 5.2, 4.2]),
        ([(58, 8, 20), (78, -20, 18), (94, -40, 12)], [6.0, 5.2, 4.2]),
        ([(72, 10, 20), (92, 18, 4), (98, 26, -16)], [5.2, 4.6, 4.1]),
        ([HILUM, (14, 32, 24), (-8, 46, 32), (-30, 50, 34)], [6.2, 5.6, 4.8, 4.1]),
        ([(70, -12, 18), (66, -38, 30), (62, -52, 38)], [5.0, 4.5, 4.0]),
    ]
    hepatic: list[Branch] = [
        ([IVC_TOP, (50, -12, 52), (82, -14, 36), (98, -8, 14)], [6.6, 6.0, 5.0, 4.2]),
        ([IVC_TOP, (34, 18, 52), (48, 44, 44), (54, 56, 22)], [6.2, 5.6, 4.8, 4.1]),
        ([IVC_TOP, (6, 20, 54), (-16, 40, 46)], [6.0, 5.2, 4.2]),
        ([(66, -12, 46), (74, 20, 50), (78, 38, 54)], [5.0, 4.5, 4.0]),
    ]
    width = 1 + 0.06 * float(bounded_normal(rng))
    branches = []
    for points, radii in portal + hepatic:
        # The root of a branch stays where its stem is; only what lies further out varies.
        moved = [points[0], *jitter(rng, points[1:], 4.5)]
        branches.append(tube(frame, moved, [radius * width for radius in radii]))
    return union(*branches)


def paint_spleen(anatomy: Anatomy, streams: Streams) -> None:
    """Spleen against the left wall behind the stomach."""
    frame, rng = anatomy.frame, streams("spleen")
    size = 1 + 0.09 * float(bounded_normal(rng))
    spleen = ellipsoid(frame, (-84, -30, 20), (28 * size, 47 * size, 47 * size), about_z=-24, about_x=-12)
    spleen = without(spleen + 1.5 * frame.noise(rng, length=16), ellipsoid(frame, (-48, -14, 20), (22, 26, 34)))
    spleen = without(spleen, anatomy.depths["stomach"], anatomy.depths["kidney_left"], gap=4)
    spleen = np.minimum(spleen, np.minimum(anatomy.depths["cavity"] - 3, anatomy.depths["diaphragm"] - 3))
    anatomy.depths["spleen"] = spleen
    anatomy.paint(spleen, Tissue.SPLEEN)


def paint_pancreas(anatomy: Anatomy, streams: Streams) -> Field:
    """Lobulated band from the duodenum (head, right) over the great vessels to the splenic hilum (tail, left)."""
    frame, rng = anatomy.frame, streams("pancreas")
    points = [(32, 4, -24), (30, 8, -12), (14, 20, -4), (-12, 24, 4), (-40, 12, 10), (-66, -4, 16)]
    width = 1 + 0.07 * float(bounded_normal(rng))
    body = tube(frame, jitter(rng, points, 2.5), [width * r for r in (13, 15.5, 12, 12, 12.5, 11)])
    pancreas = np.where(body > FAR, body + 1.5 * frame.noise(rng, length=5), FAR)
    anatomy.depths["pancreas"] = pancreas
    return pancreas


def paint_abdominal_vessels(anatomy: Anatomy, streams: Streams) -> None:
    """Aorta (left of the midline), inferior vena cava (right), portal and splenic vein, superior mesenteric vessels."""
    frame, rng = anatomy.frame, streams("vessels")
    low, high = -150.0, 150.0
    aorta = tube(frame, [(-9, -15, low), (-9, -16, 0), (-6, -18, high)], [10, 10.5, 11.5])
    cava = tube(frame, [(18, -15, low), (18, -14, 0), (20, -10, 60), (18, -6, high)], [11, 12, 12, 12])
    portal = tube(frame, [(8, 8, low), (9, 8, -30), CONFLUENCE, (22, 10, 5), HILUM], [6, 6, 7.5, 7.2, 7])
    splenic = tube(frame, jitter(rng, [CONFLUENCE, (-14, 6, 5), (-40, -4, 12), (-68, -18, 18)], 1.5), [5.5, 5, 5, 4.5])
    mesenteric = tube(frame, [(-5, -6, 8), (-5, 4, -8), (-3, 8, low)], [4, 4.5, 4])
    coeliac = tube(frame, [(-8, -8, 20), (-2, 6, 24), (16, 12, 20)], [4.2, 4, 3.5])
    for vessel, tissue in (
        (union(portal, splenic), Tissue.VEIN),
        (cava, Tissue.VEIN),
        (union(aorta, mesenteric, coeliac), Tissue.AORTA),
    ):
        anatomy.paint((vessel > 0) & ~anatomy.mask(Tissue.LIVER, Tissue.LIVER_VESSEL, Tissue.BONE_CORTEX), tissue)
    anatomy.paint((np.minimum(cava, frame.z) > 0) & ~anatomy.mask(Tissue.BONE_CORTEX), Tissue.VEIN)
    calcified = (np.abs(aorta - 0.5) < 1.2) & (frame.noise(rng, length=4) > 2.1)
    anatomy.paint(calcified, Tissue.BONE_CORTEX)


def kidney_depths(frame: BodyFrame, streams: Streams, side: str) -> tuple[Field, Field]:
    """Depths below a kidney's outline and below its sinus (fat and vessels of the hilum)."""
    rng = streams(f"kidney {side}")
    sign = 1 if side == "right" else -1
    size = 1 + 0.06 * float(bounded_normal(rng))
    centre = jitter(rng, [(64 * sign, -34, -34 if side == "right" else -24)], 3.0)[0]
    body = ellipsoid(frame, centre, (27 * size, 25 * size, 52 * size), about_z=-25.0 * sign, about_y=-9.0 * sign)
    hilum = (centre[0] - 17 * sign, centre[1] + 9, centre[2])
    sinus = ellipsoid(frame, hilum, (16 * size, 8.5, 20 * size), about_z=-28.0 * sign)
    return body + 0.8 * frame.noise(rng, length=12), sinus + 0.8 * frame.noise(rng, length=6)


def paint_kidney(anatomy: Anatomy, streams: Streams, side: str, body: Field, sinus: Field) -> None:
    """Cortex, medullary pyramids with columns between, fatty sinus and renal vessels."""
    frame, rng = anatomy.frame, streams(f"renal parenchyma {side}")
    sign = 1 if side == "right" else -1
    parenchyma = without(body, sinus)
    anatomy.paint(parenchyma, Tissue.KIDNEY_CORTEX)
    columns = frame.noise(rng, length=6)
    anatomy.paint((parenchyma > 0) & (body > 8) & (columns > -0.6), Tissue.KIDNEY_MEDULLA)
    anatomy.paint(np.minimum(sinus, body), Tissue.FAT)
    level = -32.0 if side == "right" else -22.0
    vein = tube(frame, [(52 * sign, -24, level), (34 * sign, -16, level), (14 * sign, -12, level + 3)], [4.2, 4.6, 4.6])
    outside = ~anatomy.mask(Tissue.KIDNEY_CORTEX, Tissue.KIDNEY_MEDULLA, Tissue.AORTA, Tissue.BONE_CORTEX)
    anatomy.paint((vein > 0) & outside & ~anatomy.mask(Tissue.MUSCLE, Tissue.PANCREAS), Tissue.VEIN)


def paint_adrenals(anatomy: Anatomy, streams: Streams) -> None:
    """Thin adrenal limbs above and in front of the kidneys, in fat only."""
    for sign, level in ((1, 26.0), (-1, 30.0)):
        points = jitter(streams(f"adrenal {sign}"), [(34 * sign, -34, level), (30 * sign, -22, level - 4)], 2.0)
        limb = tube(anatomy.frame, points, [3.2, 2.8])
        anatomy.paint((limb > 0) & anatomy.mask(Tissue.FAT), Tissue.ADRENAL)
