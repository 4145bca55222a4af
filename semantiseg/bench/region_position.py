"""Where a region lies: in the organ that holds it, and how far from the nearest other structure.

Both are this project's own measures of what reports say in words ("in the superior part of the liver", "3 mm from the
kidney"). Thirds and the dead band at their limits are those of the poles in R.E.N.A.L. (`region_attributes.pole`); 3 mm
is `CLEAR_MM`, the distance that this benchmark asks of any position.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import spatial

from semantiseg.bench.attributes import Measurement
from semantiseg.bench.region_attributes import CLEAR_MM, Region, banded
from semantiseg.bench.shell import eroded

AXES = (
    ("height in parent", ("inferior part", "middle", "superior part")),
    ("depth in parent", ("posterior part", "middle", "anterior part")),
    ("width in parent", ("left part", "middle", "right part")),
)
"""Attribute and words of each axis `[D, H, W]`, from its low to its high end."""


def place(region: Region, parent: Region, *, shape: tuple[int, ...], lateral: bool) -> Iterator[Measurement]:
    """The centroid in the parent's own bounding box: 0 at the inferior, posterior or left end, 1 at the other.

    Formula: (centroid + 0.5 - start) / (stop - start) along each axis, a share. Words are thirds, given only outside
    the dead band around a limit, with the distance to it as margin. An axis along which the parent touches the border
    of the volume is left out: what lies beyond is not seen.

    Args:
        shape: of the volume that both boxes count in, in voxels.
        lateral: whether left and right may be said.
    """
    for axis, (name, words) in enumerate(AXES):
        low, high = parent.box[axis].start, parent.box[axis].stop
        if low == 0 or high == shape[axis] or (axis == 2 and not lateral):
            continue
        share = (region.centre[axis] + 0.5 - low) / (high - low)
        yield banded(name, share, "share", (1 / 3, 2 / 3), words)


def nearest(region: Region, others: Mapping[str, NDArray[np.integer]], *, spacing_mm: float) -> Iterator[Measurement]:
    """The gap to the nearest of the other structures in mm, and its name where no other is as near.

    Formula: least distance between the centres of two voxels, one of each, less one voxel: 0 where they touch. The
    structure's key is the value if the second nearest is at least `CLEAR_MM` farther, with what is beyond as margin; so
    of structures that lie in one another (a tumour's core and its rim) none is named. Without a second the margin is
    `CLEAR_MM`.

    Args:
        others: structure -> `surface` of it; nothing is yielded if there is none.
    """
    if not others:
        return
    own = surface(region.mask) + [part.start for part in region.box]
    gaps = sorted((float(_closest(own, points)) - 1, key) for key, points in others.items())
    number, key = max(gaps[0][0], 0.0) * spacing_mm, gaps[0][1]
    lead = gaps[1][0] * spacing_mm - number - CLEAR_MM if len(gaps) > 1 else CLEAR_MM
    yield Measurement("nearest structure", number, "mm", key if lead >= 0 else None, max(lead, 0.0))


def surface(mask: NDArray[np.bool_]) -> NDArray[np.integer]:
    """Indices `[N, 3]` of the voxels of a mask that share a face with the outside."""
    return np.argwhere(mask & ~eroded(mask))


def _closest(one: NDArray[np.integer], two: NDArray[np.integer]) -> float:
    few, many = sorted((one, two), key=len)
    return float(spatial.cKDTree(many).query(few)[0].min())
