"""The BraTS 2024 GLI reader."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data import collections
from semantiseg.data.collections import read_cases
from semantiseg.data.labels import BRATS2024
from semantiseg.errors import DataError


@pytest.fixture
def raw(tmp_path):
    for name in ("BraTS-GLI-02071-100", "BraTS-GLI-02071-101", "BraTS-GLI-00005-100"):
        case = tmp_path / "BraTS2024-GLI" / name
        case.mkdir(parents=True)
        for suffix in ("t1n", "t1c", "t2w", "t2f", "seg"):
            nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), dtype=np.uint8), np.eye(4)), case / f"{name}-{suffix}.nii.gz")
    source = {"collection": "BraTS2024-GLI", "layout": "brats2024-gli", "origin": "official", "licence": "none"}
    (tmp_path / "sources.json").write_text(json.dumps([source]))
    return tmp_path


def test_time_points_of_one_patient_share_the_patient(raw):
    assert [(case.case_id, case.patient_id) for case in read_cases(raw)] == [
        ("BraTS-GLI-00005-100", "BraTS-GLI-00005"),
        ("BraTS-GLI-02071-100", "BraTS-GLI-02071"),
        ("BraTS-GLI-02071-101", "BraTS-GLI-02071"),
    ]


def test_every_case_has_four_channels_in_files_of_their_own(raw):
    case = read_cases(raw)[0]
    assert [(channel.name, channel.path.name[-10:-7]) for channel in case.channels] == [
        ("T1", "t1n"), ("T1c", "t1c"), ("T2", "t2w"), ("FLAIR", "t2f"),
    ]  # fmt: skip


def test_a_missing_channel_is_named(raw):
    (raw / "BraTS2024-GLI/BraTS-GLI-02071-101/BraTS-GLI-02071-101-t2f.nii.gz").unlink()
    with pytest.raises(DataError, match=r"BraTS-GLI-02071-101-t2f\.nii\.gz: expected this file"):
        read_cases(raw)


def test_a_folder_without_time_point_is_refused(raw):
    (raw / "BraTS2024-GLI/BraTS-GLI-00007").mkdir()
    with pytest.raises(DataError, match="BraTS-GLI-<patient>-<time point>, got 'BraTS-GLI-00007'"):
        read_cases(raw)


OTHERS = {
    "ped": ("BraTS-PED-00255-000", "-", ("t1n", "t1c", "t2w", "t2f", "seg")),
    "ssa": ("BraTS-SSA-00002-000", "-", ("t1n", "t1c", "t2w", "t2f", "seg")),
    "met": ("BraTS-MET-00255-000", "-", ("t1n", "t1c", "t2w", "t2f", "seg")),
    "men-rt": ("BraTS-MEN-RT-0402-1", "_", ("t1c", "gtv")),
}


@pytest.fixture(params=OTHERS)
def other(request, tmp_path):
    """A case of another sub-challenge, with the junk that its archives hold."""
    name, separator, suffixes = OTHERS[request.param]
    layout = f"brats2024-{request.param}"
    case = tmp_path / "It" / name
    case.mkdir(parents=True)
    for suffix in suffixes:
        for junk in ("", "._"):
            nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), np.uint8), np.eye(4)),
                     case / f"{junk}{name}{separator}{suffix}.nii.gz")  # fmt: skip
    (tmp_path / "It" / f"._{name}").write_bytes(b"mac")
    source = {"collection": "It", "layout": layout, "origin": "official", "licence": "none"}
    (tmp_path / "sources.json").write_text(json.dumps([source]))
    return request.param, tmp_path


def test_every_sub_challenge_is_read_by_its_own_names_and_numbers(other):
    name, raw = other
    (case,) = read_cases(raw)
    assert case.patient_id == case.case_id.rpartition("-")[0]
    assert [channel.name for channel in case.channels] == (
        ["T1c"] if name == "men-rt" else ["T1", "T1c", "T2", "FLAIR"]
    )
    first = {"ped": "enhancing_tumour", "men-rt": "meningioma"}.get(name, "necrotic_core")
    assert case.structures[1] == first and (4 in case.structures) == (name == "ped")


def test_paediatric_labels_are_never_called_necrosis():
    assert "necrotic_core" not in BRATS2024["PED"].values()


def test_a_case_whose_files_contradict_each_other_is_left_out(tmp_path):
    for name in ("BraTS-MET-00232-000", "BraTS-MET-00233-000"):
        case = tmp_path / name
        case.mkdir()
        for suffix in ("t1n", "t1c", "t2w", "t2f", "seg"):
            (case / f"{name}-{suffix}.nii.gz").touch()
    cases = collections.brats_cases(tmp_path, collection="It", origin="official", layout="brats2024-met")
    assert [case.case_id for case in cases] == ["BraTS-MET-00233-000"]
