"""The KiTS23 reader, and KiTS23's real axes."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data import grid, nifti
from semantiseg.data.collections import read_cases
from semantiseg.errors import DataError


@pytest.fixture
def raw(tmp_path):
    for number in range(2):
        case = tmp_path / "KiTS23" / f"case_{number:05d}"
        case.mkdir(parents=True)
        for name in ("imaging", "segmentation"):
            nib.save(nib.Nifti1Image(np.zeros((4, 5, 6), dtype=np.uint8), np.eye(4)), case / f"{name}.nii.gz")
    source = {"collection": "KiTS23", "layout": "kits23", "origin": "phantom", "licence": "none"}
    (tmp_path / "sources.json").write_text(json.dumps([source]))
    return tmp_path


def test_every_case_is_a_ct_of_one_patient_with_the_three_labels(raw):
    cases = read_cases(raw)
    assert [case.case_id for case in cases] == [case.patient_id for case in cases] == ["case_00000", "case_00001"]
    assert [channel.name for channel in cases[0].channels] == ["CT"]
    assert cases[0].structures == {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}


def test_a_missing_image_is_named_with_the_remedy(raw):
    (raw / "KiTS23/case_00001/imaging.nii.gz").unlink()
    with pytest.raises(DataError, match=r"case_00001/imaging\.nii\.gz: expected.*Download it"):
        read_cases(raw)


@pytest.mark.parametrize("number", [3, 7, 12])
def test_real_left_kidneys_lie_on_the_patients_left_after_turning(shared, number):
    path = shared / f"kits23_labels/case_{number:05d}/segmentation.nii.gz"
    values, geometry = nifti.read(path)
    affine = geometry.affine
    assert grid.source_axes(affine) == "IPL"
    raw_mass = np.array([(values > 0).sum(axis=(0, 1))[:256].sum(), (values > 0).sum(axis=(0, 1))[256:].sum()])
    turned, canonical = grid.to_canonical(values, affine)
    # The raw array's last axis grows to the patient's left, the turned one's to the right.
    columns = (turned > 0).sum(axis=(0, 1))
    assert [columns[256:].sum(), columns[:256].sum()] == raw_mass.tolist()
    assert (raw_mass > 0).all()
    # Independently, by world coordinates: x of RAS grows to the right.
    voxel = np.argwhere(values > 0)[::997]
    world = (affine @ np.c_[voxel, np.ones(len(voxel))].T)[:3]
    back = np.linalg.inv(canonical) @ np.vstack([world, np.ones(len(voxel))])
    found = np.rint(back[:3]).astype(int)
    assert (turned[found[2], found[1], found[0]] == values[tuple(voxel.T)]).all()
    assert np.corrcoef(world, found)[[0, 1, 2], [3, 4, 5]].min() > 0.999
