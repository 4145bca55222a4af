"""Six tiny prepared cases, drawn by hand: kidneys with tumour and cysts (three splits), a brain tumour on two
channels, an empty colon."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semantiseg.data.store import write_case, write_manifest

KIDNEYS = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
BRAIN = {1: "necrotic_core", 2: "brain_oedema", 3: "enhancing_tumour", 4: "resection_cavity"}
COLON = {1: "colon_tumour"}
SHAPE = (14, 48, 72)
MIDLINE = 35.5


def ball(centre: tuple[float, float, float], radius: float) -> np.ndarray:
    """A ball `[D, H, W]`; centre and radius in voxels."""
    grid = np.indices(SHAPE)
    return sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) <= radius**2


def kidneys(shift: int) -> np.ndarray:
    """Two kidneys; the right one (larger columns) bears a tumour, a large and a small cyst, and the left one a cyst."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for column in (16, 55):
        labels[ball((7, 24, column), 11)] = 1
    labels[ball((7, 30 + shift, 52), 5)] = 2
    labels[ball((7, 19, 60), 3.6)] = 3
    labels[ball((7, 17, 52), 2.9)] = 3
    labels[ball((7, 20 + shift, 16), 4.3)] = 3
    return labels


def brain(shift: int) -> np.ndarray:
    """Oedema around an enhancing ring around necrosis, on the patient's left; no resection cavity."""
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for number, radius in ((2, 12), (3, 8), (1, 4.5)):
        labels[ball((7, 24 + shift, 18), radius)] = number
    return labels


def picture(labels: np.ndarray, values: dict[int, float], *, seed: int) -> np.ndarray:
    """Flat tissues with a little noise, in [0, 1]."""
    image = np.full(labels.shape, 0.3)
    for number, value in values.items():
        image[labels == number] = value
    return np.clip(image + np.random.default_rng(seed).normal(0, 0.02, labels.shape), 0, 1)


def write_volumes(root: Path) -> Path:
    """Write the six cases and their manifest."""
    root.mkdir(parents=True)
    rows = []
    ct = {"CT": {1: 0.6, 2: 0.45, 3: 0.2}}
    mr = {"T1c": {1: 0.1, 2: 0.25, 3: 0.9}, "FLAIR": {1: 0.35, 2: 0.9, 3: 0.6}}
    for number, split in enumerate(("train", "validation", "test")):
        rows += _write(root, f"kidneys_{number}", "KiTS23", kidneys(number), KIDNEYS, ct, split=split, modality="CT")
    for number, split in enumerate(("train", "test")):
        rows += _write(root, f"brain_{number}", "BraTS2024-GLI", brain(number), BRAIN, mr, split=split, modality="MR")
    empty = np.zeros(SHAPE, dtype=np.uint8)
    rows += _write(root, "colon_0", "Task10_Colon", empty, COLON, {"CT": {}}, split="test", modality="CT")
    write_manifest(root, rows)
    return root


def _write(
    root: Path, case_id: str, collection: str, labels, structures, channels, *, split: str, modality: str
) -> list[dict]:
    images = {
        name: picture(labels, values, seed=len(case_id) + place)
        for place, (name, values) in enumerate(channels.items())
    }
    write_case(
        root / f"{case_id}.h5",
        images=images,
        labels=labels,
        affine=np.eye(4),
        spacing_mm=1.0,
        midline=MIDLINE,
        structures=structures,
    )
    window = (-160.0, 240.0) if modality == "CT" else (0.0, 1000.0)
    facts = {
        "case_id": case_id,
        "patient_id": case_id,
        "collection": collection,
        "origin": "phantom",
        "modality": modality,
        "file": f"{case_id}.h5",
        **dict(zip(("depth", "height", "width"), SHAPE, strict=True)),
        "spacing_mm": 1.0,
        "source_spacing_mm": [1.0, 1.0, 1.0],
        "source_axes": "RAS",
        "window_low": window[0],
        "window_high": window[1],
        "midline": MIDLINE,
        "sha256_image": "",
        "sha256_label": "",
        "leaves": sorted({structures[value] for value in np.unique(labels) if value}),
        "lateral": True,
        "split": split,
    }
    return [{"volume_id": f"{case_id}:{channel}", "channel": channel, **facts} for channel in channels]


@pytest.fixture(scope="session")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the prepared cases; tests read it only."""
    return write_volumes(tmp_path_factory.mktemp("bench") / "volumes")
