"""What is made from stored measurements is what is made from the voxels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.measure.labelled_slice import read_volume
from semantiseg.bench.records import generation
from semantiseg.bench.verify.verification import Judge
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.language.program import parse

MINIMUM = 16


@pytest.fixture(scope="module")
def measured(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("measured")
    generation.measure_volumes(volumes, out, minimum_pixels=MINIMUM, workers=1)
    return out


@pytest.fixture(scope="module")
def views(measured):
    """Recorded views of all volumes that have measurements."""
    facts = pd.read_parquet(measured / "volumes.parquet").set_index("volume_id", drop=False)
    rows = pq.read_table(measured / "measured.parquet").to_pylist()
    return [generation._scene(facts.loc[of[0]["volume_id"]].to_dict(), of) for of in generation.by_volume(rows)]


def test_the_core_is_that_of_the_voxels_row_by_row(volumes, measured, tmp_path):
    made = generation.generate(measured, tmp_path / "stored", seed=4, workers=1)
    candidates = make_candidates(
        volumes, tmp_path, minimum_pixels=MINIMUM, slices_per_volume=1, texts_per_question=1, seed=4, workers=1
    )
    verify_candidates(volumes, tmp_path, tmp_path, seed=4, workers=1)
    expected = pd.read_parquet(tmp_path / "prompts.parquet").query("suite == 'core'").reset_index(drop=True)
    found = pd.read_parquet(tmp_path / "stored/prompts.parquet")
    pd.testing.assert_frame_equal(found, expected)
    assert made.prompts == len(expected) > 0
    pd.testing.assert_frame_equal(
        made.shortfalls.sort_values("volume_id", ignore_index=True),
        candidates.shortfalls.sort_values("volume_id", ignore_index=True),
    )
    assert "colon_0:CT" in set(made.shortfalls["volume_id"])


def test_the_number_of_workers_and_of_volumes_at_once_reach_no_file(measured, tmp_path, monkeypatch):
    generation.generate(measured, tmp_path / "one", seed=0, workers=1)
    generation.generate(measured, tmp_path / "two", seed=0, workers=2)
    files = [(tmp_path / name / "prompts.parquet").read_bytes() for name in ("one", "two")]
    assert files[0] == files[1]
    monkeypatch.setattr(generation, "VOLUMES_AT_ONCE", 2)
    table = pq.read_table(measured / "measured.parquet").to_pylist()
    volumes = pd.read_parquet(measured / "volumes.parquet")
    generation.write_measured(tmp_path / "measured", volumes, generation.by_volume(table))
    assert pq.ParquetFile(tmp_path / "measured/measured.parquet").num_row_groups > 1
    generation.generate(tmp_path / "measured", tmp_path / "three", seed=0, workers=1)
    three, one = (pd.read_parquet(tmp_path / name / "prompts.parquet") for name in ("three", "one"))
    pd.testing.assert_frame_equal(three, one)


def test_stored_facts_are_those_of_image_and_labels(volumes, views):
    looked_at = 0
    with VolumeStore(volumes) as store:
        for view in views:
            volume = read_volume(store, view.volume_id)
            for index in sorted({slice_ for _, slice_ in view._rows}):
                facts = volume.axial(index)
                stored = view.axial(index)
                programs = [parse(program) for program, at in view._rows if at == index]
                for program in programs:
                    looked_at += 1
                    assert stored.pixels(program) == facts.pixels(program)
                    assert stored.changed(program) == facts.changed(program)
                    assert all(stored.same(program, other) == facts.same(program, other) for other in programs[:5])
                    if program.operation == "minus":
                        assert stored.left_out(program) == facts.left_out(program)
                    if view._rows[str(program), index]["measured"]:
                        assert stored.measure(program) == facts.measure(program)
    assert looked_at > 200


def test_contradictions_are_rejected_without_voxels_too(views):
    view = next(view for view in views if view.volume_id == "kidneys_2:CT")
    verdict, _ = generation.generate_volume(view, seed=0)
    judge = Judge(view.facts, view.axial)
    row = next(row for row in verdict.prompts if row["level"] == 3)
    assert judge.reasons(row, row["text"]) == []
    assert judge.reasons(row, "the spleen")[0].startswith("unlabelled")
    assert judge.reasons(row | {"target_pixels": row["target_pixels"] + 1}, row["text"])[0].startswith("pixels")
    described = next(row for row in verdict.prompts if row["level"] == 2)
    assert judge.reasons(described | {"clauses": "[]"}, described["text"])[0].startswith("clause-unstated")


def test_what_was_not_measured_is_refused_and_not_guessed(views):
    view = next(view for view in views if view.volume_id == "kidneys_2:CT")
    verdict, _ = generation.generate_volume(view, seed=0)
    reasons = Judge(view.facts, view.axial).reasons(verdict.prompts[0], "largest renal cyst in the left kidney")
    assert reasons[0].startswith("unrecorded: kidneys_2:CT: expected largest(")


def test_missing_files_and_unlisted_volumes_are_named(measured, tmp_path):
    with pytest.raises(DataError, match="Measure the volumes first"):
        generation.generate(tmp_path, tmp_path, seed=0)
    volumes = pd.read_parquet(measured / "volumes.parquet").iloc[:2]
    rows = pq.read_table(measured / "measured.parquet").to_pylist()
    generation.write_measured(tmp_path / "cut", volumes, generation.by_volume(rows))
    with pytest.raises(DataError, match="volumes.parquet to list brain_1:FLAIR"):
        generation.generate(tmp_path / "cut", tmp_path / "out", seed=0, workers=1)
    assert not (tmp_path / "out/prompts.parquet").exists()


def test_measurements_have_fixed_columns_and_whole_volumes_in_order(measured):
    table = pq.read_table(measured / "measured.parquet")
    assert table.schema.equals(generation.MEASURED_SCHEMA)
    ids = table["volume_id"].to_pylist()
    assert ids == sorted(ids)
    assert isinstance(table, pa.Table) and np.all(np.array(table["pixels"]) >= 0)
