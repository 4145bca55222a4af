"""The whole stage: manifest, determinism, nothing half-written."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from semantiseg.data.prepare import duplicated_patients, prepare, require_one_scale
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError, ParameterError

ARGUMENTS = {"spacing_mm": 1.0, "test_share": 0.25, "validation_share": 0.1, "seed": 0, "workers": 1}

COLUMNS = (
    "case_id patient_id collection origin modality channel file depth height width spacing_mm source_spacing_mm "
    "source_axes intensity window_low window_high midline sha256_image sha256_label leaves spacing_known lateral split"
).split()


@pytest.fixture
def raw(collection):
    """Two collections: CT slices of four patients, two-channel MR of three."""
    ct = collection(labels={"1": "spleen", "2": "liver"})
    for patient in range(4):
        for index in range(2):
            image = np.random.default_rng(2 * patient + index).normal(-1000, 5, (12, 10, 6))
            image[2:-2, 2:-2] += 1040
            ct.add(f"P{patient}_{index}", image.astype(np.int16), patient=f"P{patient}")
    mr = collection(
        "Task05_Prostate", labels={"1": "PZ", "2": "TZ"}, modality={"0": "T2", "1": "ADC"}, origin="phantom"
    )
    for case in range(3):
        image = np.random.default_rng(case).gamma(3, 50, (12, 10, 6, 2)).astype(np.float32)
        mr.add(f"prostate_{case:02d}", image)
    return ct.raw


def content(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_manifest_has_one_row_a_channel_with_the_columns_of_the_contract(raw, tmp_path):
    manifest = prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    assert manifest.index.name == "volume_id" and manifest.index.is_monotonic_increasing
    assert manifest.columns.tolist() == COLUMNS
    assert len(manifest) == 8 + 3 * 2
    row = manifest.loc["prostate_01:ADC"]
    assert (row.case_id, row.channel, row.modality, row.origin, row.file) == (
        "prostate_01", "ADC", "MR", "phantom", "prostate_01.h5",
    )  # fmt: skip
    assert (row.depth, row.height, row.width) == (12, 10, 12)
    assert row.source_spacing_mm == [1.0, 1.0, 2.0] and row.source_axes == "RAS"
    assert row.leaves == ["peripheral_zone"] and not row.lateral
    source = raw / "Task05_Prostate/imagesTr/prostate_01.nii.gz"
    assert row.sha256_image == hashlib.sha256(source.read_bytes()).hexdigest()


def test_the_store_reads_what_was_prepared(raw, tmp_path):
    manifest = prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    with VolumeStore(tmp_path / "volumes") as store:
        assert store.manifest.equals(manifest)
        for volume_id, row in manifest.iterrows():
            image, labels = store.image(volume_id), store.labels(volume_id)
            assert image.shape == labels.shape == (row.depth, row.height, row.width)
            assert image.min() >= 0 and image.max() <= 1
            assert sorted({store.structures(volume_id)[n] for n in np.unique(labels) if n}) == row.leaves
            assert store.midline(volume_id) == row.midline


def test_cases_of_one_patient_and_channels_of_one_case_share_a_split(raw, tmp_path):
    manifest = prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    assert (manifest.groupby("patient_id").split.nunique() == 1).all()
    assert (manifest.groupby("collection").split.nunique() == 3).all()


def test_bytes_depend_neither_on_the_run_nor_on_the_number_of_workers(raw, tmp_path):
    prepare(raw, tmp_path / "one", **ARGUMENTS)
    prepare(raw, tmp_path / "again", **ARGUMENTS)
    prepare(raw, tmp_path / "two", **(ARGUMENTS | {"workers": 2}))
    first = content(tmp_path / "one")
    assert len(first) == 12
    assert first == content(tmp_path / "again") == content(tmp_path / "two")


def test_a_failure_leaves_the_earlier_result_and_nothing_else(raw, tmp_path):
    prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    before = content(tmp_path / "volumes")
    (raw / "Mine/imagesTr/P3_1.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError):
        prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    assert content(tmp_path / "volumes") == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw", "volumes"]


def test_what_a_killed_run_left_does_not_reach_the_next_result(raw, tmp_path):
    (tmp_path / "volumes.partial").mkdir()
    (tmp_path / "volumes.partial/stale.h5").write_bytes(b"half")
    (tmp_path / "volumes").mkdir()
    (tmp_path / "volumes/older.h5").write_bytes(b"old")
    prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    prepare(raw, tmp_path / "fresh", **ARGUMENTS)
    assert content(tmp_path / "volumes") == content(tmp_path / "fresh")


def test_all_faults_are_told_at_once_with_case_and_collection(raw, tmp_path):
    for case in ("P0_0", "P3_1"):
        (raw / f"Mine/imagesTr/{case}.nii.gz").write_bytes(b"no image")
    with pytest.raises(DataError) as caught:
        prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    message = str(caught.value)
    assert message.startswith("2 of 11 cases cannot be used:\ncase P0_0 of Mine: ")
    assert message.count("case P3_1 of Mine") == 1


@pytest.mark.parametrize("spacing_mm", [0.0, -1.0, float("nan")])
def test_an_impossible_spacing_is_refused(raw, tmp_path, spacing_mm):
    with pytest.raises(ParameterError, match="prepare.spacing_mm"):
        prepare(raw, tmp_path / "volumes", **(ARGUMENTS | {"spacing_mm": spacing_mm}))


def test_all_real_slices_can_be_prepared(shared, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "sources.json").write_text(
        '[{"collection": "Task101_AbdomenSlices", "layout": "decathlon", "origin": "user", "licence": "own"}]'
    )
    (raw / "Task101_AbdomenSlices").symlink_to(shared / "Task101_AbdomenSlices")
    manifest = prepare(raw, tmp_path / "volumes", **ARGUMENTS)
    assert len(manifest) == 103
    assert manifest.patient_id.nunique() == 13
    assert manifest.groupby("split").patient_id.nunique().to_dict() == {"train": 9, "test": 3, "validation": 1}
    assert (manifest.depth == 1).all() and (manifest.width == 399).all()
    assert manifest.lateral.all()
    assert {leaf for leaves in manifest.leaves for leaf in leaves} >= {
        "right_kidney",
        "left_kidney",
        "liver_parenchyma",
    }


def test_a_scan_published_twice_belongs_to_one_patient_and_one_split(collection, tmp_path):
    task = collection()
    rng = np.random.default_rng(0)
    for number in range(8):
        task.add(f"c{number}", rng.normal(40, 9, (12, 10, 6)).astype(np.int16))
    copy = (task.folder / "imagesTr/c6.nii.gz").read_bytes()
    (task.folder / "imagesTr/c2.nii.gz").write_bytes(copy)
    with pytest.warns(UserWarning, match="taken as one patient: c6 = c2"):
        manifest = prepare(tmp_path / "raw", tmp_path / "volumes", spacing_mm=1.0, test_share=0.4,
                           validation_share=0.2, seed=0, workers=1)  # fmt: skip
    twice = manifest.loc[["c2:CT", "c6:CT"]]
    assert set(twice["patient_id"]) == {"c2"} and twice["split"].nunique() == 1
    assert manifest["patient_id"].nunique() == 7


def test_chains_of_equal_scans_are_one_patient():
    rows = [{"patient_id": patient, "sha256_image": image} for patient, image in
            [("d", "1"), ("b", "1"), ("b", "2"), ("c", "2"), ("a", "3"), ("c", "3"), ("e", "4")]]  # fmt: skip
    with pytest.warns(UserWarning):
        assert duplicated_patients(rows) == {"b": "a", "c": "a", "d": "a"}


def test_ct_of_two_scales_in_one_collection_stops_with_the_parameter_to_set():
    rows = [
        {"modality": "CT", "collection": "Mine", "intensity": scale, "case_id": f"case {number}"}
        for number, scale in enumerate(["HU", "HU", "8-bit"])
    ]
    with pytest.raises(DataError, match="HU in 2 cases such as case 0, 8-bit in 1 cases such as case 2.*--set prepare"):
        require_one_scale(rows)
    require_one_scale(rows[:2])
