"""Surfaces of binary masks `[H, W]` or `[D, H, W]` and distances between them.

Two notions of a surface are in use, and the measures differ in which they take:

- *elements* (for the surface Dice): where four pixels, or eight voxels, meet that are not all alike, with the length in
  mm or area in mm2 of the contour that passes there. DeepMind's surface-distance, MONAI's `use_subvoxels=True`.
- *edge* (for the Hausdorff distance): pixels of the mask that have background as one of their 4 (6) neighbours. MONAI's
  default.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from semantiseg.conventions import Mask

Spacing = tuple[float, ...]
"""Edges of a pixel or voxel in mm, in order of the mask's axes."""


_BALL = 2000
"""Up to so many steps within a tolerance, looking at each is faster than searching for the nearest place."""

_TRIANGLES = {
    "111": (1, 2, 4, 8, 16, 32, 64, 127),
    "220 220": (3, 12, 48, 63),
    "202 202": (5, 10, 80, 95),
    "111 111": (6, 9, 18, 20, 24, 33, 36, 40, 65, 66, 72, 96, 111, 123, 125, 126),
    "111 222 400": (7, 11, 13, 14, 31, 47, 79, 112),
    "400 400": (15,),
    "022 022": (17, 34, 68, 119),
    "040 111 222": (19, 35, 49, 50, 55, 59, 76, 115),
    "004 111 222": (21, 42, 69, 81, 84, 87, 93, 117),
    "111 111 111": (22, 41, 73, 97, 104, 107, 109, 121),
    "111 111 222 222": (23, 43, 77, 113),
    "022 022 111": (25, 38, 70, 98, 100, 103, 110, 118),
    "111 202 202": (26, 37, 74, 82, 88, 91, 94, 122),
    "022 111 202 333": (27, 39, 78, 114),
    "111 220 220": (28, 44, 52, 56, 61, 62, 67, 124),
    "022 111 220 333": (29, 46, 71, 116),
    "111 111 222 400": (30, 45, 75, 120),
    "040 040": (51,),
    "111 202 220 333": (53, 58, 83, 92),
    "040 111 111 222": (54, 57, 99, 108),
    "220 220 220 220": (60,),
    "004 004": (85,),
    "004 111 111 222": (86, 89, 101, 106),
    "202 202 202 202": (90,),
    "022 022 022 022": (102,),
    "111 111 111 111": (105,),
}
"""Normals of the triangles that marching cubes puts between eight voxels, up to sign and in eighths of a voxel's faces,
-> codes below 128 that have them; a code and its complement have the same. DeepMind's table, as MONAI has it."""

_LOOKS = 2**21
"""So many looks at a time, so that a large volume takes no large memory."""


def common_box(first: Mask, second: Mask) -> tuple[Mask, Mask]:
    """Both masks cut to the smallest box that holds them, with a border of one background pixel: neither changes its
    surface. At least one must not be empty."""
    box = []
    for axis in range(first.ndim):
        others = tuple(other for other in range(first.ndim) if other != axis)
        hit = np.flatnonzero(first.any(axis=others) | second.any(axis=others))
        box.append(slice(hit[0], hit[-1] + 1))
    cut = []
    for mask in (first, second):
        inner = mask[tuple(box)]
        padded = np.zeros([size + 2 for size in inner.shape], dtype=bool)
        padded[(slice(1, -1),) * mask.ndim] = inner
        cut.append(padded)
    return cut[0], cut[1]


def edge(mask: Mask) -> Mask:
    """Pixels of a mask (border background) with background among their 4 (in space 6) neighbours; same shape."""
    inner = (slice(1, -1),) * mask.ndim
    surrounded = mask[inner].copy()
    for axis in range(mask.ndim):
        for shifted in (slice(None, -2), slice(2, None)):
            surrounded &= mask[inner[:axis] + (shifted,) + inner[axis + 1 :]]
    found = mask.copy()
    found[inner] &= ~surrounded
    return found


def element_codes(mask: Mask) -> NDArray[np.uint8]:
    """For every corner at which pixels meet, which of them are set: one bit each, the first pixel the highest."""
    ones, corners = mask.view(np.uint8), list(product((slice(None, -1), slice(1, None)), repeat=mask.ndim))
    code = np.zeros([size - 1 for size in mask.shape], dtype=np.uint8)
    for bit, corner in enumerate(reversed(corners)):
        code |= ones[corner] << np.uint8(bit)
    return code


@lru_cache(maxsize=64)
def element_sizes(spacing_mm: Spacing) -> NDArray[np.float64]:
    """Length in mm (2 axes) or area in mm2 (3 axes) of the surface element of each code; 0 where all pixels are alike.

    On a slice: half a diagonal for one or three set pixels, an edge for two neighbours, two half diagonals for two
    opposite ones. In space: the triangles of marching cubes.
    """
    if len(spacing_mm) == 2:
        height, width = spacing_mm
        corner = float(np.hypot(height, width)) / 2
        sizes = np.full(16, corner)
        sizes[[0b0000, 0b1111]] = 0.0
        sizes[[0b0011, 0b1100]] = width
        sizes[[0b0101, 0b1010]] = height
        sizes[[0b0110, 0b1001]] = 2 * corner
        return sizes
    faces = np.prod(spacing_mm) / np.array(spacing_mm)
    sizes = np.zeros(256)
    for triangles, codes in _TRIANGLES.items():
        normals = np.array([[int(eighths) for eighths in normal] for normal in triangles.split()]) / 8
        sizes[[*codes, *(255 - code for code in codes)]] = np.linalg.norm(normals * faces, axis=1).sum()
    return sizes


def is_element(code: NDArray[np.uint8]) -> Mask:
    """Where `element_codes` found a surface."""
    return (code != 0) & (code != 2 ** (2**code.ndim) - 1)


@lru_cache(maxsize=64)
def _ball(spacing_mm: Spacing, radius_mm: float) -> NDArray[np.int64]:
    """All steps `[K, axes]` on the grid that are at most `radius_mm` long."""
    reach = [int(radius_mm / step + 1e-9) for step in spacing_mm]
    steps = np.array(list(product(*(range(-most, most + 1) for most in reach))), dtype=np.int64)
    return steps[lengths_mm(steps, spacing_mm) <= radius_mm]


def lengths_mm(steps: NDArray[np.int64], spacing_mm: Spacing) -> NDArray[np.float64]:
    """Lengths `[N]` of steps `[N, axes]` on the grid. From whole steps, so that a distance does not depend on where it
    is measured, and one equal to a tolerance is within it."""
    return np.sqrt(((steps * np.array(spacing_mm)) ** 2).sum(axis=1))


class Places:
    """Set places of a mask, `[N, axes]` in row-major order, found once for all that is asked of them."""

    def __init__(self, mask: Mask) -> None:
        self.mask = mask
        self.points = np.stack(np.unravel_index(np.flatnonzero(mask), mask.shape), axis=1)

    def distances_mm(self, others: Places, *, spacing_mm: Spacing) -> NDArray[np.float64]:
        """Euclidean distance in mm, `[N]`, from each of these places to the nearest of `others` (a mask of the same
        shape, not empty)."""
        found = np.zeros(len(self.points))
        # What lies on both surfaces, the greater part of a good answer, needs no search.
        apart = np.flatnonzero(~others.mask[self.mask])
        if apart.size:
            asked, edges = self.points[apart], np.array(spacing_mm)
            tree = cKDTree(others.points * edges, balanced_tree=False, compact_nodes=False)
            nearest = others.points[tree.query(asked * edges)[1]]
            found[apart] = lengths_mm(asked - nearest, spacing_mm)
        return found

    def near(self, others: Places, *, spacing_mm: Spacing, tolerance_mm: float) -> Mask:
        """Which of these places, `[N]`, have one of `others` (a mask of the same shape, not empty) within
        `tolerance_mm`."""
        if float(np.prod([2 * tolerance_mm / step + 1 for step in spacing_mm])) > _BALL:
            return self.distances_mm(others, spacing_mm=spacing_mm) <= tolerance_mm
        steps = _ball(spacing_mm, float(tolerance_mm))
        reach = steps.max(axis=0)
        room = np.zeros(others.mask.shape + 2 * reach, dtype=bool)
        room[tuple(slice(r, r + size) for r, size in zip(reach, others.mask.shape, strict=True))] = others.mask
        strides, flat = np.array(room.strides), room.ravel()
        around, centres = steps @ strides, (self.points + reach) @ strides
        block = max(1, _LOOKS // len(around))
        return np.concatenate(
            [
                flat[centres[start : start + block, None] + around].any(axis=1)
                for start in range(0, max(len(centres), 1), block)
            ]
        )
