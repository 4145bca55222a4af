"""Images of any content go through every stage of profile `own` as they are; what they lack is said in a sentence.

The stages run here as `whole_run.py` runs them.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import whole_run
from tiny_images import Folder, box
from tiny_project import ROOT

from semantiseg.pipeline import runner

SMALLEST = (
    "models=[token]", "prompts.slices_per_volume=1", "prompts.texts_per_question=2", "pretrain.image_size=32",
    "pretrain.steps=1", "pretrain.images_per_step=2", "pretrain.pretrain_threads=1", "train.steps=1",
    "train.images_per_step=2", "train.prompts_per_image=2", "table1.resamples=20",
)  # fmt: skip
NO_IMAGES = ("published", "ablation")
"""Stages that read no images: run by the tests of the machinery, and by the test that goes through DVC."""


def run(folder: Path, place: Path, *settings: str) -> tuple[Path, dict[str, str]]:
    """The workspace and what its notebooks showed."""
    root = runner.create(place, project=ROOT, profile="own", data=folder, settings=[*SMALLEST, *settings])
    return root, whole_run.run_all(root, without=NO_IMAGES)


def row_of(root: Path) -> pd.Series:
    """The token gate's row of Table 1."""
    return pd.read_csv(root / "figures/table1.csv").set_index("model").loc["token"]


def test_organs_alone_with_an_empty_label_map(tmp_path):
    folder = Folder(tmp_path / "Organs", ["liver", "spleen", "kidney_right", "kidney_left"])
    for number in range(8):
        boxes = {1: box(22, 18), 2: box(5, 20), 3: box(25, 4), 4: box(6, 5)}
        folder.add(f"case{number}x", {} if number % 4 == 0 else boxes)
    root, shown = run(folder.path, tmp_path / "work")
    attributes = pd.read_parquet(root / "data/bench/attributes.parquet")
    assert set(attributes["structure"]) == {"liver", "spleen", "kidney"}
    assert "No lesion" in shown["prompts"]
    assert row_of(root)["l3"] >= 0
