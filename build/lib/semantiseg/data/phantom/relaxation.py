"""What each tissue looks like on MR: relaxation times through the spin-echo equation, or a signal by sequence.

Proton density, T1 and T2 at 1.5 T of normal tissue are BrainWeb's (Kwan, Evans, Pike, *MRI simulation-based
evaluation of image-processing and classification methods*, IEEE TMI 18, 1999). Lesions follow the direction of their
definitions (BraTS 2024: NETC dark on T1c, SNFH bright on FLAIR, RC follows CSF; PI-RADS v2.1: the peripheral zone
bright on T2 and ADC).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

from semantiseg.data.phantom.anatomy import Signal, Tissue

T = Tissue


@dataclass(frozen=True)
class Relaxation:
    """Proton density (relative), T1 and T2 in ms, T1 in ms after gadolinium, and texture relative to the signal."""

    density: float
    t1: float
    t2: float
    t1_enhanced: float | None = None
    fine: float = 0.02
    coarse: float = 0.02


@dataclass(frozen=True)
class PulseSequence:
    """A (inversion recovery) spin echo; times in ms. `inversion` None means no inversion pulse."""

    repetition: float
    echo: float
    inversion: float | None = None
    enhanced: bool = False

    def signal(self, tissue: Relaxation) -> float:
        """`S = PD (1 - 2 exp(-TI/T1) + exp(-TR/T1)) exp(-TE/T2)`, without the middle term if nothing is inverted."""
        t1 = tissue.t1_enhanced if self.enhanced and tissue.t1_enhanced else tissue.t1
        recovery = 1 - exp(-self.repetition / t1)
        if self.inversion is not None:
            recovery = 1 - 2 * exp(-self.inversion / t1) + exp(-self.repetition / t1)
        return tissue.density * abs(recovery) * exp(-self.echo / tissue.t2)


T1 = PulseSequence(500, 10)
T1C = PulseSequence(500, 10, enhanced=True)
T2 = PulseSequence(4000, 85)
FLAIR = PulseSequence(9000, 110, inversion=1780)

RELAXATIONS: dict[int, Relaxation] = {
    T.GREY_MATTER: Relaxation(0.86, 833, 83),
    T.DEEP_GREY: Relaxation(0.84, 740, 80),
    T.WHITE_MATTER: Relaxation(0.77, 500, 70),
    T.CSF: Relaxation(1.0, 2569, 329, fine=0.01, coarse=0.01),
    T.FAT: Relaxation(1.0, 350, 70),
    T.MUSCLE: Relaxation(1.0, 900, 47),
    T.VEIN: Relaxation(0.5, 1200, 60, t1_enhanced=230),
    T.HIPPOCAMPUS_ANTERIOR: Relaxation(0.88, 810, 85),
    T.HIPPOCAMPUS_POSTERIOR: Relaxation(0.88, 810, 85),
    T.OEDEMA: Relaxation(0.88, 1250, 170, fine=0.03, coarse=0.06),
    T.ENHANCING_TUMOUR: Relaxation(0.84, 950, 110, t1_enhanced=210, fine=0.05, coarse=0.08),
    T.NECROTIC_CORE: Relaxation(0.92, 1900, 230, fine=0.04, coarse=0.08),
    T.NON_ENHANCING_TUMOUR: Relaxation(0.88, 1300, 130, t1_enhanced=1250, fine=0.04, coarse=0.06),
    T.RESECTION_CAVITY: Relaxation(1.0, 2450, 310, fine=0.01, coarse=0.01),
}

BETWEEN_PATIENTS = 0.03
"""Standard deviation of a tissue's MR signal between patients, relative to the signal (beside the scan's arbitrary
scale).
"""


def signals(sequence: PulseSequence) -> dict[int, Signal]:
    """Tissue table of a sequence; air (outside a skull-stripped brain) is exactly zero."""
    table = {int(T.AIR): Signal(0.0)}
    for tissue, relaxation in RELAXATIONS.items():
        mean = sequence.signal(relaxation)
        table[int(tissue)] = Signal(mean, BETWEEN_PATIENTS * mean, relaxation.fine * mean, relaxation.coarse * mean)
    return table


HEART_MR: dict[int, Signal] = {
    T.AIR: Signal(0.0),
    T.SKIN: Signal(0.35, 0.02),
    T.FAT: Signal(0.50, 0.03, 0.02, 0.03),
    T.MUSCLE: Signal(0.26, 0.02, 0.02, 0.02),
    T.BONE_CORTEX: Signal(0.10, 0.01, 0.01),
    T.BONE_MARROW: Signal(0.34, 0.03, 0.03, 0.02),
    T.DISC: Signal(0.30, 0.02, 0.01),
    T.CORD: Signal(0.45, 0.03, 0.01),
    T.LUNG: Signal(0.05, 0.01, 0.01, 0.01),
    T.LUNG_VESSEL: Signal(0.60, 0.04, 0.02),
    T.AIRWAY: Signal(0.02),
    T.AORTA: Signal(0.74, 0.03, 0.02, 0.03),
    T.VEIN: Signal(0.70, 0.03, 0.02, 0.03),
    T.LEFT_ATRIUM: Signal(0.98, 0.03, 0.02, 0.03),
    T.HEART_BLOOD: Signal(0.78, 0.03, 0.03, 0.05),
    T.MYOCARDIUM: Signal(0.34, 0.02, 0.02, 0.02),
    T.LIVER: Signal(0.38, 0.02, 0.01, 0.01),
}
"""Balanced steady-state free precession of the heart (MSD Task02): blood bright, myocardium dark, lung nearly empty."""

PROSTATE_T2: dict[int, Signal] = {
    T.AIR: Signal(0.0),
    T.SKIN: Signal(0.40, 0.02),
    T.FAT: Signal(0.66, 0.04, 0.03, 0.03),
    T.MUSCLE: Signal(0.20, 0.02, 0.02, 0.02),
    T.BONE_CORTEX: Signal(0.08, 0.01, 0.01),
    T.BONE_MARROW: Signal(0.46, 0.03, 0.03, 0.03),
    T.VEIN: Signal(0.80, 0.05, 0.02),
    T.BOWEL_WALL: Signal(0.34, 0.02, 0.02, 0.02),
    T.BOWEL_FLUID: Signal(0.52, 0.05, 0.05, 0.05),
    T.BOWEL_GAS: Signal(0.03, 0.01),
    T.BLADDER: Signal(1.05, 0.04, 0.01, 0.01),
    T.PERIPHERAL_ZONE: Signal(0.80, 0.04, 0.04, 0.04),
    T.TRANSITION_ZONE: Signal(0.40, 0.03, 0.05, 0.05),
    T.TRANSITION_NODULE: Signal(0.52, 0.03, 0.08, 0.05),
    T.CAPSULE: Signal(0.16, 0.02),
}
"""T2-weighted turbo spin echo of the prostate (MSD Task05, channel 0)."""

PROSTATE_ADC: dict[int, Signal] = {
    T.AIR: Signal(0.0),
    T.SKIN: Signal(500, 50),
    T.FAT: Signal(280, 30, 60, 40),
    T.MUSCLE: Signal(1150, 50, 60, 40),
    T.BONE_CORTEX: Signal(250, 30, 50),
    T.BONE_MARROW: Signal(420, 40, 60, 40),
    T.VEIN: Signal(1600, 100, 60),
    T.BOWEL_WALL: Signal(1200, 60, 60, 40),
    T.BOWEL_FLUID: Signal(1500, 150, 100, 100),
    T.BOWEL_GAS: Signal(60, 20, 30),
    T.BLADDER: Signal(2750, 100, 40, 40),
    T.PERIPHERAL_ZONE: Signal(1780, 80, 70, 80),
    T.TRANSITION_ZONE: Signal(1270, 70, 90, 90),
    T.TRANSITION_NODULE: Signal(1340, 70, 90, 90),
    T.CAPSULE: Signal(900, 50),
}
"""Apparent diffusion coefficient, 1e-6 mm2/s (MSD Task05, channel 1); zone means after PI-RADS v2.1."""
