"""Runs on real collections: recorded once with all that they were made of, shown by every later run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from semantiseg import document
from semantiseg.data.split import few_patients
from semantiseg.errors import DataError
from semantiseg.paper import patients

LEVELS = (1, 2, 3)


def workspace(folder: Path, *, origin: str = "user") -> Path:
    """What a finished run leaves, as far as a record reads it: two test patients, one model, two ways of asking."""
    data = folder / "data"
    for name in ("composition", "volumes", "bench", "report", "raw/Task04_Hippocampus/imagesTr"):
        (data / name).mkdir(parents=True)
    (folder / "logs").mkdir()
    splits = {"train": 5, "validation": 1, "test": 2}
    people = [(f"{split}{number}", split) for split, amount in splits.items() for number in range(amount)]
    pd.DataFrame(people, columns=["patient_id", "split"]).to_parquet(data / "volumes/manifest.parquet")
    pd.DataFrame({"collection": ["Task04_Hippocampus"]}).to_parquet(data / "bench/prompts.parquet")
    asked = [
        {"origin": origin, "suite": suite, "level": level, "text": f"{suite} {level} {text}"}
        for suite in ("core", "clinical") for level in LEVELS for text in range(level)
    ]  # fmt: skip
    pd.DataFrame([*asked, *asked]).to_parquet(data / "composition/questions.parquet")
    answers = [
        {"suite": "core", "model": "token", "variant": variant, "patient_id": patient, "level": level, "dice": dice}
        for variant in ("plain", "strict", "learned") for patient in ("test0", "test1") for level in LEVELS
        for dice in (0.5, 0.9)
    ]  # fmt: skip
    pd.DataFrame(answers).to_parquet(data / "composition/answers.parquet")
    ends = {f"{key}{end}": value for key in ("l1", "l2", "l3", "pss", "collapse_rate")
            for end, value in (("", 0.7), ("_low", 0.6), ("_high", 0.8))}  # fmt: skip
    rows = [
        {"suite": "core", "model": "token", "variant": "plain", "prompts": 9, "patients": 2, **ends},
        {"suite": "core", "model": "token", "variant": "strict", "prompts": 9, "patients": 2, **ends, "pss": None},
        {"suite": "clinical", "model": "token", "variant": "lenient", "prompts": 9, "patients": 2, **ends, "l3": 0.65},
    ]
    pd.DataFrame(rows).to_csv(data / "report/composition.csv", index=False)
    for suffix in patients.PICTURES:
        (data / f"report/fig1.{suffix}").write_bytes(b"picture")
    (data / "raw/Task04_Hippocampus/imagesTr/a.nii.gz").write_bytes(b"voxels")
    (folder / "params.yaml").write_text(document.document_text({"seed": 3, "train": {"steps": 600}}))
    run = {"cpu": "a processor", "cores": 2, "seconds": 720.0}
    (folder / "logs/demo_run.json").write_text(json.dumps(run))
    return folder


def recorded(tmp_path: Path, **changes) -> patients.Record:
    arguments = {
        "source": "Somebody (2022)", "licence": "CC-BY-SA 4.0", "command": "make reproduce PROFILE=own DATA=folder",
        "code": "abc", "pictures": True, "folder": tmp_path / "records",
    }  # fmt: skip
    return patients.record(tmp_path / "run", **(arguments | changes))


def test_a_record_says_on_whom_in_how_many_sentences_and_of_which_bytes(tmp_path):
    workspace(tmp_path / "run")
    found = recorded(tmp_path)
    assert (found.name, found.patients) == ("Task04_Hippocampus", {"train": 5, "validation": 1, "test": 2})
    assert found.sentences["core"] == {"1": 1, "2": 2, "3": 3}
    assert list(found.inputs) == ["Task04_Hippocampus/imagesTr/a.nii.gz"] and len(found.inputs.popitem()[1]) == 64
    assert (found.seed, found.minutes, found.code) == (3, 12.0, "abc")
    assert patients.read(tmp_path / "records")[0].rows == found.rows


def test_reading_the_same_test_patients_again_is_counted(tmp_path):
    workspace(tmp_path / "run")
    assert [recorded(tmp_path).reads for _ in range(3)] == [1, 2, 3]


def test_phantoms_are_never_recorded_as_patients(tmp_path):
    workspace(tmp_path / "run", origin="phantom")
    with pytest.raises(DataError, match="expected a run on real images, got phantoms"):
        recorded(tmp_path)
    assert not (tmp_path / "records").exists()


def test_an_unfinished_run_is_refused_by_the_file_that_it_lacks(tmp_path):
    workspace(tmp_path / "run")
    (tmp_path / "run/data/composition/questions.parquet").unlink()
    with pytest.raises(DataError, match=r"questions\.parquet.*Run it to its end"):
        recorded(tmp_path)


def test_pictures_are_kept_only_where_the_licence_lets_them_be_shown(tmp_path):
    workspace(tmp_path / "run")
    recorded(tmp_path, pictures=False)
    assert not list((tmp_path / "records").glob("*.png"))
    recorded(tmp_path)
    assert len(list((tmp_path / "records").glob("*_fig1.*"))) == len(patients.PICTURES)


def test_the_table_sets_clinical_sentences_beside_the_core_row_and_says_that_patients_are_few(tmp_path):
    workspace(tmp_path / "run")
    records = [recorded(tmp_path)]
    frame = patients.table(records)
    assert list(frame["variant"]) == ["plain", "strict"]
    assert frame["clinical_l3"].isna().tolist() == [True, False] and frame["clinical_l3"].iloc[1] == 0.65
    for text in (patients.markdown(records), patients.short(records)):
        assert few_patients(2) in text and "2 tested" in text and "3 distinct sentences at level 3" in text
    assert "make reproduce PROFILE=own DATA=folder" in patients.markdown(records)


def test_the_figure_shows_every_test_patient_and_gives_equal_bytes(tmp_path):
    workspace(tmp_path / "run")
    records = [recorded(tmp_path)]
    figure = patients.draw(records, folder=tmp_path / "records")
    dots = sum(len(points.get_offsets()) for points in figure.axes[0].collections)
    assert dots >= 2 * 2 * 2  # patients, levels, ways of asking
    for name in ("a.png", "b.png"):
        patients.style.save(patients.draw(records, folder=tmp_path / "records"), tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_without_a_record_the_stage_still_writes_all_its_files_and_says_so(tmp_path):
    written = patients.write([], tmp_path)
    assert {path.name for path in written} >= {"patients.csv", "patients.md", "patients.png", "patients_fig1.png"}
    assert "No run on a real collection is recorded" in (tmp_path / "patients.md").read_text()
