from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from semantiseg.data.store import write_case, write_manifest
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import build_streams

E = 12
SIDE = 30
STRUCTURES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "liver_parenchyma"}
KIDNEY, TUMOUR, LIVER = "organ(kidney)", "lesion(kidney_tumour)", "organ(liver)"
RIGHT = "side(organ(kidney), right)"
MINUS = "minus(organ(kidney), lesion(kidney_tumour))"
QUESTIONS = (  # level, structure, program, parent
    (1, "kidney", KIDNEY, KIDNEY),
    (1, "liver", LIVER, LIVER),
    (2, "kidney_tumour", TUMOUR, TUMOUR),
    (3, "kidney", RIGHT, KIDNEY),
    (3, "kidney", MINUS, KIDNEY),
)


def draw_labels() -> np.ndarray:
    """Three slices: nothing; two kidneys, the right one with a tumour; two kidneys and a liver."""
    labels = np.zeros((3, SIDE, SIDE), dtype=np.uint8)
    labels[1:, 8:18, 3:11] = labels[1:, 8:18, 18:26] = 1
    labels[1, 10:14, 20:24] = 2
    labels[2, 20:28, 5:25] = 3
    return labels


def pixels(labels: np.ndarray, program: str) -> int:
    return int(evaluate(parse(program), labels, structures=STRUCTURES, midline=14.0).sum())


@pytest.fixture(scope="session")
def project(tmp_path_factory) -> Path:
    """Prepared volumes of three cases, training questions, made-up text features and random image streams."""
    root = tmp_path_factory.mktemp("project")
    (root / "volumes").mkdir()
    labels, rows, manifest = draw_labels(), [], []
    rng = np.random.default_rng(0)
    for case, split in (("a", "train"), ("b", "train"), ("c", "validation")):
        image = np.clip(0.2 + 0.2 * labels + rng.normal(0, 0.03, labels.shape), 0, 1)
        write_case(
            root / "volumes" / f"{case}.h5", images={"CT": image}, labels=labels, affine=np.eye(4), spacing_mm=1.0,
            midline=14.0, structures=STRUCTURES,
        )  # fmt: skip
        manifest.append(
            {
                "volume_id": f"{case}:CT",
                "channel": "CT",
                "file": f"{case}.h5",
                "source_spacing_mm": [1.0],
                "leaves": ["x"],
                "modality": "CT",
                "window_low": -150.0,
                "window_high": 250.0,
                "lateral": True,
            }
        )
        for index in (1, 2):
            for level, structure, program, parent in QUESTIONS:
                texts = [f"{program} worded {way}" for way in range(3)]
                rows.append(
                    {"volume_id": f"{case}:CT", "split": split, "slice": index, "level": level, "kind": "name",
                     "structure": structure, "program": program, "parent": parent, "clauses": "[]", "texts": texts,
                     "target_pixels": pixels(labels[index], program)}
                )  # fmt: skip
    write_manifest(root / "volumes", manifest)
    pd.DataFrame(rows).to_parquet(root / "training.parquet")
    torch.manual_seed(0)
    (root / "pretrained").mkdir()
    streams = build_streams(width="tiny", image_size=32)
    save_file(streams.state_dict(), root / "pretrained" / "model.safetensors")
    (root / "pretrained" / "config.json").write_text('{"width": "tiny", "image_size": 32}')
    make_features(sorted({text for row in rows for text in row["texts"]})).save(root / "features.h5")
    return root


@pytest.fixture(scope="session")
def small_streams(tmp_path_factory) -> Path:
    """Streams of the preset whose text is read with dropout."""
    folder = tmp_path_factory.mktemp("small")
    torch.manual_seed(0)
    save_file(build_streams(width="small", image_size=32).state_dict(), folder / "model.safetensors")
    (folder / "config.json").write_text('{"width": "small", "image_size": 32}')
    return folder


def make_features(texts: list[str]) -> TextFeatures:
    rng = np.random.default_rng(1)
    lengths = [1 + index % 4 for index in range(len(texts))]
    total = sum(lengths)
    return TextFeatures(
        texts=tuple(texts),
        offsets=np.cumsum([0, *lengths], dtype=np.int64),
        tokens=rng.normal(size=(total, E)).astype(np.float16),
        ids=rng.integers(0, 50, total).astype(np.int32),
        pooled=rng.normal(size=(len(texts), E)).astype(np.float16),
        static=rng.normal(size=(total, E)).astype(np.float16),
    )


@pytest.fixture
def change_training(project, tmp_path) -> Callable[[Callable[[pd.DataFrame], pd.DataFrame]], Path]:
    """A changed copy of training.parquet."""

    def change(how: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        path = tmp_path / "training.parquet"
        how(pd.read_parquet(project / "training.parquet")).to_parquet(path)
        return path

    return change
