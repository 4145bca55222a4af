"""The cohort on disk: upstream numbers, axes and names; anatomy that is right in the patient's frame."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from semantiseg.data.inspection import ShownCase, entries
from semantiseg.data.phantom.anatomy import Tissue
from semantiseg.data.phantom.cohort import cohort_cases, counted, write_cohort
from semantiseg.data.phantom.collection import COLLECTIONS, VIEWS, draw_spleen
from semantiseg.errors import DataError, ParameterError

CASES = {
    "Task01_BrainTumour": 6,
    "Task02_Heart": 2,
    "Task03_Liver": 5,
    "Task04_Hippocampus": 3,
    "Task05_Prostate": 3,
    "Task06_Lung": 4,
    "Task07_Pancreas": 4,
    "Task08_HepaticVessel": 2,
    "Task09_Spleen": 3,
    "Task10_Colon": 3,
    "KiTS23": 6,
    "BraTS2024-GLI": 5,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohort")
    write_cohort(folder, cases=CASES, body_scale=0.4, seed=3, workers=1)
    return folder


@pytest.fixture(scope="module")
def cohort(root: Path) -> dict[str, list[ShownCase]]:
    found: dict[str, list[ShownCase]] = defaultdict(list)
    for entry in entries(root):
        found[entry.collection].append(entry)
    return found


def canonical(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Array in RAS order and the affine."""
    image = nib.as_closest_canonical(nib.load(path))
    return np.asarray(image.dataobj), image.affine


def centroid(mask: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Centre of mass in RAS millimetres."""
    return (affine @ [*ndimage.center_of_mass(mask), 1])[:3]


def test_every_collection_comes_whole(cohort):
    assert {name: len(found) for name, found in cohort.items()} == CASES


@pytest.mark.parametrize("name", CASES)
def test_image_and_label_share_one_grid_and_labels_have_upstream_numbers(cohort, name):
    seen = set()
    for entry in cohort[name]:
        label = nib.load(entry.label)
        assert label.get_data_dtype() == np.uint8
        values = set(np.unique(np.asarray(label.dataobj)).tolist())
        assert values <= set(range(len(COLLECTIONS[name].labels)))
        seen |= values
        for path in {channel.path for channel in entry.channels}:
            image = nib.load(path)
            assert image.shape[:3] == label.shape
            assert image.affine == pytest.approx(label.affine)
            if image.ndim == 4:
                assert image.shape[3] == len(COLLECTIONS[name].modality)
    assert seen == set(range(len(COLLECTIONS[name].labels))), "every label occurs in some case"


@pytest.mark.parametrize(
    ("name", "labels", "modality"),
    [
        ("Task01_BrainTumour", ["edema", "non-enhancing tumor", "enhancing tumour"], ["FLAIR", "T1w", "t1gd", "T2w"]),
        ("Task03_Liver", ["liver", "cancer"], ["CT"]),
        ("Task05_Prostate", ["PZ", "TZ"], ["T2", "ADC"]),
        ("Task08_HepaticVessel", ["Vessel", "Tumour"], ["CT"]),
        ("Task10_Colon", ["colon cancer primaries"], ["CT"]),
    ],
)
def test_dataset_json_names_labels_and_channels_as_upstream(root, name, labels, modality):
    content = json.loads((root / name / "dataset.json").read_text())
    assert list(content["labels"].values()) == ["background", *labels]
    assert list(content["modality"].values()) == modality
    assert content["numTraining"] == len(content["training"]) == CASES[name]
    assert "PHANTOM" in content["description"] and "0.4" in content["description"]
    assert content["tensorImageSize"] == ("4D" if len(modality) > 1 else "3D")


def test_sources_say_phantom_and_scale(root):
    sources = json.loads((root / "sources.json").read_text())
    assert [source["collection"] for source in sources] == list(CASES)
    assert {source["origin"] for source in sources} == {"phantom"}
    assert {source["layout"] for source in sources} == {"decathlon", "kits23", "brats2024-gli"}
    assert {source["body_scale"] for source in sources} == {0.4}


def test_axes_are_those_of_the_collections_and_vary_over_msd(cohort):
    axes = {name: {"".join(nib.aff2axcodes(nib.load(e.label).affine)) for e in found} for name, found in cohort.items()}
    assert axes["KiTS23"] == {"IPL"}
    assert axes["BraTS2024-GLI"] == {"LAS"}
    assert len(axes["Task03_Liver"]) >= 3
    assert all(found != {"RAS"} for found in axes.values())


def test_kits23_headers_are_as_measured_upstream(root, cohort):
    header = nib.load(cohort["KiTS23"][0].label).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (2, 0)
    described = json.loads((root / "KiTS23" / "kits23.json").read_text())
    assert [case["case_id"] for case in described] == [entry.case_id for entry in cohort["KiTS23"]]
    for case, entry in zip(described, cohort["KiTS23"], strict=True):
        label, affine = canonical(entry.label)
        equivalent = 2 * (3 / (4 * np.pi) * (label == 2).sum() * abs(np.linalg.det(affine[:3, :3]))) ** (1 / 3) / 10
        assert 0.6 * equivalent < case["radiographic_size"] < 2 * equivalent, "cm of the miniature"


def test_gli_files_are_named_by_patient_and_time_point(root, cohort):
    names = [entry.case_id for entry in cohort["BraTS2024-GLI"]]
    assert names[:3] == ["BraTS-GLI-02071-100", "BraTS-GLI-02072-100", "BraTS-GLI-02072-101"]
    first, second = (canonical(entry.label)[0] for entry in cohort["BraTS2024-GLI"][1:3])
    assert (second > 0).sum() > 1.2 * (first > 0).sum(), "the tumour has grown"
    inside = [np.asarray(nib.load(entry.channels[0].path).dataobj) > 0 for entry in cohort["BraTS2024-GLI"][1:3]]
    assert (inside[0] == inside[1]).mean() > 0.99, "the same brain"


def test_liver_and_ascending_colon_lie_right_spleen_and_heart_left(cohort):
    for entry in cohort["Task03_Liver"]:
        label, affine = canonical(entry.label)
        assert centroid(label > 0, affine)[0] > 5
    for entry in cohort["Task09_Spleen"]:
        label, affine = canonical(entry.label)
        assert centroid(label == 1, affine)[0] < -15
    sides = [np.sign(centroid(canonical(e.label)[0] == 1, canonical(e.label)[1])[0]) for e in cohort["Task10_Colon"]]
    assert sides[:2] == [1, -1], "ascending, then descending"


def test_kidneys_lie_on_both_sides_and_tumours_where_planned(cohort):
    for entry in cohort["KiTS23"]:
        label, affine = canonical(entry.label)
        kidney = np.argwhere(label == 1)
        x = (kidney @ affine[:3, :3].T + affine[:3, 3])[:, 0]
        assert (x > 0).mean() > 0.15 and (x < 0).mean() > 0.15
    sides = [np.sign(centroid(canonical(e.label)[0] == 2, canonical(e.label)[1])[0]) for e in cohort["KiTS23"][:4]]
    assert sides == [1, -1, 1, -1]
    cysts = [(canonical(e.label)[0] == 3).any() for e in cohort["KiTS23"][:4]]
    assert cysts == [True, False, True, True]


def test_peripheral_zone_is_posterior_and_brighter(cohort):
    for entry in cohort["Task05_Prostate"]:
        label, affine = canonical(entry.label)
        image, _ = canonical(entry.channels[0].path)
        assert centroid(label == 1, affine)[1] < centroid(label == 2, affine)[1] - 1
        for channel in (0, 1):
            assert image[label == 1, channel].mean() > 1.15 * image[label == 2, channel].mean()


def test_anterior_hippocampus_is_anterior(cohort):
    for entry in cohort["Task04_Hippocampus"]:
        label, affine = canonical(entry.label)
        assert centroid(label == 1, affine)[1] > centroid(label == 2, affine)[1] + 8


def test_hounsfield_units_are_those_of_the_tissues(cohort):
    def mean(entry: ShownCase, number: int) -> float:
        label, _ = canonical(entry.label)
        image, _ = canonical(entry.channels[0].path)
        core = ndimage.binary_erosion(label == number)
        return float(np.median(image[core if core.any() else label == number]))

    for entry in [*cohort["Task03_Liver"], *cohort["KiTS23"]]:
        image, _ = canonical(entry.channels[0].path)
        assert image.min() >= -1024 and image.max() <= 3071
        assert image[0, 0].mean() == pytest.approx(-1000, abs=15), "air in the corners"
    assert all(95 < mean(entry, 1) < 125 for entry in cohort["Task03_Liver"])
    assert all(120 < mean(entry, 1) < 155 for entry in cohort["Task09_Spleen"])
    assert all(110 < mean(entry, 1) < 215 for entry in cohort["KiTS23"])
    assert all(mean(entry, 2) < 90 for entry in (cohort["Task03_Liver"][0], cohort["Task03_Liver"][2]))
    assert all(170 < mean(entry, 1) < 225 for entry in cohort["Task08_HepaticVessel"])
    assert all(-15 < mean(entry, 3) < 20 for entry in cohort["KiTS23"] if (canonical(entry.label)[0] == 3).any())


@pytest.mark.parametrize(("name", "share"), [("Task03_Liver", 0.6), ("Task07_Pancreas", 0.12)])
def test_organ_lesions_lie_in_their_organ(cohort, name, share):
    # A liver tumour is walled in by liver; a pancreatic one is as thick as the gland and borders it at its ends.
    for entry in cohort[name]:
        label, _ = canonical(entry.label)
        if (label == 2).any():
            around = ndimage.binary_dilation(label == 2, iterations=2) & (label != 2)
            assert (label[around] == 1).mean() > share, entry.case_id
            whole, _ = ndimage.label(label > 0, np.ones((3, 3, 3)))
            assert (label[np.isin(whole, np.unique(whole[label == 2]))] == 1).any(), entry.case_id


def test_lesions_are_absent_in_some_cases_and_several_in_others(cohort):
    def pieces(entry: ShownCase, number: int) -> int:
        return ndimage.label(canonical(entry.label)[0] == number, np.ones((3, 3, 3)))[1]

    assert [pieces(entry, 2) for entry in cohort["Task03_Liver"]][:4] == [2, 1, 2, 0]
    assert not (canonical(cohort["Task07_Pancreas"][3].label)[0] == 2).any()
    assert not (canonical(cohort["Task01_BrainTumour"][2].label)[0] == 2).any()
    assert not (canonical(cohort["Task01_BrainTumour"][5].label)[0] == 3).any()
    cavity = [(canonical(entry.label)[0] == 4).any() for entry in cohort["BraTS2024-GLI"]]
    assert any(cavity) and not all(cavity)


def test_of_several_lesions_one_is_clearly_the_largest(cohort):
    for name, number in (("Task03_Liver", 2), ("Task06_Lung", 1), ("KiTS23", 2), ("KiTS23", 3)):
        for entry in cohort[name]:
            pieces, count = ndimage.label(canonical(entry.label)[0] == number, np.ones((3, 3, 3)))
            if count > 1:
                first, second = np.sort(np.bincount(pieces.ravel())[1:])[::-1][:2]
                assert first > 1.6 * second, entry.case_id


def test_every_case_differs_from_every_other(cohort):
    for found in cohort.values():
        digests = {Path(path).read_bytes() for entry in found for path in {c.path for c in entry.channels}}
        assert len(digests) == sum(len({c.path for c in entry.channels}) for entry in found)
        assert len({entry.label.read_bytes() for entry in found}) == len(found)


def test_workers_change_no_byte(tmp_path, root):
    few = {"Task04_Hippocampus": 2, "KiTS23": 1, "BraTS2024-GLI": 1, "Task09_Spleen": 1}
    write_cohort(tmp_path, cases=few, body_scale=0.4, seed=3, workers=2)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*.nii.gz"))
    assert len(written) == 2 * 2 + 2 + 5 + 2
    for path in written:
        assert (tmp_path / path).read_bytes() == (root / path).read_bytes(), path


def test_another_seed_is_another_cohort(tmp_path, root):
    write_cohort(tmp_path, cases={"Task04_Hippocampus": 1}, body_scale=0.4, seed=4, workers=1)
    path = "Task04_Hippocampus/labelsTr/hippocampus_001.nii.gz"
    assert (tmp_path / path).read_bytes() != (root / path).read_bytes()


def test_the_body_scale_scales_the_anatomy_not_the_voxels():
    small, large = (draw_spleen(cohort_cases(COLLECTIONS["Task09_Spleen"], 1, scale, 0)[0]) for scale in (0.3, 0.45))
    assert np.abs(small.affine[:3, :3]) == pytest.approx(np.abs(large.affine[:3, :3]))
    assert (large.label == 1).sum() / (small.label == 1).sum() == pytest.approx(1.5**3, rel=0.2)


def test_the_demo_cohort_has_all_fourteen_structures_and_enough_volumes():
    counts = counted(40)
    assert counts == {
        **dict.fromkeys(COLLECTIONS, 40),
        "Task01_BrainTumour": 22,
        "Task02_Heart": 24,
        "Task04_Hippocampus": 24,
        "Task05_Prostate": 20,
        "KiTS23": 48,
        "BraTS2024-GLI": 26,
    }
    assert sum(count * len(COLLECTIONS[name].modality) for name, count in counts.items()) == 568


def test_fields_of_view_fit_the_demo():
    for name, view in VIEWS.items():
        scale = 0.4 * view.relative_scale
        assert all(2 * half * scale <= 128 for half in view.half_extent[:2]), name
        assert 2 * view.half_extent[2] * scale <= 64, name


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cases": 0}, "cases"),
        ({"cases": {"Task11_Moon": 3}}, "Task11_Moon"),
        ({"cases": {"Task03_Liver": 0}}, "Task03_Liver"),
        ({"body_scale": 0.01}, "body_scale"),
        ({"workers": -1}, "workers"),
    ],
)
def test_numbers_out_of_range_are_refused_before_anything_is_written(tmp_path, change, message):
    with pytest.raises(ParameterError, match=message):
        write_cohort(tmp_path, **{"cases": 1, "body_scale": 0.4, "seed": 0, "workers": 1, **change})
    assert not list(tmp_path.iterdir())


def test_an_existing_collection_is_not_overwritten(tmp_path):
    (tmp_path / "Task03_Liver").mkdir()
    with pytest.raises(DataError, match="Task03_Liver"):
        write_cohort(tmp_path, cases={"Task03_Liver": 1}, body_scale=0.4, seed=0, workers=1)


def test_tissue_numbers_are_unique_and_fit_a_byte():
    assert len({int(tissue) for tissue in Tissue}) == len(Tissue)
    assert max(Tissue) < 256
