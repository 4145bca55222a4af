"""What an anatomy function returns, and the hand that paints it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.field import Field, Frame
from semantiseg.data.phantom.tissue import Tissue

Mask = NDArray[np.bool_]


@dataclass
class Anatomy:
    """A patient's full tissue map and the named structures in it, both `[X, Y, Z]` in RAS.

    Attributes:
        frame: the patient's coordinates at every voxel.
        tissue: `Tissue` values, uint8; every voxel has one, labelled in a collection or not.
        depths: depth fields of the solids painted so far, by name, for what is placed against them.
        structures: masks by structure name, such as "liver" or "kidney_cyst".
    """

    frame: Frame
    tissue: NDArray[np.uint8] = field(init=False)
    depths: dict[str, Field] = field(default_factory=dict)
    structures: dict[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tissue = np.zeros(self.frame.grid.shape, np.uint8)

    def paint(self, where: Mask | Field, tissue: Tissue) -> None:
        """Give voxels a tissue; a depth field paints where it is positive. What is painted later lies on top."""
        self.tissue[where if where.dtype == bool else where > 0] = tissue

    def mask(self, *tissues: Tissue) -> Mask:
        """Voxels of any of the tissues, as they stand now."""
        return np.isin(self.tissue, tissues)


def components(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """26-connected pieces of a mask: their numbers (0 is none) and their sizes in voxels, by number less one."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return pieces, np.bincount(pieces.ravel(), minlength=count + 1)[1:]


def largest_piece(mask: Mask) -> Mask:
    """The largest piece only, so that a roughened lesion is one lesion."""
    pieces, sizes = components(mask)
    return mask if len(sizes) < 2 else pieces == 1 + np.argmax(sizes)


def without_specks(mask: Mask, *, share: float = 0.01) -> Mask:
    """The mask without pieces smaller than `share` of its largest: no annotator outlines those."""
    pieces, sizes = components(mask)
    if len(sizes) < 2:
        return mask
    return np.isin(pieces, 1 + np.flatnonzero(sizes >= share * sizes.max()))
