"""Loading whole cases, and real data whose sides are known."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.collections import read_cases
from semantiseg.data.grid import load_volume


def test_the_same_patient_stored_in_any_orientation_gives_the_same_volume(collection):
    folder = collection(modality={"0": "T1"})
    generator = np.random.default_rng(0)
    image, label = generator.gamma(2, 50, (9, 10, 8)).astype(np.float32), np.zeros((9, 10, 8), np.uint8)
    label[1:4, 2:5, 3:7] = 1
    affine = np.diag([1.5, 1.5, 2.0, 1.0])
    reference = nib.Nifti1Image(image, affine), nib.Nifti1Image(label, affine)
    folder.add("a_ras", image, label, affine=affine)
    for axes in ("LPS", "IPL", "ASR"):
        turn = nib.orientations.axcodes2ornt(axes)
        one, other = (
            item.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), turn)) for item in reference
        )
        folder.add(f"b_{axes}", np.asarray(one.dataobj), np.asarray(other.dataobj), affine=one.affine)
    volumes = [load_volume(case, spacing_mm=1.0) for case in read_cases(folder.raw)]
    assert [volume.source_axes for volume in volumes] == ["RAS", "ASR", "IPL", "LPS"]
    for volume in volumes[1:]:
        np.testing.assert_array_equal(volume.labels, volumes[0].labels)
        np.testing.assert_allclose(volume.images["T1"], volumes[0].images["T1"], atol=1e-6)
        np.testing.assert_allclose(volume.affine, volumes[0].affine)
        assert volume.midline == volumes[0].midline
        assert volume.source_spacing_mm == (1.5, 1.5, 2.0)


def test_labels_lie_where_the_affine_says(collection):
    folder = collection()
    affine = np.diag([-1.0, -1.0, 2.0, 1.0])
    affine[:3, 3] = 30, 20, -10
    label = np.zeros((12, 10, 6), np.uint8)
    label[8:10, 1:3, 4:6] = 1
    folder.add("case", label=label, affine=affine)
    volume = load_volume(read_cases(folder.raw)[0], spacing_mm=1.0)
    d, h, w = np.argwhere(volume.labels == 1).mean(axis=0)
    world = volume.affine @ [w, h, d, 1]
    np.testing.assert_allclose(world[:3], (affine @ [8.5, 1.5, 4.5, 1])[:3], atol=0.3)


def test_a_four_channel_file_gives_each_channel_its_own_values(collection):
    folder = collection(modality={"0": "T2", "1": "ADC"})
    generator = np.random.default_rng(0)
    both = generator.gamma(3, 50, (12, 10, 6, 2)).astype(np.float32)
    folder.add("case", both)
    volume = load_volume(read_cases(folder.raw)[0], spacing_mm=1.0)
    for index, name in enumerate(("T2", "ADC")):
        low, high = volume.intensities[name].window
        assert (low, high) == pytest.approx(tuple(np.percentile(both[..., index], [0.5, 99.5])))
    assert not np.allclose(volume.images["T2"], volume.images["ADC"])


def test_merged_labels_get_one_number_and_ignored_ones_become_background(collection):
    folder = collection(labels={"1": "table", "2": "milz", "4": "nebenmilz"})
    label = np.zeros((12, 10, 6), np.uint8)
    label[1:3], label[5:7], label[9:11] = 1, 2, 4
    folder.add("case", label=label)
    mapping = {"table": "ignore", "milz": "spleen", "nebenmilz": "spleen"}
    volume = load_volume(read_cases(folder.raw, mapping=mapping)[0], spacing_mm=1.0)
    assert volume.structures == {2: "spleen"}
    assert volume.labels[0, 0].tolist() == [0, 0, 0, 0, 0, 2, 2, 0, 0, 2, 2, 0]


def test_real_right_kidneys_lie_on_the_patients_right_and_left_ones_left(shared, tmp_path):
    (tmp_path / "sources.json").write_text(
        '[{"collection": "Task101_AbdomenSlices", "layout": "decathlon", "origin": "user", "licence": "own"}]'
    )
    (tmp_path / "Task101_AbdomenSlices").symlink_to(shared / "Task101_AbdomenSlices")
    seen = {"right_kidney": 0, "left_kidney": 0, "spleen": 0}
    for case in read_cases(tmp_path):
        volume = load_volume(case, spacing_mm=1.0)
        assert volume.labels.shape == (1, 399, 399)
        assert volume.source_axes == "LAS"
        assert volume.intensities["CT"].window == (0.0, 255.0)
        number = {leaf: number for number, leaf in volume.structures.items()}
        for leaf in seen:
            columns = np.nonzero(volume.labels == number[leaf])[2]
            if len(columns):
                seen[leaf] += 1
                # Kidneys keep to their side; the spleen of ABD_009, enlarged, reaches the midline.
                right = columns > volume.midline if "kidney" in leaf else columns.mean() > volume.midline
                assert np.all(right) if leaf == "right_kidney" else not np.any(right), (case.case_id, leaf)
    assert min(seen.values()) > 30


def test_real_liver_and_spleen_of_totalsegmentator_lie_on_their_sides(shared):
    folder = shared / "totalsegmentator_example"
    case = SourceCase(
        case_id="example", patient_id="example", collection="TotalSegmentator", origin="official",
        channels=(Channel("CT", "CT", folder / "example_ct_sm.nii.gz"),), label=folder / "example_seg.nii.gz",
        structures={1: "spleen", 5: "liver_parenchyma"}, ignored=frozenset(range(256)) - {1, 5},
    )  # fmt: skip
    volume = load_volume(case, spacing_mm=1.5)
    assert volume.labels.shape == (60, 202, 244)
    spleen, liver = (np.nonzero(volume.labels == number)[2].mean() for number in (1, 5))
    assert spleen < volume.midline < liver
    # Ribs and liver lie where the body is, and air has been cut off.
    assert volume.images["CT"].min() == 0 and volume.images["CT"][volume.labels == 5].mean() == pytest.approx(
        0.49, abs=0.03
    )


def test_real_kits_maps_keep_their_volume_and_side(shared):
    path = shared / "kits23_labels/case_00007/segmentation.nii.gz"
    raw = nib.load(path)
    values = np.asarray(raw.dataobj)
    case = SourceCase(
        case_id="case_00007", patient_id="case_00007", collection="KiTS23", origin="official",
        channels=(Channel("CT", "CT", path),), label=path,
        structures={1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"},
    )  # fmt: skip
    volume = load_volume(case, spacing_mm=1.0)
    native = float(np.prod(raw.header.get_zooms()))
    for number in (1, 2):
        assert (volume.labels == number).sum() == pytest.approx((values == number).sum() * native, rel=0.03)
    # Raw axis 2 grows to the patient's left, so mirrored raw columns in mm are stored columns.
    zoom = float(raw.header.get_zooms()[2])
    left_to_right = (511 - np.nonzero(values == 2)[2]).mean() * zoom
    assert np.nonzero(volume.labels == 2)[2].mean() == pytest.approx(left_to_right, abs=1.0)
