"""Folders in the layouts and spellings that people have are read, or refused with all their problems and remedies."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.layouts.reader import case_facts, collection_folders, read_folder, with_facts
from semantiseg.errors import DataError

REAL = Path(os.environ.get("SEMANTISEG_REAL_DATA", Path(__file__).resolve().parents[4] / "shared" / "data"))
CASES = REAL.parent / "cases"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir()) if CASES.is_dir() else []

LABELS = {"0": "background", "1": "liver", "2": "spleen"}


def image(path: Path, values=None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.arange(24, dtype=np.int16).reshape(4, 3, 2) % 3 if values is None else values
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


def folder(root: Path, images: list[str], maps: list[str], **content: object) -> Path:
    for name in images:
        image(root / "imagesTr" / name)
    for name in maps:
        image(root / "labelsTr" / name)
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(json.dumps({"labels": LABELS} | content))
    return root


def entry(image_name: str, label_name: str) -> dict[str, str]:
    return {"image": f"./imagesTr/{image_name}", "label": f"./labelsTr/{label_name}"}


def files(found: Collection) -> list[tuple[str, list[str], str]]:
    return [(case.case_id, [c.path.name for c in case.channels], case.label.name) for case in found.cases]


def _examined(found: Collection, *, workers: int) -> Collection:
    return with_facts(found, case_facts(found, workers=workers))


def test_nnunet_v2_is_read_from_its_file_names(tmp_path):
    names = [f"{case}_000{index}.nii.gz" for case in "ab" for index in (0, 1)]
    made = folder(tmp_path, names, ["b.nii.gz", "a.nii.gz"], channel_names={"0": "T1", "1": "FLAIR"},
                  labels={"background": 0, "liver": 1, "spleen": 2, "ignore": 3}, file_ending=".nii.gz")  # fmt: skip
    found = _examined(read_folder(made), workers=1)
    assert (found.layout, found.channels, found.problems) == ("nnunet-v2", ("T1", "FLAIR"), ())
    assert files(found) == [(case, [f"{case}_0000.nii.gz", f"{case}_0001.nii.gz"], f"{case}.nii.gz") for case in "ab"]
    assert (dict(found.labels), found.ignored) == ({1: "liver", 2: "spleen"}, {3})
    assert any("ignore label [3] become background" in warning for warning in found.warnings)


def test_nnunet_v2s_own_list_of_files_is_followed(tmp_path):
    made = folder(tmp_path, ["x.nii.gz"], ["y.nii.gz"], channel_names={"0": "CT"},
                  dataset={"case": {"images": ["imagesTr/x.nii.gz"], "label": "labelsTr/y.nii.gz"}})  # fmt: skip
    assert files(read_folder(made)) == [("case", ["x.nii.gz"], "y.nii.gz")]


def test_a_label_map_without_its_image_is_a_problem_by_name(tmp_path):
    made = folder(tmp_path, ["a_0000.nii.gz", "b_0000.nii.gz"], ["a.nii.gz", "c.nii.gz"], channel_names={"0": "CT"})
    found = read_folder(made)
    assert [case.case_id for case in found.cases] == ["a"]
    assert [problem.file.name for problem in found.problems] == ["c.nii.gz"]
    assert "c_0000.nii.gz" in found.problems[0].text


@pytest.mark.parametrize("listed", ["a.nii.gz", "a_0000.nii.gz"])
def test_nnunet_v1_is_read_whether_the_list_names_the_channel_or_not(tmp_path, listed):
    made = folder(tmp_path, ["a_0000.nii.gz"], ["a.nii.gz"], modality={"0": "CT"}, training=[entry(listed, "a.nii.gz")])
    found = read_folder(made)
    assert found.layout == "nnunet-v1" and files(found) == [("a", ["a_0000.nii.gz"], "a.nii.gz")]


def test_a_decathlon_case_whose_own_name_ends_in_four_digits_keeps_it(tmp_path):
    names = [f"FLARE22_Tr_000{n}.nii.gz" for n in (1, 2)]
    made = folder(tmp_path, names, names, modality={"0": "CT"}, training=[entry(name, name) for name in names])
    assert [case.case_id for case in read_folder(made).cases] == ["FLARE22_Tr_0001", "FLARE22_Tr_0002"]


def test_endings_in_capitals_are_no_part_of_a_name(tmp_path):
    made = folder(tmp_path, ["a.NII.GZ"], ["a.NII.GZ"], modality={"0": "CT"}, training=[entry("a.NII.GZ", "a.NII.GZ")])
    found = _examined(read_folder(made), workers=1)
    assert [case.case_id for case in found.cases] == ["a"] and not found.problems


@pytest.mark.parametrize(
    "labels",
    [LABELS, ["background", "liver", "spleen"], {"background": 0, "liver": 1, "spleen": 2},
     {"1": "liver", "2": "spleen"}, {"background": 0, "liver": [1], "spleen": 2, "both": [1, 2]},
     {"background": "0", "liver": "1", "spleen": "2"}],
)  # fmt: skip
@pytest.mark.parametrize("channels", [{"modality": {"0": "CT"}}, {"modality": ["CT"]}, {"channel_names": {"0": "CT"}}])
def test_spellings_of_labels_and_channels_mean_the_same(tmp_path, labels, channels):
    found = read_folder(folder(tmp_path, ["a.nii.gz"], ["a.nii.gz"], training=[entry("a.nii.gz", "a.nii.gz")],
                               **channels | {"labels": labels}))  # fmt: skip
    assert (dict(found.labels), found.channels, found.problems) == ({1: "liver", 2: "spleen"}, ("CT",), ())


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"0": "liver", "1": "spleen"}, '"labels": {"0": "background", "1": "liver", "2": "spleen"}'),
        (["liver", "spleen"], '"0": "background"'),
        ({"background": 0, "whole": [1, 2], "core": [2]}, '"1": "<name of 1>", "2": "core"'),
        ({"0": "background", "1": "liver", "2": "Liver"}, "each label name once"),
        ({"background": 0, "liver": 1, "spleen": 1}, "each label number once"),
        ({"0": "background"}, "from 1 to 255"),
        ({"0": "background", "256": "liver"}, "from 1 to 255"),
        ({"0": "background", "1": ""}, "Write the line"),
        ({"0": "background", "1": None}, "Write the line"),
        ({"background": 0, "liver": True}, "Write the line"),
        ("liver", "Write the line"),
    ],
)
def test_labels_that_mean_nothing_are_refused_with_the_line_to_write(tmp_path, labels, told):
    made = folder(tmp_path, ["a.nii.gz"], ["a.nii.gz"], modality={"0": "CT"}, labels=labels,
                  training=[entry("a.nii.gz", "a.nii.gz")])  # fmt: skip
    assert any(told in str(problem) for problem in read_folder(made).problems)


def test_a_case_listed_twice_is_refused_by_its_name(tmp_path):
    twice = [entry("a.nii.gz", "a.nii.gz")] * 2
    made = folder(tmp_path, ["a.nii.gz"], ["a.nii.gz"], modality={"0": "CT"}, training=twice)
    assert "'a' 2 times" in str(read_folder(made).problems[0])


def test_all_problems_of_a_folder_come_at_once(tmp_path):
    names = ["a.nii.gz", "b.nii.gz", "c.nii.gz"]
    made = folder(tmp_path, names, names, modality={"0": "CT"}, training=[entry(name, name) for name in names])
    (made / "imagesTr/a.nii.gz").write_bytes(b"no image")
    image(made / "labelsTr/b.nii.gz", np.full((4, 3, 2), 9, np.uint8))
    image(made / "imagesTr/c.nii.gz", np.zeros((4, 3, 3), np.uint8))
    found = _examined(read_folder(made), workers=1)
    assert [problem.file.relative_to(made).as_posix() for problem in found.problems] == [
        "imagesTr/a.nii.gz", "labelsTr/b.nii.gz", "labelsTr/c.nii.gz"]  # fmt: skip


def test_labels_without_a_voxel_are_said_and_none_at_all_is_a_problem(tmp_path):
    made = folder(tmp_path, ["a.nii.gz"], ["a.nii.gz"], modality={"0": "CT"}, training=[entry("a.nii.gz", "a.nii.gz")])
    image(made / "labelsTr/a.nii.gz", np.eye(4, 3, dtype=np.uint8)[..., None].repeat(2, axis=2))
    found = _examined(read_folder(made), workers=1)
    assert not found.problems and any("no voxel carries 2 spleen" in warning for warning in found.warnings)
    image(made / "labelsTr/a.nii.gz", np.zeros((4, 3, 2), np.uint8))
    assert "1 liver, 2 spleen" in str(_examined(read_folder(made), workers=1).problems[0])


def test_facts_count_the_voxels_of_every_label(tmp_path):
    made = folder(tmp_path, ["a.nii.gz"], ["a.nii.gz"], modality={"0": "CT"}, training=[entry("a.nii.gz", "a.nii.gz")])
    (facts,) = case_facts(read_folder(made), workers=1)
    assert (facts.voxels, facts.shape) == (((1, 8), (2, 8)), (4, 3, 2))


def test_several_folders_are_several_collections(tmp_path):
    for name in ("one", "two", "with blank"):
        folder(tmp_path / name, [], [])
    assert [path.name for path in collection_folders(f"{tmp_path}/two {tmp_path}/one")] == ["two", "one"]
    assert [path.name for path in collection_folders(str(tmp_path / "with blank"))] == ["with blank"]
    assert [path.name for path in collection_folders(str(tmp_path))] == ["one", "two", "with blank"]
    with pytest.raises(DataError, match="different names"):
        collection_folders(f"{tmp_path}/one {tmp_path}")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["CT", "bg"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["0", "1", "image", "label", "a"]) | st.text(max_size=4), inner, max_size=3
    ),
    max_leaves=8,
)  # fmt: skip


KEYS = st.sampled_from(["labels", "modality", "channel_names", "training", "dataset", "licence"])


@given(content=st.dictionaries(KEYS, JSON))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_description_raises_anything(tmp_path, content):
    image(tmp_path / "imagesTr" / "a.nii.gz")
    image(tmp_path / "labelsTr" / "a.nii.gz")
    entries = {"modality": ["CT"], "labels": LABELS, "training": [entry("a.nii.gz", "a.nii.gz")]}
    (tmp_path / "dataset.json").write_text(json.dumps(entries | content))
    found = read_folder(tmp_path)
    assert found.cases or found.problems


@pytest.mark.parametrize("text", ["", "{", "[]", "1", "\ufeff{}", "[" * 100_000, '{"labels": 1e999}', "\x00"])
def test_no_text_raises_anything(tmp_path, text):
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    assert read_folder(tmp_path).problems


REFUSED = {
    "5d_vector": "a vector image",
    "label_onehot4d": "4 masks, one-hot",
    "analyze_pair": "half of a pair",
    "dtype_complex64": "complex64",
    "bad_quatern": "quatern_b",
    "nan_sform": "srow_x",
    "scl_slope_inf": "scl_inter",
    "labels-zero-based": '"1": "liver"',
    "region_labels": "<name of 1>",
    "duplicated-entry": "'abd_001' 2 times",
    "empty-labels": "1 liver, 2 spleen",
}
SAID = {
    "side-codes0": "no side is asked",
    "side-sform-qform": "no side is asked",
    "units-meter": "converted to mm",
}


@pytest.mark.parametrize("name", NAMES)
def test_the_folders_that_people_have_are_read_or_refused_as_their_table_says(name):
    found = _examined(read_folder(CASES / name), workers=1)
    assert bool(found.problems) == (name in REFUSED)
    assert REFUSED.get(name, "") in "\n".join(map(str, found.problems))
    assert SAID.get(name, "") in "\n".join(found.warnings)
    assert found.cases
