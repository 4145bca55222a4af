"""Stomach, small bowel and colon: walls around gas, fluid and stool. The patient lies supine, so gas rises to
anterior.
"""

from __future__ import annotations

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy
from semantiseg.data.phantom.field import Field
from semantiseg.data.phantom.shape import FAR, Point, ellipsoid, jitter, tube, union
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue

WALL = 4.0
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
    anatomy.paint((colon > WALL) & (content + 0.02 * frame.y > 0.3), Tissue.BOWEL_GAS)


def paint_hollow(anatomy: Anatomy, depth: Field, content: Tissue) -> None:
    """A hollow organ: wall of `WALL` millimetres around its content."""
    anatomy.paint(depth, Tissue.BOWEL_WALL)
    anatomy.paint(depth - WALL, content)


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
            anatomy.paint((loop > WALL) & (frame.y > centre[1] + 3), Tissue.BOWEL_GAS)
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
    anatomy.paint((stomach > WALL) & (frame.y > level), Tissue.BOWEL_GAS)
