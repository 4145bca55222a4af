"""The thorax: wall, lungs with vessels and airways, mediastinum and heart; lung tumours."""

from __future__ import annotations

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy, largest_piece
from semantiseg.data.phantom.field import Field, Frame, bounded_normal
from semantiseg.data.phantom.heart import paint_heart
from semantiseg.data.phantom.lesion import (
    Blob,
    blob_depth,
    choose_centre,
    descending_radii,
    inside_scan,
    room_inside,
    spicules,
)
from semantiseg.data.phantom.shape import FAR, column, ellipsoid, tube, union, without
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue
from semantiseg.data.phantom.trunk import Wall, paint_spine, paint_table, paint_wall, skin_depth

WALL = Wall(half_width=116, half_height=86, muscle=14, fat=12, lowest_rib=-95, spine=-52)


def draw_thorax(frame: Frame, streams: Streams, *, table: bool) -> Anatomy:
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
