"""The twelve collections as phantoms: field of view, findings and label numbers of each.

Findings come from a fixed cycle over patients, so that every cohort, however small, holds lesions on either side,
several lesions, and patients without any. Label numbers, channel order and names are those of the collections
themselves (MSD: `dataset.json` of each task; KiTS23: labels 1 kidney, 2 tumor, 3 cyst; BraTS 2024 GLI: 1 NETC, 2
SNFH, 3 ET, 4 RC).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semantiseg.data.phantom.abdomen import draw_abdomen
from semantiseg.data.phantom.anatomy import CORTICOMEDULLARY, PORTAL_VENOUS, Tissue, largest_piece
from semantiseg.data.phantom.brain import Glioma, draw_brain, draw_hippocampus, paint_glioma
from semantiseg.data.phantom.field import Pose
from semantiseg.data.phantom.lesion import (
    paint_colon_tumour,
    paint_kidney_cysts,
    paint_kidney_tumours,
    paint_liver_tumours,
    paint_pancreatic_tumour,
    settle_kidneys,
)
from semantiseg.data.phantom.relaxation import FLAIR, HEART_MR, PROSTATE_ADC, PROSTATE_T2, T1, T1C, T2, signals
from semantiseg.data.phantom.scan import Case, RenderedScan, View, ct_scan, mr_scan, place_patient
from semantiseg.data.phantom.thorax import draw_thorax, paint_lung_tumours
from semantiseg.data.phantom.trunk import draw_pelvis

STORED = ("LAS", "LPS", "RAS", "LAS", "RPI")
"""Axes along which MSD scans are stored, in turn; the real tasks vary too, so that nothing may rely on array order."""

CT_THICKNESS = (2.5, 2.0, 3.0, 1.5, 4.0)
MR_SCALE = (200.0, 3000.0)


def abdominal_view(centre: float, half: float) -> View:
    """The whole cross-section of the abdomen, `half` natural millimetres up and down from the height `centre`."""
    return View((136, 136, half), (0, -4, centre), 1.0, (0.95, 1.25), CT_THICKNESS, STORED)


HEAD_POSE = Pose(size=0.03, turn=2.5, shift=2.5, warp=2.0)
VIEWS = {
    "Task01_BrainTumour": View((84, 94, 44), (0, 0, 9), 1.4, (1.0, 1.0), (1.0,), STORED, HEAD_POSE),
    "Task02_Heart": View((132, 118, 60), (-6, 4, 0), 1.1, (0.95, 1.2), (2.0, 2.5, 1.5), STORED),
    "Task03_Liver": abdominal_view(10, 66),
    "Task04_Hippocampus": View(
        (18, 25, 17.5), (0, -2, 0), 2.5, (1.0, 1.0), (1.0,), ("RAS", "LAS"), Pose(0.04, 4.0, 1.2, 0.9, 8.0)
    ),
    "Task05_Prostate": View((88, 88, 40), (0, -2, 0), 1.5, (0.9, 1.1), (3.0, 2.5, 4.0), STORED),
    "Task06_Lung": View((140, 140, 72), (0, -4, 0), 1.0, (0.95, 1.25), CT_THICKNESS, STORED),
    "Task07_Pancreas": abdominal_view(0, 56),
    "Task08_HepaticVessel": abdominal_view(24, 54),
    "Task09_Spleen": abdominal_view(14, 58),
    "Task10_Colon": abdominal_view(-52, 64),
    "KiTS23": View((138, 138, 62), (0, -4, -32), 1.0, (0.9, 1.2), (2.0, 3.0, 1.5, 2.5), ("IPL",)),
    "BraTS2024-GLI": View((78, 94, 44), (0, 0, 9), 1.4, (1.0, 1.0), (1.0,), ("LAS",), HEAD_POSE),
}

LIVER_FINDINGS = (
    ("right", "left"),
    ("right",),
    ("left", "right"),
    (),
    ("right", "right", "left"),
    ("left",),
    ("right", "left"),
)
PANCREAS_FINDINGS = ("head", "body", "tail", None, "head", "tail", "body", None, "head")
COLON_FINDINGS = ("ascending", "descending", "transverse", "descending", "ascending")
LUNG_FINDINGS = (["right"], ["left"], ["right", "left"], ["left"], ["right", "right"], ["left", "left"], ["right"])
KIDNEY_FINDINGS: tuple[tuple[tuple[str, ...], bool, tuple[str, ...]], ...] = (
    (("right",), True, ("right",)),
    (("left",), False, ()),
    (("right",), False, ("left",)),
    (("left",), True, ("left",)),
    (("right", "left"), True, ()),
    (("left",), True, ("right",)),
    (("right",), True, ("right", "left")),
    (("left", "left"), True, ("left",)),
    (("right",), False, ("right", "right")),
    (("left",), True, ()),
    (("right", "right"), True, ("left",)),
)
GLIOMAS = (
    Glioma("right"),
    Glioma("left", cavity=True),
    Glioma("right", cavity=True, core=False),
    Glioma("left", cavity=True, satellite=True),
    Glioma("right", cavity=True, core=False),
    Glioma("left", enhancing=False),
    Glioma("right", cavity=True, satellite=True),
    Glioma("left"),
)


def draw_liver(case: Case) -> RenderedScan:
    """Task03: 1 liver (its vessels included), 2 cancer; some without cancer."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_abdomen(frame, case.patient)
    sides = LIVER_FINDINGS[case.index % len(LIVER_FINDINGS)]
    paint_liver_tumours(anatomy, case.patient, sides=sides, rim=case.index % 3 == 1)
    return ct_scan(case, anatomy, PORTAL_VENOUS, {"liver": 1, "liver_tumour": 2}, axes)


def draw_hepatic_vessel(case: Case) -> RenderedScan:
    """Task08: 1 Vessel, 2 Tumour; the liver itself is not labelled."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_abdomen(frame, case.patient)
    sides = LIVER_FINDINGS[(case.index + 2) % len(LIVER_FINDINGS)]
    paint_liver_tumours(anatomy, case.patient, sides=sides, rim=case.index % 3 == 0)
    return ct_scan(case, anatomy, PORTAL_VENOUS, {"hepatic_vessels": 1, "liver_tumour": 2}, axes)


def draw_pancreas(case: Case) -> RenderedScan:
    """Task07: 1 pancreas, 2 cancer; some without cancer."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_abdomen(frame, case.patient)
    part = PANCREAS_FINDINGS[case.index % len(PANCREAS_FINDINGS)]
    if part is not None:
        paint_pancreatic_tumour(anatomy, case.patient, part=part)
    return ct_scan(case, anatomy, PORTAL_VENOUS, {"pancreas": 1, "pancreatic_tumour": 2}, axes)


def draw_spleen(case: Case) -> RenderedScan:
    """Task09: 1 spleen."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    return ct_scan(case, draw_abdomen(frame, case.patient), PORTAL_VENOUS, {"spleen": 1}, axes)


def draw_colon(case: Case) -> RenderedScan:
    """Task10: 1 colon cancer primaries; the bowel itself is not labelled."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_abdomen(frame, case.patient)
    paint_colon_tumour(anatomy, case.patient, part=COLON_FINDINGS[case.index % len(COLON_FINDINGS)])
    return ct_scan(case, anatomy, PORTAL_VENOUS, {"colon_tumour": 1}, axes)


def draw_kidneys(case: Case) -> RenderedScan:
    """KiTS23: 1 kidney, 2 tumor, 3 cyst. `facts`: `radiographic_size` (cm of the miniature) and `tumor_necrosis`."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_abdomen(frame, case.patient)
    sides, large, cysts = KIDNEY_FINDINGS[case.index % len(KIDNEY_FINDINGS)]
    necrotic = paint_kidney_tumours(anatomy, case.patient, sides=sides, large=large)
    paint_kidney_cysts(anatomy, case.patient, sides=cysts)
    settle_kidneys(anatomy)
    numbers = {"kidney_left": 1, "kidney_right": 1, "kidney_tumour": 2, "kidney_cyst": 3}
    scan = ct_scan(case, anatomy, CORTICOMEDULLARY, numbers, axes)
    size = axial_size(anatomy.structures["kidney_tumour"], frame.grid.spacing[0])
    scan.facts.update(radiographic_size=round(size / 10, 1), tumor_necrosis=necrotic)
    return scan


def axial_size(mask: np.ndarray, spacing: float) -> float:
    """Longer side (mm) of the axial bounding box of the largest component, much like KiTS23's sizes."""
    if not mask.any():
        return 0.0
    across, along, _ = np.nonzero(largest_piece(mask))
    return spacing * float(max(np.ptp(across), np.ptp(along)) + 1)


def draw_lung(case: Case) -> RenderedScan:
    """Task06: 1 cancer; the lung itself is not labelled."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_thorax(frame, case.patient, table=True)
    sides = LUNG_FINDINGS[case.index % len(LUNG_FINDINGS)]
    paint_lung_tumours(anatomy, case.patient, sides=sides, spiculated=case.index % 2 == 0)
    return ct_scan(case, anatomy, PORTAL_VENOUS, {"lung_tumour": 1}, axes)


def draw_heart(case: Case) -> RenderedScan:
    """Task02: 1 left atrium."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_thorax(frame, case.patient, table=False)
    return mr_scan(case, anatomy, {"MRI": HEART_MR}, {"left_atrium": 1}, axes, scales={"MRI": MR_SCALE})


def draw_hippocampi(case: Case) -> RenderedScan:
    """Task04: 1 Anterior, 2 Posterior, in a crop that is not scaled down; intensity scales differ a thousandfold."""
    natural = Case(case.collection, case.case_id, case.patient_id, case.index, case.time_point, 1 / 2.5, case.seed)
    frame, axes = place_patient(natural, VIEWS[case.collection])
    anatomy = draw_hippocampus(frame, case.patient, side="right" if case.index % 2 == 0 else "left")
    numbers = {"hippocampus_anterior": 1, "hippocampus_posterior": 2}
    return mr_scan(case, anatomy, {"MRI": signals(T1)}, numbers, axes, scales={"MRI": (300.0, 300_000.0)})


def draw_prostate(case: Case) -> RenderedScan:
    """Task05: 1 PZ, 2 TZ; channels T2 and ADC (1e-6 mm2/s)."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_pelvis(frame, case.patient)
    tables = {"T2": PROSTATE_T2, "ADC": PROSTATE_ADC}
    scales = {"T2": MR_SCALE, "ADC": (1.0, 1.0)}
    return mr_scan(case, anatomy, tables, {"peripheral_zone": 1, "transition_zone": 2}, axes, scales=scales)


def glioma_of(case: Case) -> Glioma:
    """The patient's glioma; at a second time point it has grown by a quarter."""
    glioma = GLIOMAS[case.index % len(GLIOMAS)]
    if case.time_point == 0:
        return glioma
    return Glioma(glioma.side, glioma.enhancing, glioma.core, glioma.cavity, 1.25, glioma.satellite)


def draw_decathlon_brain(case: Case) -> RenderedScan:
    """Task01: 1 edema, 2 non-enhancing tumor, 3 enhancing tumour; FLAIR, T1w, t1gd, T2w; no cavity (before surgery)."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_brain(frame, case.patient)
    glioma = glioma_of(case)
    untreated = Glioma(glioma.side, glioma.enhancing, glioma.core, False, 1.0, glioma.satellite)
    paint_glioma(anatomy, case.patient, untreated, core_tissue=Tissue.NON_ENHANCING_TUMOUR)
    numbers = {"oedema": 1, "tumour_core": 2, "enhancing_tumour": 3}
    tables = {"FLAIR": signals(FLAIR), "T1w": signals(T1), "t1gd": signals(T1C), "T2w": signals(T2)}
    return mr_scan(case, anatomy, tables, numbers, axes, scales=dict.fromkeys(tables, MR_SCALE), masked=True)


def draw_brats_brain(case: Case) -> RenderedScan:
    """GLI after treatment: 1 NETC, 2 SNFH, 3 ET, 4 RC; channels t1n, t1c, t2w, t2f."""
    frame, axes = place_patient(case, VIEWS[case.collection])
    anatomy = draw_brain(frame, case.patient)
    paint_glioma(anatomy, case.patient, glioma_of(case), core_tissue=Tissue.NECROTIC_CORE)
    numbers = {"tumour_core": 1, "oedema": 2, "enhancing_tumour": 3, "resection_cavity": 4}
    tables = {"t1n": signals(T1), "t1c": signals(T1C), "t2w": signals(T2), "t2f": signals(FLAIR)}
    return mr_scan(case, anatomy, tables, numbers, axes, scales=dict.fromkeys(tables, MR_SCALE), masked=True)


@dataclass(frozen=True)
class PhantomCollection:
    """A collection as upstream publishes it.

    `labels` and `modality` are the entries of `dataset.json` (MSD); `prefix` begins every case name; `share` is the
    number of cases relative to the single-channel collections.
    """

    name: str
    layout: str
    draw: Callable[[Case], RenderedScan]
    prefix: str
    labels: tuple[str, ...]
    modality: tuple[str, ...]
    share: float = 1.0


def decathlon(
    name: str,
    draw: Callable[[Case], RenderedScan],
    prefix: str,
    labels: tuple[str, ...],
    modality: tuple[str, ...],
    share: float = 1.0,
) -> PhantomCollection:
    """An MSD task; label 0 is background."""
    return PhantomCollection(name, "decathlon", draw, prefix, ("background", *labels), modality, share)


CT = ("CT",)
COLLECTIONS: dict[str, PhantomCollection] = {
    collection.name: collection
    for collection in (
        decathlon(
            "Task01_BrainTumour",
            draw_decathlon_brain,
            "BRATS",
            ("edema", "non-enhancing tumor", "enhancing tumour"),
            ("FLAIR", "T1w", "t1gd", "T2w"),
            0.55,
        ),
        decathlon("Task02_Heart", draw_heart, "la", ("left atrium",), ("MRI",), 0.6),
        decathlon("Task03_Liver", draw_liver, "liver", ("liver", "cancer"), CT),
        decathlon("Task04_Hippocampus", draw_hippocampi, "hippocampus", ("Anterior", "Posterior"), ("MRI",), 0.6),
        decathlon("Task05_Prostate", draw_prostate, "prostate", ("PZ", "TZ"), ("T2", "ADC"), 0.5),
        decathlon("Task06_Lung", draw_lung, "lung", ("cancer",), CT),
        decathlon("Task07_Pancreas", draw_pancreas, "pancreas", ("pancreas", "cancer"), CT),
        decathlon("Task08_HepaticVessel", draw_hepatic_vessel, "hepaticvessel", ("Vessel", "Tumour"), CT),
        decathlon("Task09_Spleen", draw_spleen, "spleen", ("spleen",), CT),
        decathlon("Task10_Colon", draw_colon, "colon", ("colon cancer primaries",), CT),
        PhantomCollection("KiTS23", "kits23", draw_kidneys, "case", ("background", "kidney", "tumor", "cyst"), CT, 1.2),
        PhantomCollection(
            "BraTS2024-GLI",
            "brats2024-gli",
            draw_brats_brain,
            "BraTS-GLI",
            ("background", "NETC", "SNFH", "ET", "RC"),
            ("t1n", "t1c", "t2w", "t2f"),
            0.65,
        ),
    )
}
