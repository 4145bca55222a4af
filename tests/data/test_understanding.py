"""What `semantiseg check` understands of folders that people really have."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from semantiseg import cli
from semantiseg.data.understanding import Choices, understand_folder

CLEAN = {
    "no-lesion-label", "trailing4th", "units-meter", "ct-plus1024", "ct-minus1-1", "float-labels-nibabel",
    "float-labels-0.999999", "nnunet-v1-0000", "one-patient-FLARE22", "v2_channel_names_with_training",
}  # fmt: skip
FAULTY = {
    "empty-labels", "5d_vector", "label_onehot4d", "dtype_complex64", "bad_quatern", "nan_sform", "scl_slope_inf",
    "labels-zero-based", "duplicated-entry", "leak-0000", "leak-uppercase-ext",
}  # fmt: skip


def check(*arguments: str):
    return CliRunner().invoke(cli.main, ["check", *map(str, arguments)])


@pytest.mark.parametrize("name", sorted(CLEAN))
def test_usable_folders_have_no_problem(shared, name):
    assert understand_folder(shared.parent / "cases" / name, Choices()).collection.problems == ()


@pytest.mark.parametrize("name", sorted(FAULTY))
def test_faulty_folders_are_told_with_file_and_remedy(shared, name):
    problems = understand_folder(shared.parent / "cases" / name, Choices()).collection.problems
    assert problems and all(str(problem.file) and problem.remedy for problem in problems)


def test_every_folder_ends_in_0_or_1_and_never_in_a_traceback(shared):
    for folder in sorted((shared.parent / "cases").iterdir()):
        if folder.is_dir():
            result = check(folder, "--json")
            assert result.exit_code in (0, 1) and isinstance(result.exception, SystemExit | None), folder
            found = json.loads(result.stdout)
            assert result.exit_code == bool(found["problems"])


def test_the_line_that_is_offered_mends_the_leak(shared):
    folder = shared.parent / "cases" / "leak-0000"
    assert "prepare.patient_pattern='^ABD_\\d+'   (3 patients" in check(folder).output
    result = check(folder, "--json", "--set", r"prepare.patient_pattern=^ABD_\d+")
    assert (result.exit_code, json.loads(result.stdout)["patients"]) == (0, 3)


@pytest.mark.parametrize(
    ("name", "cases", "patients"),
    [("Task101_AbdomenSlices", 103, 13), ("Task04_Hippocampus", 195, 195), ("Task111_GliomaNecrosis", 4, 4)],
)
def test_the_real_folders_are_understood_as_they_are(shared, name, cases, patients):
    found = understand_folder(shared / name, Choices())
    assert found.collection.problems == ()
    assert (len(found.collection.cases), found.patients.count) == (cases, patients)


def test_small_slices_are_offered_a_small_network(shared):
    (line,) = understand_folder(shared / "Task04_Hippocampus", Choices()).cost
    assert "pretrain.image_size=64" in line


def test_a_users_folder_is_drawn_and_nothing_else_is_written(collection, tmp_path):
    folder = collection()
    for case in ("liver_1", "liver_2", "liver_3"):
        folder.add(case)
    before = sorted(tmp_path.rglob("*"))
    result = check(folder.folder, "--picture", tmp_path / "page.png")
    assert result.exit_code == 0, result.output
    assert sorted(tmp_path.rglob("*")) == sorted([*before, tmp_path / "page.png"])
    assert "Only 1 test patient (fewer than 20)" in result.output


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path):
    result = check(tmp_path / "none")
    assert result.exit_code == 1 and "expected a folder of images" in result.output
