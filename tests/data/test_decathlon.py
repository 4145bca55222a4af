"""The Decathlon reader: label meaning, patients, channels."""

from __future__ import annotations

import pytest

from semantiseg.data import labels
from semantiseg.data.collections import read_cases, with_patients
from semantiseg.errors import DataError, OntologyError
from semantiseg.language import ontology


def test_every_leaf_a_label_can_mean_is_a_leaf_of_the_ontology():
    assert labels.LEAVES == ontology.LEAVES


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("kidney_right", "right_kidney"),
        ("Right Kidney", "right_kidney"),
        ("kidney-left", "left_kidney"),
        ("kidneys", "kidney_parenchyma"),
        ("esophagus", "oesophagus"),
        ("liver", "liver_parenchyma"),
        ("Liver Tumor", "liver_tumour"),
        ("liver tumors", "liver_tumour"),
        ("postcava", "inferior_vena_cava"),
        ("portal_vein_and_splenic_vein", "portal_and_splenic_veins"),
        ("adrenal_gland_right", "right_adrenal_gland"),
        ("pancreas", "pancreas_parenchyma"),
        ("bladder", "urinary_bladder"),
        ("hepatic vessels", "hepatic_vessels"),
    ],
)
def test_label_names_are_read_whatever_their_case_order_number_and_spelling(collection, name, leaf):
    folder = collection(labels={"1": name})
    folder.add("case")
    (case,) = read_cases(folder.raw)
    assert case.structures == {1: leaf}


def test_the_same_number_means_different_tissue_in_task01_and_gli():
    task01 = {number: leaf for number, (leaf, _) in labels.DECATHLON["Task01_BrainTumour"].items()}
    assert task01[1] == labels.BRATS2024_GLI[2] == "brain_oedema"
    assert task01[2] == labels.BRATS2024_GLI[1] == "necrotic_core"
    assert task01[3] == labels.BRATS2024_GLI[3] == "enhancing_tumour"


def test_cancer_means_what_the_task_says(collection):
    for task, names in (("Task06_Lung", {"1": "cancer"}), ("Task07_Pancreas", {"1": "pancreas", "2": "cancer"})):
        folder = collection(task, labels=names, origin="official")
        folder.add(f"{task}_001")
    lung, pancreas = read_cases(folder.raw)
    assert lung.structures == {1: "lung_tumour"}
    assert pancreas.structures == {1: "pancreas_parenchyma", 2: "pancreatic_tumour"}


def test_an_original_task_whose_names_contradict_its_table_is_refused(collection):
    folder = collection("Task05_Prostate", labels={"1": "TZ", "2": "PZ"}, modality={"0": "T2", "1": "ADC"})
    folder.add("prostate_00")
    with pytest.raises(OntologyError, match=r"dataset\.json: expected the labels .*PZ.*TZ.* got .*rename the folder"):
        read_cases(folder.raw)


def test_a_patient_is_stated_by_its_key_and_else_by_nobody(collection):
    folder = collection()
    folder.add("scan_1_1", patient="Ann")
    folder.add("scan_1_3")
    assert [case.patient_id for case in read_cases(folder.raw)] == ["Ann", ""]


def test_cases_of_original_tasks_are_their_own_patients(collection):
    folder = collection("Task03_Liver", labels={"1": "liver", "2": "cancer"}, origin="official")
    for case in ("liver_1_1", "liver_1_2"):
        folder.add(case)
    assert [case.patient_id for case in read_cases(folder.raw)] == ["liver_1_1", "liver_1_2"]


def test_a_four_channel_task_gives_four_channels_in_file_order(collection):
    folder = collection(
        "Task01_BrainTumour",
        labels={"1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        modality={"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
    )
    folder.add("BRATS_001")
    (case,) = read_cases(folder.raw)
    assert [(channel.name, channel.index) for channel in case.channels] == [
        ("FLAIR", 0),
        ("T1", 1),
        ("T1c", 2),
        ("T2", 3),
    ]


def test_a_contrast_that_is_not_named_is_refused(collection):
    folder = collection(modality={"0": "MRI"})
    folder.add("case")
    with pytest.raises(
        DataError, match=r"dataset\.json: expected each entry of modality .*FLAIR.* got 'MRI'.*Name the contrast"
    ):
        read_cases(folder.raw)


def test_sides_are_asked_only_where_crop_and_header_allow_it(collection):
    described = {
        "Task04_Hippocampus": ({"1": "Anterior", "2": "Posterior"}, "MRI", "official", False),
        "Task07_Pancreas": ({"1": "pancreas", "2": "cancer"}, "CT", "official", False),
        "Task08_HepaticVessel": ({"1": "Vessel", "2": "Tumour"}, "CT", "phantom", True),
        "Task09_Spleen": ({"1": "spleen"}, "CT", "official", True),
    }
    for name, (names, modality, origin, _) in described.items():
        folder = collection(name, labels=names, modality={"0": modality}, origin=origin)
        folder.add(f"{name}_1")
    assert {case.collection: case.lateral for case in read_cases(folder.raw)} == {
        name: lateral for name, (_, _, _, lateral) in described.items()
    }


def test_apple_double_files_are_no_cases(collection):
    folder = collection()
    folder.add("case")
    folder.add("._case")
    assert [case.case_id for case in read_cases(folder.raw)] == ["case"]


def test_a_mapping_names_merges_and_drops_labels(collection):
    folder = collection(labels={"1": "milz", "2": "nebenmilz", "3": "table"})
    folder.add("case")
    (case,) = read_cases(folder.raw, mapping={"Milz": "spleen", "nebenmilz": "spleen", "table": "ignore"})
    assert case.structures == {1: "spleen", 2: "spleen"}
    assert case.ignored == {3}


def test_two_collections_cannot_share_a_case_or_a_patient(collection):
    for name in ("One", "Two"):
        folder = collection(name)
        folder.add("same")
    with pytest.raises(DataError, match="unique over all collections.*'same'.*Rename"):
        read_cases(folder.raw)


def test_the_real_slices_have_thirteen_organs_and_thirteen_patients(shared, tmp_path):
    (tmp_path / "sources.json").write_text(
        '[{"collection": "Task101_AbdomenSlices", "layout": "decathlon", "origin": "user", "licence": "own"}]'
    )
    (tmp_path / "Task101_AbdomenSlices").symlink_to(shared / "Task101_AbdomenSlices")
    cases, (told,) = with_patients(read_cases(tmp_path))
    assert told.told == "guess"
    assert len(cases) == 103
    assert len({case.patient_id for case in cases}) == 13
    assert all(case.patient_id == case.case_id[:7] for case in cases)
    assert len(set(cases[0].structures.values())) == 13
