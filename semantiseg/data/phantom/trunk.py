"""The wall of the trunk: skin, fat, muscle, ribs and spine, shared by abdomen and thorax."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy
from semantiseg.data.phantom.field import Field, bounded_normal
from semantiseg.data.phantom.shape import column, union, without
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue

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
