"""The hippocampus in a tight crop of the temporal lobe: head (anterior) and body with tail (posterior)."""

from __future__ import annotations

import numpy as np

from semantiseg.data.phantom.anatomy import Anatomy
from semantiseg.data.phantom.field import Frame, bounded_normal
from semantiseg.data.phantom.shape import ellipsoid, jitter, tube, union, without
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Tissue


def draw_hippocampus(frame: Frame, streams: Streams, *, side: str) -> Anatomy:
    """The crop around one hippocampus; "left" mirrors "right". Structures: "hippocampus_anterior",
    "hippocampus_posterior".
    """
    if side == "left":
        frame = Frame(frame.grid, -frame.x, frame.y, frame.z)
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
