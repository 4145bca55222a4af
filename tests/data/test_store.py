"""The volume store."""

from __future__ import annotations

import multiprocessing
import pickle

import h5py
import numpy as np
import pytest

from semantiseg.data.store import VolumeStore, write_case
from semantiseg.errors import DataError


@pytest.fixture
def case():
    generator = np.random.default_rng(0)
    return {
        "images": {name: generator.random((5, 7, 6), dtype=np.float32) for name in ("T2", "ADC")},
        "labels": generator.integers(0, 3, (5, 7, 6)).astype(np.uint8),
        "affine": np.diag([1.0, 1.0, 1.0, 1.0]),
        "spacing_mm": 1.0,
        "midline": 2.5,
        "structures": {2: "transition_zone", 1: "peripheral_zone"},
    }


@pytest.fixture
def store(tmp_path, case):
    from semantiseg.data.store import write_manifest

    write_case(tmp_path / "one.h5", **case)
    write_manifest(
        tmp_path,
        [
            {
                "volume_id": f"one:{channel}",
                "channel": channel,
                "file": "one.h5",
                "leaves": ["a"],
                "source_spacing_mm": [1.0],
            }
            for channel in ("T2", "ADC")
        ],
    )
    with VolumeStore(tmp_path) as store:
        yield store


def test_what_was_written_is_read_back(store, case):
    np.testing.assert_allclose(store.image("one:ADC"), case["images"]["ADC"], atol=5e-4)
    np.testing.assert_array_equal(store.labels("one:T2"), case["labels"])
    assert store.structures("one:T2") == {1: "peripheral_zone", 2: "transition_zone"}
    assert (store.midline("one:T2"), store.spacing_mm("one:T2")) == (2.5, 1.0)
    np.testing.assert_array_equal(store.affine("one:T2"), np.eye(4))


def test_a_slice_is_the_slice_of_the_volume(store):
    for index in range(5):
        np.testing.assert_array_equal(store.image_slice("one:T2", index), store.image("one:T2")[index])
        np.testing.assert_array_equal(store.label_slice("one:T2", index), store.labels("one:T2")[index])
    assert store.image_slice("one:T2", 0).dtype == np.float32
    assert store.label_slice("one:T2", 0).dtype == np.uint8


def test_a_slice_is_one_chunk_so_that_it_is_read_alone(store, tmp_path):
    with h5py.File(tmp_path / "one.h5") as file:
        assert file["image/T2"].chunks == file["label"].chunks == (1, 7, 6)
        assert file["image/T2"].dtype == np.float16
        # Overwrite the stored bytes of all other chunks: the slice must not notice.
        places = [file["image/T2"].id.get_chunk_info(index) for index in range(5) if index != 3]
    whole = store.image_slice("one:T2", 3)
    store.close()
    with (tmp_path / "one.h5").open("r+b") as raw:
        for place in places:
            raw.seek(place.byte_offset)
            raw.write(b"\xff" * place.size)
    np.testing.assert_array_equal(store.image_slice("one:T2", 3), whole)
    with pytest.raises(OSError):
        store.image_slice("one:T2", 2)


def test_equal_arguments_give_equal_bytes(tmp_path, case):
    write_case(tmp_path / "a.h5", **case)
    turned = case | {"images": dict(reversed(case["images"].items()))}
    write_case(tmp_path / "b.h5", **turned)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "b.h5"]


def test_shapes_that_differ_are_refused_before_anything_is_written(tmp_path, case):
    with pytest.raises(DataError, match=r"one shape \[D, H, W\]"):
        write_case(tmp_path / "a.h5", **(case | {"labels": case["labels"][1:]}))
    assert not list(tmp_path.iterdir())


def test_the_manifest_is_sorted_and_holds_lists(store):
    assert store.manifest.index.tolist() == ["one:ADC", "one:T2"]
    assert store.manifest.loc["one:T2", "leaves"] == ["a"]


def test_a_pickled_store_reads_the_same(store):
    expected = store.image_slice("one:T2", 1)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(store)).image_slice("one:T2", 1), expected)


def _first_row(store):
    return store.image_slice("one:T2", 2)[0]


def test_an_open_store_can_be_used_after_a_fork(store):
    expected = _first_row(store)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        np.testing.assert_array_equal(pool.map(_first_row, [store] * 4), [expected] * 4)


@pytest.mark.parametrize("index", [-1, 5])
def test_a_slice_outside_the_volume_is_refused(store, index):
    with pytest.raises(DataError, match="expected a slice from 0 to 4"):
        store.image_slice("one:T2", index)


def test_an_unknown_volume_and_a_missing_manifest_are_named(store, tmp_path):
    with pytest.raises(DataError, match="expected a volume_id of the manifest, got 'two:T2'"):
        store.image("two:T2")
    with pytest.raises(DataError, match=r"nowhere/manifest\.parquet: .*Run the stage prepare"):
        VolumeStore(tmp_path / "nowhere").manifest  # noqa: B018
