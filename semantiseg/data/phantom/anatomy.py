"""Tissues of the phantoms, and what each looks like on CT.

Sources of the attenuations (Hounsfield units): portal venous and corticomedullary means from Bushberg et al., *The
Essential Physics of Medical Imaging*, 3rd ed., ch. 10 (air -1000, lung -850, fat -100, water 0, muscle 50 to 60, bone
from 300), and from the published nnU-Net fingerprints of the collections (foreground mean +- sd: MSD Liver 100 +- 37,
Pancreas 80 +- 75, HepaticVessel 130 +- 55, Spleen 94 +- 40, Colon 68 +- 38, KiTS23 102 +- 72). Cysts: below 20 HU and
homogeneous (Bosniak classification, 2019). Lesion means are set apart from their organ so that a person sees each
target; the direction is that of the literature.

What an anatomy function returns, and the hand that paints it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.field import BodyFrame, Field


class Tissue(IntEnum):
    """Voxel values of a phantom's tissue map; 0 is air outside the body."""

    AIR = 0
    SKIN = 1
    FAT = 2
    MUSCLE = 3
    BONE_CORTEX = 4
    BONE_MARROW = 5
    DISC = 6
    CORD = 7
    LUNG = 8
    LUNG_VESSEL = 9
    AIRWAY = 10
    AORTA = 11
    VEIN = 12
    LIVER = 13
    LIVER_VESSEL = 14
    GALLBLADDER = 15
    SPLEEN = 16
    PANCREAS = 17
    KIDNEY_CORTEX = 18
    KIDNEY_MEDULLA = 19
    ADRENAL = 20
    BOWEL_WALL = 21
    BOWEL_FLUID = 22
    BOWEL_GAS = 23
    STOOL = 24
    LIVER_TUMOUR = 25
    LIVER_TUMOUR_RIM = 26
    LIVER_TUMOUR_CORE = 27
    PANCREATIC_TUMOUR = 28
    COLON_TUMOUR = 29
    KIDNEY_TUMOUR = 30
    KIDNEY_TUMOUR_CORE = 31
    KIDNEY_CYST = 32
    LUNG_TUMOUR = 33
    LUNG_TUMOUR_CORE = 34
    LEFT_ATRIUM = 35
    HEART_BLOOD = 36
    MYOCARDIUM = 37
    TABLE = 38
    BLADDER = 40
    PERIPHERAL_ZONE = 41
    TRANSITION_ZONE = 42
    TRANSITION_NODULE = 43
    CAPSULE = 44
    GREY_MATTER = 50
    WHITE_MATTER = 51
    CSF = 52
    DEEP_GREY = 53
    HIPPOCAMPUS_ANTERIOR = 54
    HIPPOCAMPUS_POSTERIOR = 55
    OEDEMA = 56
    ENHANCING_TUMOUR = 57
    NECROTIC_CORE = 58
    NON_ENHANCING_TUMOUR = 59
    RESECTION_CAVITY = 60


@dataclass(frozen=True)
class Signal:
    """How a tissue shows: mean, standard deviation of the mean between patients, and of fine and coarse texture within.

    All in the units of the image (HU for CT, relative signal for MR). Fine texture has a correlation length of about
    one natural millimetre and a half, coarse texture of five.
    """

    mean: float
    between: float = 0.0
    fine: float = 0.0
    coarse: float = 0.0


T = Tissue

PORTAL_VENOUS: dict[int, Signal] = {
    T.AIR: Signal(-1000),
    T.TABLE: Signal(-350),
    T.SKIN: Signal(10, 10),
    T.FAT: Signal(-105, 5, 6, 6),
    T.MUSCLE: Signal(58, 5, 8, 9),
    T.BONE_CORTEX: Signal(620, 50, 60, 40),
    T.BONE_MARROW: Signal(190, 30, 40, 20),
    T.DISC: Signal(85, 8, 6, 4),
    T.CORD: Signal(25, 4, 4, 3),
    T.LUNG: Signal(-850, 12, 20, 14),
    T.LUNG_VESSEL: Signal(20, 15, 10, 0),
    T.AIRWAY: Signal(-985, 5),
    T.AORTA: Signal(165, 10, 3, 2),
    T.VEIN: Signal(160, 10, 4, 4),
    T.LIVER: Signal(110, 6, 4, 4),
    T.LIVER_VESSEL: Signal(205, 8, 4, 3),
    T.GALLBLADDER: Signal(10, 4, 2, 2),
    T.SPLEEN: Signal(138, 6, 4, 3),
    T.PANCREAS: Signal(92, 5, 9, 6),
    T.KIDNEY_CORTEX: Signal(192, 8, 5, 4),
    T.KIDNEY_MEDULLA: Signal(172, 8, 6, 4),
    T.ADRENAL: Signal(75, 5, 5, 0),
    T.BOWEL_WALL: Signal(60, 6, 8, 5),
    T.BOWEL_FLUID: Signal(22, 10, 8, 10),
    T.BOWEL_GAS: Signal(-940, 15, 5, 0),
    T.STOOL: Signal(-10, 25, 60, 55),
    T.LIVER_TUMOUR: Signal(58, 6, 7, 8),
    T.LIVER_TUMOUR_RIM: Signal(150, 8, 8, 4),
    T.LIVER_TUMOUR_CORE: Signal(32, 5, 5, 5),
    T.PANCREATIC_TUMOUR: Signal(38, 5, 6, 6),
    T.COLON_TUMOUR: Signal(118, 6, 8, 8),
    T.KIDNEY_TUMOUR: Signal(84, 8, 12, 12),
    T.KIDNEY_TUMOUR_CORE: Signal(36, 6, 8, 6),
    T.KIDNEY_CYST: Signal(7, 4, 1, 1),
    T.LUNG_TUMOUR: Signal(36, 8, 10, 10),
    T.LUNG_TUMOUR_CORE: Signal(-5, 8, 6, 5),
    T.LEFT_ATRIUM: Signal(165, 10, 4, 3),
    T.HEART_BLOOD: Signal(158, 10, 4, 3),
    T.MYOCARDIUM: Signal(100, 6, 6, 4),
    T.BLADDER: Signal(6, 4, 2, 2),
    T.PERIPHERAL_ZONE: Signal(60, 6, 6, 5),
    T.TRANSITION_ZONE: Signal(78, 6, 8, 8),
    T.TRANSITION_NODULE: Signal(85, 6, 8, 8),
    T.CAPSULE: Signal(60, 4),
    T.GREY_MATTER: Signal(38, 2, 2, 1),
    T.WHITE_MATTER: Signal(29, 2, 2, 1),
    T.CSF: Signal(8, 2, 1, 1),
    T.DEEP_GREY: Signal(38, 2, 2, 1),
    T.HIPPOCAMPUS_ANTERIOR: Signal(37, 2, 2, 1),
    T.HIPPOCAMPUS_POSTERIOR: Signal(37, 2, 2, 1),
    T.OEDEMA: Signal(20, 2, 2, 2),
    T.ENHANCING_TUMOUR: Signal(65, 5, 5, 4),
    T.NECROTIC_CORE: Signal(15, 3, 3, 3),
    T.NON_ENHANCING_TUMOUR: Signal(30, 3, 3, 3),
    T.RESECTION_CAVITY: Signal(9, 2, 1, 1),
}
"""Contrast-enhanced CT about 70 s after injection (MSD abdominal and thoracic tasks)."""

CORTICOMEDULLARY: dict[int, Signal] = PORTAL_VENOUS | {
    T.AORTA: Signal(255, 20, 4, 3),
    T.VEIN: Signal(120, 12, 6, 8),
    T.LIVER: Signal(88, 6, 4, 4),
    T.LIVER_VESSEL: Signal(120, 10, 4, 3),
    T.SPLEEN: Signal(118, 8, 6, 9),
    T.PANCREAS: Signal(100, 6, 9, 6),
    T.KIDNEY_CORTEX: Signal(190, 10, 6, 5),
    T.KIDNEY_MEDULLA: Signal(128, 8, 8, 6),
}
"""Contrast-enhanced CT about 35 s after injection (KiTS23 cases 0 to 299)."""


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

    frame: BodyFrame
    tissue: NDArray[np.uint8] = field(init=False)
    depths: dict[str, Field] = field(default_factory=dict)
    structures: dict[str, Mask] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tissue = np.zeros(self.frame.grid.shape, np.uint8)

    def paint(self, where: Mask | NDArray[np.floating], tissue: Tissue) -> None:
        """Give voxels a tissue; a depth field paints where it is positive. What is painted later lies on top."""
        self.tissue[where if where.dtype == bool else where > 0] = tissue

    def mask(self, *tissues: Tissue) -> Mask:
        """Voxels of any of the tissues, as they stand now."""
        return np.isin(self.tissue, tissues)


def numbered_pieces(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """26-connected pieces of a mask: their numbers (0 is none) and their sizes in voxels, by number less one."""
    pieces, count = ndimage.label(mask, np.ones((3, 3, 3)))
    return pieces, np.bincount(pieces.ravel(), minlength=count + 1)[1:]


def largest_piece(mask: Mask) -> Mask:
    """The largest piece only, so that a roughened lesion is one lesion."""
    pieces, sizes = numbered_pieces(mask)
    return mask if len(sizes) < 2 else pieces == 1 + np.argmax(sizes)


def without_specks(mask: Mask, *, share: float = 0.01) -> Mask:
    """The mask without pieces smaller than `share` of its largest: no annotator outlines those."""
    pieces, sizes = numbered_pieces(mask)
    if len(sizes) < 2:
        return mask
    return np.isin(pieces, 1 + np.flatnonzero(sizes >= share * sizes.max()))
