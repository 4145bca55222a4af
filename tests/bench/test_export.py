"""The files of the bench are read by others: fixed schemas, equal bytes, and a Croissant description that its own
library accepts."""

from __future__ import annotations

import json

import pandas as pd
import pyarrow.parquet as pq
import pytest

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.tables import DESCRIPTIONS, PROMPT_COLUMNS, REJECTED_COLUMNS, TRAINING_COLUMNS, write_table
from semantiseg.errors import DataError


@pytest.fixture(scope="module")
def folder(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("export")
    make_candidates(volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=0, workers=1)
    verify_candidates(volumes, out, out, seed=0, workers=1)
    return out


def test_columns_and_types_are_fixed_even_for_a_table_without_rows(folder):
    for name, columns in (("prompts", PROMPT_COLUMNS), ("rejected", REJECTED_COLUMNS), ("training", TRAINING_COLUMNS)):
        schema = pq.read_schema(folder / f"{name}.parquet")
        assert tuple(schema.names) == columns and schema.metadata is None
        assert {str(schema.field(column).type) for column in columns} <= {"string", "int64", "list<element: string>"}
    assert pq.read_schema(folder / "rejected.parquet").field("slice").type == "int64"
    assert len(pd.read_parquet(folder / "rejected.parquet")) == 0


def test_the_order_of_rows_does_not_reach_the_file(tmp_path):
    rows = [{"volume_id": f"v{number}", "texts": ["a", "b"], "slice": number} for number in range(5)]
    files = [tmp_path / "one.parquet", tmp_path / "two.parquet"]
    for path, order in zip(files, (rows, rows[::-1]), strict=True):
        write_table(order, path, columns=("volume_id", "slice", "texts"), sort=("volume_id",))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_row_with_other_columns_is_refused_and_nothing_written(tmp_path):
    with pytest.raises(DataError, match="differing in .*'colour'"):
        write_table([{"slice": 1, "colour": 2}], tmp_path / "x.parquet", columns=("slice",), sort=("slice",))
    assert list(tmp_path.iterdir()) == []


def test_every_column_is_described():
    assert {*PROMPT_COLUMNS, *REJECTED_COLUMNS, *TRAINING_COLUMNS} <= set(DESCRIPTIONS)


def test_croissant_names_every_file_with_its_hash_and_no_place_of_this_machine(folder):
    text = (folder / "croissant.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert [item["@id"] for item in document["distribution"]] == [
        "account.parquet",
        "prompts.parquet",
        "rejected.parquet",
        "training.parquet",
    ]
    assert str(folder) not in text and "phantom" in document["description"]
    assert all(len(item["sha256"]) == 64 for item in document["distribution"])


def test_the_croissant_library_reads_every_record(folder):
    croissant = pytest.importorskip(
        "mlcroissant", reason="mlcroissant validates the description; it is a test dependency"
    )
    dataset = croissant.Dataset(jsonld=folder / "croissant.json")
    assert not dataset.metadata.issues.errors
    prompts = pd.read_parquet(folder / "prompts.parquet")
    records = list(dataset.records("prompts"))
    assert len(records) == len(prompts)
    first = {key.removeprefix("prompts/"): value for key, value in records[0].items()}
    assert first["text"] in (prompts.text[0], prompts.text[0].encode()) and first["level"] == prompts.level[0]
