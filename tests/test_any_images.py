"""Images of any content go through every stage of profile `own` as they are; what they lack is said in a sentence.

The stages run here as `whole_run.py` runs them. Real folders are tried by `pytest -m slow` where they are present.
"""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest
import whole_run
from tiny_images import Folder, box
from tiny_project import ROOT

from semantiseg.data.labels import LEAVES
from semantiseg.errors import DataError
from semantiseg.pipeline import runner

SMALLEST = (
    "models=[token]", "prompts.slices_per_volume=1", "prompts.texts_per_question=2", "pretrain.image_size=32",
    "pretrain.steps=1", "pretrain.images_per_step=2", "pretrain.pretrain_threads=1", "train.steps=1",
    "train.images_per_step=2", "train.prompts_per_image=2", "table1.resamples=20",
)  # fmt: skip
NO_IMAGES = ("published", "ablation", "patients")
"""Stages that read no images of the run: run by the tests of the machinery."""

REAL = Path(os.environ.get("SEMANTISEG_REAL_DATA", ROOT.parent / "shared/data"))
TASKS = ("Task04_Hippocampus", "Task101_AbdomenSlices", "Task111_GliomaNecrosis", "Task112_LowerGradeGlioma")


def run(data: object, place: Path, *settings: str) -> tuple[Path, dict[str, str]]:
    """The workspace and what its notebooks showed."""
    root = runner.create(place, project=ROOT, profile="own", data=str(data), settings=[*SMALLEST, *settings])
    return root, whole_run.run_all(root, without=NO_IMAGES)


def row_of(root: Path) -> pd.Series:
    """The token gate's row of Table 1."""
    return pd.read_csv(root / "figures/table1.csv").set_index("model").loc["token"]


def test_organs_alone_of_nnunet_v2_with_an_empty_label_map(tmp_path):
    folder = Folder(tmp_path / "Organs", ["liver", "spleen", "kidney_right", "kidney_left"], nnunet=True)
    for number in range(8):
        boxes = {1: box(22, 18), 2: box(5, 20), 3: box(25, 4), 4: box(6, 5)}
        folder.add(f"case_{number}", {} if number % 4 == 0 else boxes)
    root, shown = run(folder.path, tmp_path / "work")
    attributes = pd.read_parquet(root / "data/bench/attributes.parquet")
    assert set(attributes["structure"]) == {"liver", "spleen", "kidney"}
    assert "No lesion" in shown["prompts"]
    assert "8 patients" in shown["prepare"]
    assert row_of(root)["l3"] >= 0
    for name in ("table1.md", "table2.md", "composition.md", "claims.md"):
        assert "(fewer than 20)" in (root / "figures" / name).read_text(), name


def test_thin_lesions_and_two_channels_of_whole_tumours_train_one_model_together(tmp_path):
    thin = Folder(tmp_path / "Thin", ["liver", "liver tumour"])
    for number in range(3):  # a patient a split
        sheet = box(22, 14, 3, size=(9, 8, 1))
        thin.add(f"thin{number}x", {1: box(18, 10, 0, size=(18, 16, 7)), 2: sheet})
    gliomas = Folder(tmp_path / "Gliomas", ["glioma"], channels=["T1gd", "FLAIR"])
    for number in range(4):
        gliomas.add(f"glioma{number}x", {1: box(22 - 15 * (number % 2), 18)})
    root, _ = run(f"{thin.path} {gliomas.path}", tmp_path / "work")
    attributes = pd.read_parquet(root / "data/bench/attributes.parquet")
    measured = attributes[attributes["region"] == 1].groupby("structure")["attribute"].agg(set)
    assert "sphericity" in measured["liver"] and "sphericity" not in measured["liver_tumour"]
    prompts = pd.read_parquet(root / "data/bench/prompts.parquet")
    tumours = prompts[prompts["collection"] == "Gliomas"]
    assert set(tumours["channel"]) == {"T1c", "FLAIR"}
    assert not tumours["program"].str.contains("core|oedema|enhancing|necrotic", regex=True).any()
    assert tumours["program"].str.contains("lesion(brain_tumour)", regex=False).all()
    assert row_of(root)["patients"] == 2


def test_forty_organs_in_four_channels_of_two_patients_without_validation(tmp_path):
    names = sorted(LEAVES - {"whole_brain_tumour", "whole_hippocampus", "whole_kidney", "whole_prostate"})
    folder = Folder(tmp_path / "Forty", names, channels=["T1", "T1c", "T2", "FLAIR"], shape=(66, 58, 4))
    for case in ("first", "second"):
        places = [box(2 + 9 * (n % 7), 2 + 9 * (n // 7), size=(8, 8, 3)) for n in range(len(names))]
        folder.add(case, dict(enumerate(places, start=1)))
    root, shown = run(folder.path, tmp_path / "work", "prompts.volumes_drawn=4")
    assert len(names) == 40
    manifest = pd.read_parquet(root / "data/volumes/manifest.parquet")
    assert manifest["leaves"].map(len).eq(40).all() and set(manifest["split"]) == {"train", "test"}
    assert "No validation patient" in shown["pretrain"] and "No validation patient" in shown["train@token"]
    assert row_of(root)["patients"] == 1


def test_single_slices_of_one_patient_are_trained_on_and_nothing_is_scored(tmp_path):
    folder = Folder(tmp_path / "Slices", ["liver", "spleen"], shape=(40, 36, 1))
    for number in range(3):
        boxes = {1: box(22, 18, 0, size=(11, 10, 1)), 2: box(5, 20, 0, size=(8, 9, 1))}
        folder.add(f"slice{number}", boxes, patient="only one")
    root, shown = run(folder.path, tmp_path / "work")
    assert set(pd.read_parquet(root / "data/volumes/manifest.parquet")["depth"]) == {1}
    assert "No test patient" in shown["evaluate@token"]
    table = (root / "figures/table1.md").read_text()
    assert "No test patient" in table and "| 0 / 0 |" in table
    assert "No test patient" in (root / "figures/composition.md").read_text()
    assert "Nothing to show" in shown["teaser"]


def test_labels_that_are_all_empty_are_refused_in_a_sentence(tmp_path):
    folder = Folder(tmp_path / "Empty", ["liver"])
    for number in range(4):
        folder.add(f"case{number}x", {})
    with pytest.raises(whole_run.CellError) as caught:
        run(folder.path, tmp_path / "work")
    assert isinstance(caught.value.__cause__, DataError)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_real_folders_reach_table_1_as_they_are(task, tmp_path):
    if not (REAL / task).is_dir():
        pytest.skip(f"no real images at {REAL / task}: name their folder in SEMANTISEG_REAL_DATA")
    root, _ = run(REAL / task, tmp_path / "work")
    assert row_of(root)["prompts"] > 0
