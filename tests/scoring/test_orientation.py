"""True masks the wrong way round are noticed; bad models, and true masks, are not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from semantiseg.errors import DataError
from semantiseg.evaluation import runs
from semantiseg.scoring.scorecard import score

UNDONE = {
    "flipped from front to back": lambda mask: mask[::-1],
    "flipped from left to right": lambda mask: mask[:, ::-1],
    "turned by half a turn": lambda mask: mask[::-1, ::-1],
    "inverted": lambda mask: ~mask,
}


@pytest.fixture
def bench(cohort, tmp_path):
    cohort.write(tmp_path / "project", {})
    return tmp_path / "project/data"


def pngs(folder, answers):
    folder.mkdir()
    for prompt_id, mask in answers.items():
        Image.fromarray((mask * 255).astype(np.uint8)).save(folder / f"{prompt_id}.png")
    return folder


def table(path, answers, *, encode=runs.encode, types=None):
    rows = [
        {"prompt_id": prompt_id, "height": mask.shape[0], "width": mask.shape[1], "runs": encode(mask)}
        for prompt_id, mask in answers.items()
    ]
    made = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    for name, kind in (types or {}).items():
        made = made.set_column(made.schema.get_field_index(name), name, made[name].cast(kind))
    pq.write_table(made, path)
    return path


@pytest.mark.parametrize("name", UNDONE)
def test_true_masks_the_wrong_way_round_stop_the_run_with_the_numbers(cohort, bench, tmp_path, name):
    answers = {prompt_id: UNDONE[name](mask) for prompt_id, mask in cohort.answers("truth").items()}
    folder = pngs(tmp_path / "m", answers)
    with pytest.raises(DataError, match=rf"look {name}: over \d+ of them mean Dice is 0\.\d\d as they lie and 1\.00"):
        score(folder, bench=bench, out=tmp_path / "out", resamples=2)
    assert not (tmp_path / "out").exists()
    assert score(folder, bench=bench, resamples=2, as_is=True).results["dice"].mean() < 0.95


@pytest.mark.parametrize("habit", ["truth", "collapses", "nothing"])
def test_answers_that_lie_right_are_scored_whatever_they_are_worth(cohort, bench, tmp_path, habit):
    assert len(score(pngs(tmp_path / "m", cohort.answers(habit)), bench=bench, resamples=2).results)


def test_runs_down_the_columns_are_noticed_and_read_when_declared(cohort, bench, tmp_path):
    path = table(tmp_path / "m.parquet", cohort.answers("truth"), encode=lambda mask: runs.encode(mask.T))
    with pytest.raises(DataError, match=r"written column by column.*1\.00.*--order column"):
        score(path, bench=bench, resamples=2)
    assert (score(path, bench=bench, resamples=2, order="column").results["dice"] == 1).all()


def test_swapped_rows_and_columns_of_an_oblong_slice_are_told_by_the_shape(cohort, bench, tmp_path):
    folder = pngs(tmp_path / "m", {prompt_id: mask.T for prompt_id, mask in cohort.answers("truth").items()})
    with pytest.raises(DataError, match=r"expected a mask of 40 x 48.*got 48 x 40\. Swap rows and columns"):
        score(folder, bench=bench, resamples=2)


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_strings_are_strings_however_they_are_stored(cohort, bench, tmp_path, kind):
    path = table(tmp_path / "m.parquet", cohort.answers("truth"), types={"prompt_id": kind})
    assert (score(path, bench=bench, resamples=2).results["dice"] == 1).all()


def test_a_column_that_is_no_mask_is_named_in_either_order(cohort, bench, tmp_path):
    answers = cohort.answers("truth")
    first = min(answers)
    path = table(tmp_path / "m.parquet", answers, encode=lambda mask: np.array([5, 5]) if mask is answers[first]
                 else runs.encode(mask.T))  # fmt: skip
    with pytest.raises(DataError, match=f"prompt {first}: runs: expected non-negative lengths"):
        score(path, bench=bench, resamples=2, order="column")
