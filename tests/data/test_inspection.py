"""The page of prepared slices, and the counted checks below it."""

from __future__ import annotations

import h5py
import matplotlib
import numpy as np
import pytest

from semantiseg.data.inspection import check_volumes, representatives, volume_gallery, volume_sides
from semantiseg.data.store import VolumeStore, write_case, write_manifest

matplotlib.use("Agg")


def blob(columns, shape=(4, 10, 20)):
    labels = np.zeros(shape, np.uint8)
    labels[1:3, 3:6, columns] = 1
    return labels


@pytest.fixture
def store(tmp_path):
    """Three phantom patients with a liver on the right (high columns)."""
    rows = []
    for number in range(3):
        labels = blob(slice(14, 18))
        labels[2, 7, 3] = 2 * (number == 1)
        image = np.random.default_rng(number).random(labels.shape, dtype=np.float32)
        write_case(
            tmp_path / f"c{number}.h5", images={"CT": image}, labels=labels, affine=np.eye(4), spacing_mm=1.0,
            midline=9.5, structures={1: "liver_parenchyma", 2: "liver_tumour"},
        )  # fmt: skip
        rows.append(
            {
                "volume_id": f"c{number}:CT", "case_id": f"c{number}", "patient_id": f"p{number}", "collection": "L",
                "origin": "phantom", "channel": "CT", "file": f"c{number}.h5", "depth": 4, "width": 20,
                "spacing_mm": 1.0,
                "source_spacing_mm": [1.0, 1.0, 1.0], "lateral": True, "split": ("train", "validation", "test")[number],
                "leaves": ["liver_parenchyma"] + ["liver_tumour"] * (number == 1),
            }
        )  # fmt: skip
    write_manifest(tmp_path, rows)
    with VolumeStore(tmp_path) as store:
        yield store


def exceptions(store):
    return check_volumes(VolumeStore(store.root)).set_index("claim").exceptions.to_dict()


def test_sound_volumes_have_no_exceptions(store):
    table = check_volumes(store)
    assert table.exceptions.tolist() == table.expected.tolist() == [0] * 5
    assert table.of.tolist() == [3, 3, 3, 1, 3]


def test_a_mirrored_case_is_counted(store):
    with h5py.File(store.root / "c0.h5", "r+") as file:
        file["label"][:] = file["label"][:][..., ::-1]
    assert exceptions(store)["one-sided organs lie on their side of the midline"] == 1
    assert ("c0:CT", "right", "left") in list(volume_sides(VolumeStore(store.root)))


def test_an_intensity_outside_the_window_is_counted(store):
    with h5py.File(store.root / "c2.h5", "r+") as file:
        file["image/CT"][0, 0, 0] = 1.5
    assert exceptions(store)["every intensity lies in [0, 1]"] == 1


def test_a_patient_in_two_splits_and_a_split_left_empty_are_counted(store):
    rows = store.manifest.reset_index().to_dict("records")
    rows[0]["patient_id"] = "p1"
    rows.append(rows[2] | {"volume_id": "c3:CT", "case_id": "c3", "patient_id": "p3", "split": "train"})
    rows[2]["split"] = "train"
    write_manifest(store.root, rows)
    found = exceptions(store)
    assert found["every patient is in one split"] == 1
    assert found["collections of 3 or more patients fill each split"] == 1


def test_the_representative_shows_most_leaves_on_its_richest_slice(store):
    assert representatives(store, panels=1) == [("c1:CT", 2)]


def test_a_single_collection_is_shown_by_several_patients(store):
    assert [volume_id for volume_id, _ in representatives(store, panels=5)] == ["c1:CT", "c0:CT", "c2:CT"]


def test_phantoms_are_called_phantoms_and_leaves_are_named(store):
    figure = volume_gallery(store)
    assert all("phantom" in panel.get_title() for panel in figure.axes)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["liver parenchyma", "liver tumour"]


def test_the_picture_is_in_radiological_convention(store):
    shown = volume_gallery(store).axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown, store.image_slice("c1:CT", 2)[::-1, ::-1])
