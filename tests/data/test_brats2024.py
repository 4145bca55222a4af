"""The BraTS 2024 GLI reader."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.collections import read_cases
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
