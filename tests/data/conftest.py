"""A builder of tiny collections in Decathlon layout, and where the shared real data lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


class Collection:
    """A Decathlon folder below `raw`, written case by case."""

    def __init__(self, raw: Path, name: str, *, labels: dict[str, str], modality: dict[str, str], origin: str) -> None:
        self.raw, self.name, self.folder = raw, name, raw / name
        self.description = {"modality": modality, "labels": {"0": "background"} | labels, "training": []}
        self.origin = origin
        for part in ("imagesTr", "labelsTr"):
            (self.folder / part).mkdir(parents=True)
        self.write()

    def write(self) -> None:
        """Write `dataset.json` as it stands and list the collection in `sources.json`."""
        (self.folder / "dataset.json").write_text(json.dumps(self.description))
        path = self.raw / "sources.json"
        others = json.loads(path.read_text()) if path.exists() else []
        mine = {"collection": self.name, "layout": "decathlon", "origin": self.origin, "licence": "none"}
        path.write_text(json.dumps([item for item in others if item["collection"] != self.name] + [mine]))

    def add(self, case: str, image=None, label=None, *, affine=None, label_affine=None, **entry) -> tuple[Path, Path]:
        """Add one case; by default 12 x 10 x 6 voxels of 1 x 1 x 2 mm in RAS with a small box labelled 1."""
        image = scan() if image is None else image
        label = box() if label is None else label
        affine = np.diag([1.0, 1.0, 2.0, 1.0]) if affine is None else affine
        paths = tuple(self.folder / part / f"{case}.nii.gz" for part in ("imagesTr", "labelsTr"))
        nib.save(nib.Nifti1Image(image, affine), paths[0])
        nib.save(nib.Nifti1Image(label, affine if label_affine is None else label_affine), paths[1])
        self.description["training"].append(
            {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"} | entry
        )
        self.write()
        return paths


def scan(*, seed: int = 0, shape: tuple[int, ...] = (12, 10, 6)) -> np.ndarray:
    """A warm block in air, in HU, with noise."""
    image = np.random.default_rng(seed).normal(-1000, 5, shape)
    image[2:-2, 2:-2] += 1040
    return image.astype(np.int16)


def box(*, number: int = 1, shape: tuple[int, ...] = (12, 10, 6)) -> np.ndarray:
    """A label map with one box, off centre along every axis."""
    label = np.zeros(shape, dtype=np.uint8)
    label[3:7, 3:6, 1:4] = number
    return label


@pytest.fixture
def collection(tmp_path: Path) -> Callable[..., Collection]:
    """Makes Decathlon collections below `tmp_path / "raw"`."""

    def make(name: str = "Mine", *, labels=None, modality=None, origin: str = "user") -> Collection:
        return Collection(
            tmp_path / "raw", name, labels=labels or {"1": "spleen"}, modality=modality or {"0": "CT"}, origin=origin
        )

    return make


@pytest.fixture
def shared() -> Path:
    """The shared real data; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared real data are not at {SHARED}")
    return SHARED
