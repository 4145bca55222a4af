"""The heart in the mediastinum: four chambers, great vessels and the pulmonary veins that enter the left atrium.

The thorax: wall, lungs with vessels and airways, mediastinum and heart; lung tumours.
"""

from __future__ import annotations

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy, Tissue, largest_piece
from semantiseg.data.phantom.field import (
    FAR,
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
from semantiseg.data.phantom.lesion import (
    Blob,
    blob_depth,
    choose_centre,
    descending_radii,
    inside_scan,
    room_inside,
    spicules,
)
from semantiseg.data.phantom.trunk import Wall, paint_spine, paint_table, paint_wall, skin_depth
from semantiseg.randomness import Streams

PULMONARY_VEINS = {
    "right superior": [(16, -2, 12), (34, -4, 20), (58, 2, 32)],
    "right inferior": [(16, -10, -4), (34, -20, -8), (56, -32, -18)],
    "left superior": [(-20, -2, 14), (-36, -2, 22), (-58, 8, 34)],
    "left inferior": [(-20, -10, -2), (-38, -20, -6), (-58, -34, -16)],
}
STUB = 13.0
"""How far (natural mm) the left atrium's label follows a pulmonary vein, as in the collection's protocol."""


def paint_heart(anatomy: Anatomy, streams: Streams) -> None:
    """Paint the heart over lung and mediastinal fat. Structure: "left_atrium" (with the stubs of its veins)."""
    frame, rng = anatomy.frame, streams("heart")
    size = 1 + 0.06 * float(bounded_normal(rng))
    pericardium = ellipsoid(frame, (-16, 24, -16), (62 * size, 49 * size, 56 * size), about_z=-24, about_y=14)
    pericardium = union(pericardium, ellipsoid(frame, (4, 18, 30), (34, 36, 40)))
    anatomy.paint(np.minimum(pericardium, anatomy.depths["cavity"] - 2), Tissue.FAT)
    for chamber in right_heart(frame, streams):
        anatomy.paint(chamber + 3, Tissue.MYOCARDIUM)
        anatomy.paint(chamber, Tissue.HEART_BLOOD)
    left = ellipsoid(frame, (-38, 22, -22), (25 * size, 38 * size, 27 * size), about_z=-32, about_y=10)
    anatomy.paint(left + 10, Tissue.MYOCARDIUM)
    anatomy.paint(left, Tissue.HEART_BLOOD)
    paint_thoracic_vessels(anatomy, streams)
    paint_left_atrium(anatomy, streams)


def right_heart(frame: BodyFrame, streams: Streams) -> list[Field]:
    """Depths below the blood of right atrium and right ventricle."""
    points = jitter(streams("right heart"), [(34, 24, -12), (-2, 52, -20)], 2.5)
    atrium = ellipsoid(frame, points[0], (22, 25, 30))
    ventricle = ellipsoid(frame, points[1], (34, 17, 30), about_z=-20)
    return [ventricle, atrium]


def paint_thoracic_vessels(anatomy: Anatomy, streams: Streams) -> None:
    """Ascending and descending aorta, pulmonary trunk and arteries, venae cavae, oesophagus."""
    frame = anatomy.frame
    moved = jitter(streams("aorta"), [(6, 26, 4), (10, 28, 34)], 1.5)
    ascending = tube(frame, [*moved, (6, 18, 66), (-8, -12, 74), (-20, -34, 62)], [14, 14, 13, 12, 12])
    descending = tube(frame, [(-20, -34, 150), (-20, -36, 0), (-14, -36, -150)], [12, 12, 11.5])
    trunk = tube(frame, [(-14, 44, 4), (-16, 32, 34), (-8, 6, 46), (28, -4, 34)], [12, 12, 11, 8])
    left_artery = tube(frame, [(-14, 14, 44), (-40, -12, 34)], [11, 8])
    upper = tube(frame, [(30, 16, 4), (28, 14, 40), (26, 18, 150)], [10, 10, 10])
    lower = tube(frame, [(28, 8, -30), (26, 2, -60), (24, -4, -150)], [12, 12, 12])
    oesophagus = tube(frame, [(-2, -30, 150), (-2, -31, 0), (-6, -24, -150)], [7, 7, 7])
    for vessel, tissue in (
        (oesophagus, Tissue.MUSCLE),
        (union(trunk, left_artery), Tissue.HEART_BLOOD),
        (union(upper, lower), Tissue.VEIN),
        (union(ascending, descending), Tissue.AORTA),
    ):
        anatomy.paint(vessel + 1.5, Tissue.MUSCLE)
        anatomy.paint(vessel, tissue)


def paint_left_atrium(anatomy: Anatomy, streams: Streams) -> None:
    """Left atrium in front of spine and oesophagus, its appendage to the left and the four pulmonary veins."""
    frame, rng = anatomy.frame, streams("left atrium")
    size = 1 + 0.08 * float(bounded_normal(rng))
    body = ellipsoid(frame, (0, -5, 2), (30 * size, 18.5 * size, 26 * size), about_z=4 * float(bounded_normal(rng)))
    appendage = tube(frame, [(-20, 2, 10), (-34, 12, 16)], [9, 6])
    atrium = union(body + 1.2 * frame.noise(rng, length=10), appendage)
    veins = []
    for name, points in PULMONARY_VEINS.items():
        moved = [points[0], *jitter(streams(f"vein {name}"), points[1:], 2.5)]
        veins.append(tube(frame, moved, [8.5, 7.5, 5.5]))
    vein = union(*veins)
    anatomy.paint(union(atrium, vein) + 2, Tissue.MYOCARDIUM)
    anatomy.paint(vein, Tissue.VEIN)
    blood = np.where(union(atrium, np.where(body > -STUB, vein, -1)) > 0, True, False)
    blood &= ~anatomy.mask(Tissue.AORTA, Tissue.BONE_CORTEX, Tissue.BONE_MARROW)
    anatomy.paint(blood, Tissue.LEFT_ATRIUM)
    anatomy.structures["left_atrium"] = blood


WALL = Wall(half_width=116, half_height=86, muscle=14, fat=12, lowest_rib=-95, spine=-52)


def draw_thorax(frame: BodyFrame, streams: Streams, *, table: bool) -> Anatomy:
    """A chest without lesions. Structures: "left_atrium", "lung_left", "lung_right"."""
    anatomy = Anatomy(frame)
    cavity = paint_wall(anatomy, streams, WALL)
    anatomy.depths["cavity"] = cavity
    paint_lungs(anatomy, streams, cavity)
    paint_spine(anatomy, streams, WALL)
    paint_lung_vessels(anatomy, streams)
    paint_heart(anatomy, streams)
    if table:
        paint_table(anatomy, skin_depth(anatomy))
    lung = anatomy.mask(Tissue.LUNG, Tissue.LUNG_VESSEL)
    anatomy.structures["lung_right"] = lung & (frame.x > 0)
    anatomy.structures["lung_left"] = lung & (frame.x <= 0)
    return anatomy


def paint_lungs(anatomy: Anatomy, streams: Streams, cavity: Field) -> None:
    """Both lungs beside the mediastinum, above the domes of the diaphragm."""
    frame, rng = anatomy.frame, streams("lungs")
    spine = column(frame, (0, WALL.spine), (29, 26))
    mediastinum = union(column(frame, (0, 4), (21, 78)), spine)
    dome = float(rng.uniform(-92, -80))
    for side, sign in (("right", 1), ("left", -1)):
        width = 61 + 2.5 * float(bounded_normal(rng))
        lung = ellipsoid(frame, (sign * 62, -2, 0), (width, 82, 175), reach=40)
        lung = without(np.minimum(lung, cavity - 3), mediastinum)
        diaphragm = ellipsoid(frame, (sign * 66, 0, dome - 10 * (sign < 0)), (62, 84, 48), reach=20)
        lung = without(lung, diaphragm)
        anatomy.depths[f"lung_{side}"] = lung
        anatomy.paint(lung, Tissue.LUNG)
        anatomy.paint(np.minimum(diaphragm - 4, cavity - 3), Tissue.LIVER if side == "right" else Tissue.MUSCLE)


def paint_lung_vessels(anatomy: Anatomy, streams: Streams) -> None:
    """Vessels fanning out from the hila, and the airways: trachea, main bronchi and their first branches."""
    frame, rng = anatomy.frame, streams("lung vessels")
    lung = anatomy.mask(Tissue.LUNG)
    vessels = np.full(frame.grid.shape, FAR, np.float32)
    for sign in (1, -1):
        hilum = np.array([sign * 30.0, -8.0, 8.0])
        for _ in range(15):
            direction = rng.standard_normal(3) * (0.55, 1.0, 1.1) + (sign * 0.9, 0, 0)
            direction /= np.linalg.norm(direction)
            reach = float(rng.uniform(40, 75))
            bend = rng.standard_normal(3) * 7
            points = [hilum, hilum + direction * reach * 0.5 + bend, hilum + direction * reach]
            np.maximum(vessels, tube(frame, [tuple(p) for p in points], [5.0, 3.0, 1.6], reach=3), out=vessels)
    anatomy.paint((vessels > 0) & lung, Tissue.LUNG_VESSEL)
    trachea = [(0, -14, 150), (0, -16, 70), (1, -17, 42)]
    for sign in (1, -1):
        bronchus = tube(
            frame,
            [*trachea, (sign * 18, -16, 26), (sign * 38, -14, 10), (sign * 52, -18, -8)],
            [9, 9, 8.5, 7, 5.5, 3.5],
        )
        anatomy.paint((bronchus > -2) & ~lung, Tissue.MUSCLE)
        anatomy.paint(bronchus, Tissue.AIRWAY)


def paint_lung_tumours(anatomy: Anatomy, streams: Streams, *, sides: list[str], spiculated: bool) -> None:
    """Solid masses in the named lungs, largest first; large ones have a darker core. Structure: "lung_tumour"."""
    frame, rng = anatomy.frame, streams("lung tumours")
    blobs: list[Blob] = []
    tumour = np.zeros(frame.grid.shape, bool)
    radii = descending_radii(rng, largest=(15, 29), count=len(sides), ratio=1.5)
    for side, radius in zip(sides, radii, strict=True):
        lung = np.minimum(anatomy.depths[f"lung_{side}"], 1) > 0
        room = room_inside(frame, lung & ~anatomy.mask(Tissue.HEART_BLOOD, Tissue.MYOCARDIUM))
        level = blobs[0].centre[2] if blobs else None
        allowed = (room > 0.8 * radius) & inside_scan(frame, margin=radius + 4)
        centre = choose_centre(frame, rng, allowed, level=level, apart=blobs, radius=radius)
        if centre is None:
            continue
        blobs.append(Blob(centre, radius, elongation=0.15, roughness=2.0))
        depth = blob_depth(frame, rng, blobs[-1])
        mass = union(depth, spicules(frame, rng, blobs[-1])) if spiculated else depth
        body = largest_piece((np.minimum(mass, anatomy.depths["cavity"] - 2) > 0) & lung)
        anatomy.paint(body, Tissue.LUNG_TUMOUR)
        if radius > 22:
            anatomy.paint(body & (depth > 0.45 * radius), Tissue.LUNG_TUMOUR_CORE)
        tumour |= body
    anatomy.structures["lung_tumour"] = tumour
