"""Prepared volumes of real label maps whose images cannot be had: the images are rendered from the labels.

KiTS23 keeps its label maps in its Git repository and its images elsewhere. The shapes, sizes and positions of such a
volume are a patient's; its grey values are those of the phantoms' tissue tables, and its origin says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from semantiseg.conventions import LabelArray
from semantiseg.data import grid, nifti, window
from semantiseg.data.intensity import recognise
from semantiseg.data.labels import KITS23
from semantiseg.data.phantom.anatomy import CORTICOMEDULLARY, Signal, Tissue
from semantiseg.data.phantom.scan import render_ct
from semantiseg.data.store import write_case, write_manifest
from semantiseg.errors import DataError
from semantiseg.randomness import stream

ORIGIN = "rendered"
"""`origin` of such volumes in the manifest: neither phantom nor official."""
MARGIN_MM = 15.0
"""What is kept around the labels; wider than any shell that an attribute is measured against."""
KITS23_TISSUES: dict[int, Signal] = {
    0: CORTICOMEDULLARY[Tissue.FAT], 1: CORTICOMEDULLARY[Tissue.KIDNEY_CORTEX],
    2: CORTICOMEDULLARY[Tissue.KIDNEY_TUMOUR], 3: CORTICOMEDULLARY[Tissue.KIDNEY_CYST],
}  # fmt: skip
"""KiTS23 label number -> how it shows; what is not labelled is perirenal fat."""


def render_kits23(segmentations: Sequence[Path], volumes: Path, *, spacing_mm: float, seed: int) -> list[str]:
    """Write prepared volumes of KiTS23 label maps (`case_00000/segmentation.nii.gz`) and their manifest.

    Every volume is cut to its labels and `MARGIN_MM` around them. The patient is taken to lie centred in the field of
    view, which is where the midline is.

    Args:
        segmentations: label maps; the folder's name is the case.
        volumes: folder to write to.
        spacing_mm: voxel edge of the prepared grid.
        seed: of the rendering.

    Returns:
        The `volume_id`s, sorted.

    Raises:
        DataError: a file is no KiTS23 label map, or shows no kidney.
    """
    volumes.mkdir(parents=True, exist_ok=True)
    rows = [_write(path, volumes, spacing_mm=spacing_mm, seed=seed) for path in sorted(segmentations)]
    write_manifest(volumes, rows)
    return sorted(row["volume_id"] for row in rows)


def _write(path: Path, volumes: Path, *, spacing_mm: float, seed: int) -> dict[str, Any]:
    case_id = path.parent.name
    labels, midline, facts = _prepared(path, spacing_mm=spacing_mm)
    # The renderer's axes are X, Y, Z.
    scan = render_ct(
        labels.transpose(2, 1, 0), KITS23_TISSUES, spacing=(spacing_mm,) * 3, rng=stream(seed, case_id, "rendered")
    )
    image = scan.transpose(2, 1, 0).astype(np.float32)
    limits = recognise(image, modality="CT", origin="official", leaves=tuple(KITS23.values())).window
    write_case(
        volumes / f"{case_id}.h5", images={"CT": window.shown(image, limits)}, labels=labels, affine=np.eye(4),
        spacing_mm=spacing_mm, midline=midline, structures=KITS23,
    )  # fmt: skip
    depth, height, width = labels.shape
    return {
        "volume_id": f"{case_id}:CT", "case_id": case_id, "patient_id": case_id, "collection": "KiTS23",
        "origin": ORIGIN, "modality": "CT", "channel": "CT", "file": f"{case_id}.h5", "depth": depth,
        "height": height, "width": width, "spacing_mm": spacing_mm, **facts, "window_low": limits[0],
        "window_high": limits[1], "midline": midline, "sha256_image": "",
        "sha256_label": hashlib.sha256(path.read_bytes()).hexdigest(),
        "leaves": sorted({KITS23[number] for number in nifti.present(labels)}), "spacing_known": True,
        "lateral": True, "split": "test",
    }  # fmt: skip


def _prepared(path: Path, *, spacing_mm: float) -> tuple[LabelArray, float, Mapping[str, Any]]:
    """Labels `[D, H, W]` on the prepared grid, cut to what is labelled; the midline's column; manifest facts."""
    raw, geometry = nifti.read(path)
    affine = geometry.affine
    values = nifti.label_values(raw, known=set(KITS23), path=path, described_in="KiTS23's label table")
    labels, _ = grid.to_canonical(values, affine)
    if not labels.any():
        raise DataError(f"{path}: expected a label map with a kidney, got an empty one. Leave it out.")
    right, anterior, superior = grid.source_spacing(affine)
    edges = (superior, anterior, right)
    box = tuple(_extent(labels, axis, round(MARGIN_MM / edge)) for axis, edge in enumerate(edges))
    cut = np.ascontiguousarray(labels[box])
    positions = tuple(
        grid.sampling(size, edge_mm=edge, spacing_mm=spacing_mm) for size, edge in zip(cut.shape, edges, strict=True)
    )
    centre = (labels.shape[2] - 1) / 2 - box[2].start
    columns = positions[2]
    midline = (centre - columns[0]) / (columns[1] - columns[0])
    facts = {"source_spacing_mm": [right, anterior, superior], "source_axes": grid.source_axes(affine)}
    return grid.resample_labels(cut, positions), float(midline), facts


def _extent(labels: LabelArray, axis: int, margin: int) -> slice:
    others = tuple(other for other in range(3) if other != axis)
    found = np.flatnonzero(labels.any(axis=others))
    return slice(max(int(found[0]) - margin, 0), min(int(found[-1]) + margin + 1, labels.shape[axis]))
