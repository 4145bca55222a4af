"""The hippocampus in a tight crop of the temporal lobe: head (anterior) and body with tail (posterior).

The brain without skull, above the temporal lobes: folded cortex, white matter, ventricles, deep nuclei; gliomas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy, Tissue, without_specks
from semantiseg.data.phantom.field import (
    BodyFrame,
    Field,
    Point,
    blend,
    bounded_normal,
    ellipsoid,
    jitter,
    tube,
    union,
    without,
)
from semantiseg.data.phantom.lesion import Blob, blob_depth, choose_centre, inside_scan, room_inside
from semantiseg.randomness import Streams


def draw_hippocampus(frame: BodyFrame, streams: Streams, *, side: str) -> Anatomy:
    """The crop around one hippocampus; "left" mirrors "right". Structures: "hippocampus_anterior",
    "hippocampus_posterior".
    """
    if side == "left":
        frame = BodyFrame(frame.grid, -frame.x, frame.y, frame.z)
    anatomy = Anatomy(frame)
    anatomy.tissue[:] = Tissue.WHITE_MATTER
    paint_cortex(anatomy, streams)
    rng = streams("hippocampus")
    size = 1 + 0.06 * float(bounded_normal(rng))
    head_at, *rest = jitter(rng, [(-1, 9, -2), (1, 1, -1), (3, -8, 1), (0, -16, 5)], 0.8)
    head = ellipsoid(frame, head_at, (8.2 * size, 7.2 * size, 5.8 * size), about_z=15)
    tail = tube(frame, [(0, 5, -1.5), *rest], [5.0 * size, 4.8 * size, 4.4 * size, 3.6 * size])
    whole = union(head, tail) + 0.45 * frame.noise(rng, length=3)
    horn = tube(frame, [(7, 14, 0), (8.5, 6, 2), (9, -6, 4), (8, -18, 8)], [2.6, 2.4, 2.2, 3.2])
    anatomy.paint(without(horn, whole), Tissue.CSF)
    cut = float(head_at[1]) - 5.5
    solid = whole > 0
    anatomy.paint(solid & (frame.y >= cut), Tissue.HIPPOCAMPUS_ANTERIOR)
    anatomy.paint(solid & (frame.y < cut), Tissue.HIPPOCAMPUS_POSTERIOR)
    anatomy.structures["hippocampus_anterior"] = anatomy.mask(Tissue.HIPPOCAMPUS_ANTERIOR)
    anatomy.structures["hippocampus_posterior"] = anatomy.mask(Tissue.HIPPOCAMPUS_POSTERIOR)
    return anatomy


def paint_cortex(anatomy: Anatomy, streams: Streams) -> None:
    """What lies around: cisterns and brain stem medially, folded cortex below and laterally, amygdala in front."""
    frame, rng = anatomy.frame, streams("temporal lobe")
    fold = frame.noise(rng, length=4)
    sulcus = np.abs(fold)
    outside = np.maximum(-13 - frame.z + 2 * fold, frame.x - 15)  # below and lateral: cortex
    anatomy.paint((outside > -5) & (sulcus < 1.1), Tissue.GREY_MATTER)
    anatomy.paint((outside > -3) & (sulcus < 0.22), Tissue.CSF)
    parahippocampal = tube(frame, [(-6, 18, -9), (-5, 2, -8), (-4, -18, -5)], [4.4, 4.2, 4.0])
    anatomy.paint(parahippocampal, Tissue.GREY_MATTER)
    anatomy.paint(parahippocampal - 2.4, Tissue.WHITE_MATTER)
    cistern = -8.5 - frame.x + 1.5 * fold
    anatomy.paint(np.minimum(cistern, frame.z + 8), Tissue.CSF)
    stem = ellipsoid(frame, (-21, -4, -2), (9.5, 14, 30))
    anatomy.paint(stem, Tissue.WHITE_MATTER)
    anatomy.paint(ellipsoid(frame, (-2, 20, 3), (9, 7, 7)), Tissue.GREY_MATTER)
    anatomy.paint(ellipsoid(frame, (0, -4, 16), (10, 16, 6)), Tissue.DEEP_GREY)


def draw_brain(frame: BodyFrame, streams: Streams) -> Anatomy:
    """A healthy brain; label 0 (air) is everything outside the pia. `depths`: "brain", "ventricles"."""
    anatomy = Anatomy(frame)
    rng = streams("brain")
    width = 1 + 0.02 * float(bounded_normal(rng))
    halves = [ellipsoid(frame, (sign * 20, 0, 6), (50 * width, 84, 66), about_z=3 * sign, reach=40) for sign in (-1, 1)]
    brain = blend(*halves, width=14)
    paint_folds(anatomy, streams, brain)
    paint_ventricles(anatomy, streams)
    anatomy.depths["brain"] = brain
    return anatomy


def paint_folds(anatomy: Anatomy, streams: Streams, brain: Field) -> None:
    """Cortex as a folded ribbon: sulci lie where a smooth field crosses zero, grey matter follows them."""
    frame, rng = anatomy.frame, streams("folds")
    fold = np.abs(frame.noise(rng, length=6.5))
    falx = np.abs(frame.x)
    # The medial surfaces of the hemispheres are cortex too, except around the corpus callosum.
    medial = np.where((np.abs(frame.y) > 36) | (frame.z > 34), falx, 40)
    surface = np.minimum(brain, medial)
    fading = np.clip(1 - (surface - 3) / 24, 0, 1)  # folds become rare with depth
    inside = brain > 0
    anatomy.paint(brain + 2.0, Tissue.CSF)
    anatomy.paint(brain, Tissue.WHITE_MATTER)
    anatomy.paint(inside & ((surface < 5.5) | (fold < 0.72 * fading)), Tissue.GREY_MATTER)
    anatomy.paint(inside & (fold < 0.2 * (fading - 0.25)), Tissue.CSF)
    anatomy.paint(inside & (medial < 1.4), Tissue.CSF)
    sinus = np.minimum(3.5 - falx, np.minimum(brain + 2, 4 - brain))
    anatomy.paint((sinus > 0) & (frame.y < -40), Tissue.VEIN)


def paint_ventricles(anatomy: Anatomy, streams: Streams) -> None:
    """Lateral and third ventricles, corpus callosum, caudate, lentiform nucleus and thalamus on both sides."""
    frame, rng = anatomy.frame, streams("ventricles")
    size = 1 + 0.14 * float(bounded_normal(rng))
    ventricles = [ellipsoid(frame, (0, -4, -2), (2.4 * size, 14, 12))]
    callosum = tube(frame, [(0, 30, 8), (0, 18, 24), (0, -20, 26), (0, -38, 12)], [7, 6, 6, 7])
    anatomy.paint(np.minimum(callosum, 16 - np.abs(frame.x)), Tissue.WHITE_MATTER)
    for side in (-1, 1):
        thalamus = ellipsoid(frame, (11 * side, -10, 4), (9, 16, 11), about_z=14 * side)
        lentiform = ellipsoid(frame, (25 * side, 7, 2), (7.5, 18, 11), about_z=-14 * side)
        caudate = tube(frame, [(11 * side, 24, 4), (14 * side, 16, 14), (17 * side, -4, 22)], [6.5, 5.5, 3.5])
        anatomy.paint(union(thalamus, lentiform, caudate), Tissue.DEEP_GREY)
        horn = [(9, 38, 6), (7, 24, 12), (8, 4, 19), (12, -20, 18), (20, -38, 8), (18, -56, 4)]
        radii = [4.0, 6.0, 5.2, 6.0, 7.5, 4.0]
        ventricles.append(tube(frame, [(x * side, y, z) for x, y, z in horn], [r * size for r in radii]))
    ventricle = union(*ventricles)
    anatomy.paint(ventricle, Tissue.CSF)
    anatomy.depths["ventricles"] = ventricle


@dataclass(frozen=True)
class Glioma:
    """What a glioma consists of: side, whether it enhances, has a non-enhancing core, a resection cavity."""

    side: str
    enhancing: bool = True
    core: bool = True
    cavity: bool = False
    growth: float = 1.0
    """Size relative to the first scan of the same patient."""
    satellite: bool = False


def paint_glioma(anatomy: Anatomy, streams: Streams, glioma: Glioma, *, core_tissue: Tissue) -> None:
    """Oedema around an enhancing ring around a core, and a resection cavity beside it.

    Structures: "oedema", "enhancing_tumour", "tumour_core" (non-enhancing or necrotic), "resection_cavity"; empty
    where absent.
    """
    frame, rng = anatomy.frame, streams("glioma")
    radius = float(rng.uniform(17, 23))
    centre = tumour_centre(anatomy, rng, glioma.side, radius)
    inside = (anatomy.depths["brain"] > 2.5) & (anatomy.depths["ventricles"] < -0.5)
    hemisphere = inside & (frame.x * (1 if glioma.side == "right" else -1) > 2.0)
    depth = blob_depth(frame, rng, Blob(centre, radius * glioma.growth, elongation=0.12, roughness=2.0))
    empty = np.zeros(frame.grid.shape, bool)
    parts = dict.fromkeys(("oedema", "enhancing_tumour", "tumour_core", "resection_cavity"), empty)
    parts["oedema"] = oedema(anatomy, rng, depth, hemisphere)
    solid = (depth > 0) & hemisphere
    rim = float(rng.uniform(6.0, 8.0))
    if glioma.enhancing:
        parts["enhancing_tumour"] = solid if not glioma.core else solid & (depth <= rim)
    if glioma.core:
        parts["tumour_core"] = solid & (depth > rim) if glioma.enhancing else solid
    if glioma.satellite:
        parts["enhancing_tumour"] = parts["enhancing_tumour"] | satellite(anatomy, rng, centre, radius, hemisphere)
    if glioma.cavity:
        parts["resection_cavity"] = cavity(frame, rng, centre, radius) & hemisphere
    paint_parts(anatomy, parts, core_tissue)


def tumour_centre(anatomy: Anatomy, rng: np.random.Generator, side: str, radius: float) -> Point:
    """A point of the white matter of one hemisphere with room around it, near the middle of the scan."""
    frame = anatomy.frame
    half = frame.x > 12 if side == "right" else frame.x < -12
    room = room_inside(frame, anatomy.depths["brain"] > 0)
    allowed = (room > 0.95 * radius) & half & inside_scan(frame, margin=radius + 8) & (np.abs(frame.y) < 52)
    allowed &= anatomy.depths["ventricles"] < -8
    centre = choose_centre(frame, rng, allowed, radius=radius)
    return centre if centre is not None else (34.0 if side == "right" else -34.0, 0.0, 12.0)


def oedema(anatomy: Anatomy, rng: np.random.Generator, depth: Field, where: np.ndarray) -> np.ndarray:
    """Fingers of oedema around a tumour: they spread through white matter and spare the cortex and deep nuclei."""
    frame = anatomy.frame
    spread = float(rng.uniform(12, 18)) + 4.5 * frame.noise(rng, length=8)
    matter = anatomy.mask(Tissue.WHITE_MATTER) | (anatomy.mask(Tissue.GREY_MATTER) & (depth > -6))
    return without_specks((depth > -np.maximum(spread, 5)) & where & matter)


def satellite(
    anatomy: Anatomy, rng: np.random.Generator, centre: Point, radius: float, where: np.ndarray
) -> np.ndarray:
    """A much smaller enhancing nodule a little way off, at about the same height."""
    frame = anatomy.frame
    main = Blob(centre, radius)
    size = 9.5
    allowed = (room_inside(frame, where) > size * 0.7) & (np.abs(frame.z - centre[2]) < 10)
    chosen = choose_centre(frame, rng, allowed, apart=[main], radius=size, gap=2)
    if chosen is None:
        return np.zeros_like(where)
    return (blob_depth(frame, rng, Blob(chosen, size, elongation=0.08)) > 0) & where


def cavity(frame: BodyFrame, rng: np.random.Generator, centre: Point, radius: float) -> np.ndarray:
    """A smooth-walled cavity at the lateral or anterior flank of the tumour."""
    angle = float(rng.uniform(0, 2 * np.pi))
    offset = 0.95 * radius
    place = (centre[0] + offset * np.cos(angle), centre[1] + offset * np.sin(angle), centre[2])
    size = float(rng.uniform(13, 17))
    return blob_depth(frame, rng, Blob(place, size, elongation=0.15, roughness=0.8)) > 0


def paint_parts(anatomy: Anatomy, parts: dict[str, np.ndarray], core_tissue: Tissue) -> None:
    """Paint oedema, enhancing tumour, core and cavity in this order and name what remains visible of each."""
    tissues = {
        "oedema": Tissue.OEDEMA,
        "enhancing_tumour": Tissue.ENHANCING_TUMOUR,
        "tumour_core": core_tissue,
        "resection_cavity": Tissue.RESECTION_CAVITY,
    }
    for name, tissue in tissues.items():
        anatomy.paint(parts[name], tissue)
    for name, tissue in tissues.items():
        anatomy.structures[name] = anatomy.mask(tissue)
