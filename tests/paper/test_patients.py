"""Runs on real collections: recorded once with all that they were made of, shown by every later run."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from semantiseg import document
from semantiseg.data.split import few_patients
from semantiseg.errors import DataError
from semantiseg.paper import patients, patients_record

LEVELS = (1, 2, 3)
MODELS = ("token", "unet")


def workspace(folder: Path, *, origin: str = "user", fold: int = 0, seed: int = 3, folds: int = 0) -> Path:
    """What a finished run leaves, as far as a record reads it: two test patients, two models, two ways of asking."""
    data = folder / "data"
    for name in ("composition", "volumes", "report", "raw/Task04_Hippocampus/imagesTr"):
        (data / name).mkdir(parents=True)
    (folder / "logs").mkdir()
    splits = {"train": 5, "validation": 1, "test": 2}
    people = [(f"{split}{fold}{number}", split) for split, amount in splits.items() for number in range(amount)]
    pd.DataFrame(people, columns=["patient_id", "split"]).to_parquet(data / "volumes/manifest.parquet")
    tested = [patient for patient, split in people if split == "test"]
    asked = [
        {"origin": origin, "collection": "Task04_Hippocampus", "suite": suite, "level": level, "split": "test",
         "text": f"{suite} {level} {text}", "prompt_id": f"{suite}{level}{text}{patient}", "patient_id": patient,
         "phrasing": "unseen", "structure": "hippocampus", "program": "organ(hippocampus)",
         "parent_differs": level == 3}
        for suite in ("core", "clinical") for level in LEVELS for text in range(level) for patient in tested
    ]  # fmt: skip
    pd.DataFrame(asked).to_parquet(data / "composition/questions.parquet")
    answers = [
        {key: row[key] for key in ("suite", "level", "prompt_id", "patient_id", "structure", "parent_differs")}
        | {"model": model, "variant": variant, "collapsed": row["level"] == 3 and model == "unet",
           "parent_dice": 0.8,
           "dice": (0.9 if variant == "strict" else 0.7) - 0.2 * (model == "unet") - 0.1 * fold}
        for row in asked for model in MODELS
        for variant in (("plain", "strict") if row["suite"] == "core" else ("plain", "lenient"))
    ]  # fmt: skip
    pd.DataFrame(answers).to_parquet(data / "composition/answers.parquet")
    heard = [
        {"prompt_id": row["prompt_id"], "reader": reader, "suite": row["suite"], "level": row["level"], "read": True,
         "rightly": True}
        for row in asked for reader in ("strict", "lenient")
    ]  # fmt: skip
    pd.DataFrame(heard).to_parquet(data / "composition/reading.parquet")
    for suffix in patients.PICTURES:
        (data / f"report/fig1.{suffix}").write_bytes(b"picture")
    (data / "raw/Task04_Hippocampus/imagesTr/a.nii.gz").write_bytes(b"voxels")
    values = {
        "seed": seed, "train": {"steps": 600}, "prepare": {"folds": folds, "fold": fold}, "table1": {"resamples": 50},
    }  # fmt: skip
    (folder / "params.yaml").write_text(document.document_text(values))
    log = [("train", "failed", 999.0), ("train", "done", 999.0), ("train", "done", 700.0)]
    log.append(("composition", "done", 20.0))
    machine = {"cpu": "a processor", "cores": 2}
    lines = [json.dumps({"stage": stage, "status": how, "cpu_seconds": cost} | machine) for stage, how, cost in log]
    (folder / "logs/stages.jsonl").write_text("\n".join(lines))
    return folder


def recorded(tmp_path: Path, *runs: Path, **changes) -> patients_record.Record:
    arguments = {
        "source": "Somebody (2022)", "licence": "CC-BY-SA 4.0", "command": "make reproduce PROFILE=own DATA=folder",
        "code": "abc", "pictures": True, "folder": tmp_path / "records",
    }  # fmt: skip
    return patients_record.record(runs or [tmp_path / "run"], **(arguments | changes))


def test_a_record_says_on_whom_in_how_many_sentences_and_of_which_bytes(tmp_path):
    workspace(tmp_path / "run")
    found = recorded(tmp_path)
    assert (found.name, found.patients) == ("Task04_Hippocampus", {"train": 5, "validation": 1, "test": 2})
    assert found.sentences["core"] == {"1": 1, "2": 2, "3": 3}
    assert list(found.inputs) == ["Task04_Hippocampus/imagesTr/a.nii.gz"] and len(found.inputs.popitem()[1]) == 64
    assert (found.seeds, found.folds, found.minutes, found.code) == ([3], 0, 12.0, "abc")
    assert patients_record.read_records(tmp_path / "records")[0].rows == found.rows


def test_folds_and_seeds_become_one_row_a_model_with_every_patient_in_it(tmp_path):
    """Dice of a patient is 0.1 lower in the second fold; the mean over both is between."""
    runs = [
        workspace(tmp_path / f"{fold}{seed}", fold=fold, folds=2, seed=seed) for seed in (0, 1) for fold in (0, 1)
    ]
    found = recorded(tmp_path, *runs)
    assert (found.seeds, found.folds, found.tested_folds, found.minutes) == ([0, 1], 2, [0, 1], 48.0)
    assert found.patients == {"train": 5, "validation": 1, "test": 4} and found.parameters["prepare"] == {"folds": 2}
    frame = patients.table([found]).set_index(["model", "variant"])
    assert len(frame) == 4 and frame["l3"]["token", "strict"] == pytest.approx(0.85)
    assert frame["l3_low"]["token", "strict"] < 0.85 < frame["l3_high"]["token", "strict"]
    assert set(frame["patients"]) == {4} and frame["prompts"]["token", "plain"] == 4 * 2 * 6
    page = patients.markdown([found])
    assert "Cross-validation in 2 folds. " in page and "Seeds 0, 1;" in page and "4 tested" in page
    assert "2 folds, 1 of them run" in patients.short([recorded(tmp_path / "one", runs[0])])


def test_the_rival_without_gate_is_held_against_semantiseg_patient_by_patient(tmp_path):
    runs = [workspace(tmp_path / str(fold), fold=fold, folds=2) for fold in (0, 1)]
    found = recorded(tmp_path, *runs)
    third = next(row for row in found.versus if row["measure"] == "l3")
    assert (third["first"], third["second"], third["patients"]) == ("semantiseg", "unet", 4)
    assert third["difference"] == pytest.approx(0.2) and third["p"] == pytest.approx(2 / 2**4)
    assert "(difference +0.200" in patients.markdown([found]) and "Plain U-Net" in patients.markdown([found])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: (run / "data/raw/Task04_Hippocampus/imagesTr/a.nii.gz").write_bytes(b"other"), "got others"),
        (
            lambda run: (run / "params.yaml").write_text((run / "params.yaml").read_text().replace("600", "700")),
            r"others in \['train'\]",
        ),
        (
            lambda run: (run / "params.yaml").write_text((run / "params.yaml").read_text().replace("d: 1", "d: 0")),
            "another seed or fold",
        ),
        (
            lambda run: pd.DataFrame({"patient_id": ["test00"], "split": ["test"]}).to_parquet(
                run / "data/volumes/manifest.parquet"
            ),
            "no other fold tests",
        ),
    ],
)  # fmt: skip
def test_runs_that_do_not_belong_together_make_no_record(tmp_path, change, words):
    runs = [workspace(tmp_path / str(fold), fold=fold, folds=2) for fold in (0, 1)]
    change(runs[1])
    with pytest.raises(DataError, match=words):
        recorded(tmp_path, *runs)
    assert not (tmp_path / "records").exists()


def test_published_figures_stand_beside_the_same_nouns_and_the_protocols_are_said_to_differ(tmp_path):
    questions = pd.read_parquet(workspace(tmp_path / "run") / "data/composition/questions.parquet")
    questions.assign(program="part(anterior_hippocampus)").to_parquet(
        tmp_path / "run/data/composition/questions.parquet"
    )
    page = patients.markdown([recorded(tmp_path)])
    row = next(line for line in page.splitlines() if line.startswith("| anterior hippocampus"))
    assert row.split("|")[2:7] == [" 0.70 ", " 0.50 ", " 0.83 ", " 0.81 ", " 0.76 "]
    assert "The protocols differ" in page


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
    assert list(frame["variant"]) == ["plain", "strict"] * 2
    assert frame["clinical_l3"].notna().all() and set(frame["clinical_rightly_l3"].dropna()) == {1.0}
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
