"""The heart in the mediastinum: four chambers, great vessels and the pulmonary veins that enter the left atrium."""

from __future__ import annotations

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy
from semantiseg.data.phantom.field import Field, Frame, bounded_normal
from semantiseg.data.phantom.shape import ellipsoid, jitter, tube, union
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue

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
    paint_great_vessels(anatomy, streams)
    paint_left_atrium(anatomy, streams)


def right_heart(frame: Frame, streams: Streams) -> list[Field]:
    """Depths below the blood of right atrium and right ventricle."""
    points = jitter(streams("right heart"), [(34, 24, -12), (-2, 52, -20)], 2.5)
    atrium = ellipsoid(frame, points[0], (22, 25, 30))
    ventricle = ellipsoid(frame, points[1], (34, 17, 30), about_z=-20)
    return [ventricle, atrium]


def paint_great_vessels(anatomy: Anatomy, streams: Streams) -> None:
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
