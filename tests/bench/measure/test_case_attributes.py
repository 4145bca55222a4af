"""Stored attributes: of the chosen volumes only, the same bytes from any number of processes, words with margins."""

from __future__ import annotations

import pandas as pd
import pytest

from semantiseg.bench.measure.cases import COLUMNS, of_region, spread, write_attributes


@pytest.fixture(scope="module")
def written(volumes, tmp_path_factory):
    path = tmp_path_factory.mktemp("attributes") / "bench/attributes.parquet"
    return path, write_attributes(volumes, path, workers=1)


def test_every_labelled_volume_is_measured_and_the_file_holds_what_is_returned(written):
    path, table = written
    assert tuple(table.columns) == COLUMNS
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)
    assert set(table["volume_id"]) == {
        "kidneys_0:CT", "kidneys_1:CT", "kidneys_2:CT", "brain_0:T1c", "brain_0:FLAIR", "brain_1:T1c", "brain_1:FLAIR",
    }  # fmt: skip


def test_two_processes_write_the_bytes_of_one(written, volumes, tmp_path):
    write_attributes(volumes, tmp_path / "two.parquet", workers=2)
    assert (tmp_path / "two.parquet").read_bytes() == written[0].read_bytes()


def test_only_chosen_volumes_are_measured_and_as_if_all_were(written, volumes, tmp_path):
    chosen = ["brain_1:FLAIR", "kidneys_0:CT"]
    part = write_attributes(volumes, tmp_path / "part.parquet", only=chosen, workers=1)
    whole = written[1]
    expected = whole[whole["volume_id"].isin(chosen)].reset_index(drop=True)
    pd.testing.assert_frame_equal(part, expected)


def test_a_word_has_a_margin_and_shape_does_not_depend_on_the_channel(written):
    table = written[1]
    banded = table[table["attribute"].isin(["side", "renal_size", "pole", "depth in parent"])]
    assert (banded["margin"] >= 0).all() and (banded.loc[banded["value"].isna(), "margin"] == 0).all()
    shapes = table[table["volume_id"].str.startswith("brain_0") & (table["structure"] == "brain_tumour")]
    shapes = shapes[shapes["attribute"].isin(["volume", "side", "rank"])].drop(columns="volume_id")
    assert len(shapes) == 6 and len(shapes.drop_duplicates()) == 3


def test_a_reader_sees_one_region_whole_and_each_region_of_a_case_once(written):
    table = written[1]
    shown = of_region(table, "kidney_tumour")
    assert set(shown["volume_id"]) == {"kidneys_0:CT"} and shown["attribute"].is_unique
    assert of_region(table, "spleen").empty
    counts = spread(table, ["volume"])["count"].droplevel("unit")
    lesions = table[table["structure"].isin(["kidney_tumour", "kidney_cyst", "brain_tumour"])]
    volumes = lesions[(lesions["attribute"] == "volume") & ~lesions["volume_id"].str.endswith("FLAIR")]
    assert counts["volume"] == len(volumes)
