"""The draw: exact totals, large tasks give way first, many patients before many channels, one seed one draw."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.bench.ask.draw import allocate, draw_volumes, drawn_of
from semantiseg.errors import ParameterError

counts = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 50), min_size=1)


def test_what_is_left_out_is_left_out_of_the_largest_task():
    assert allocate({"large": 100, "small": 5, "middle": 20}, 65) == {"large": 40, "small": 5, "middle": 20}
    assert allocate({"large": 100, "small": 5, "middle": 20}, 30) == {"large": 13, "small": 5, "middle": 12}


def test_a_cap_holds_even_if_the_total_is_missed():
    assert allocate({"large": 100, "small": 5}, 65, cap=30) == {"large": 30, "small": 5}


@given(counts, st.integers(0, 300))
@settings(max_examples=200, deadline=None)
def test_the_total_is_met_or_everything_taken_and_no_task_gives_less_than_a_smaller_one(present, total):
    given_ = allocate(present, total)
    assert sum(given_.values()) == min(total, sum(present.values()))
    assert all(0 <= given_[task] <= present[task] for task in present)
    below = [given_[task] for task in present if given_[task] < present[task]]
    assert not below or (max(below) - min(below) <= 1 and max(given_.values()) <= max(below) + 1)


def test_negative_counts_are_refused():
    with pytest.raises(ParameterError, match="at least 0"):
        allocate({"a": -1}, 3)


@pytest.fixture
def manifest():
    """Two tasks: 6 patients of four channels each (one patient with two cases), and 3 of one channel."""
    rows = [
        (f"g{case}:{channel}", "GLI", f"p{min(case, 5)}") for case in range(7) for channel in ("T1", "T1c", "T2", "F")
    ]
    rows += [(f"k{case}:CT", "KiTS", f"k{case}") for case in range(3)]
    return pd.DataFrame(rows, columns=["volume_id", "collection", "patient_id"]).set_index("volume_id")


def test_every_patient_is_drawn_before_any_gives_a_second_channel(manifest):
    drawn = draw_volumes(manifest, 3 + 6, seed=1)
    patients = manifest.loc[drawn].groupby("collection")["patient_id"]
    assert patients.nunique().to_dict() == {"GLI": 6, "KiTS": 3} and len(drawn) == 9


def test_the_draw_depends_on_the_seed_and_not_on_the_order_of_rows(manifest):
    drawn = draw_volumes(manifest, 12, seed=1)
    assert draw_volumes(manifest.sample(frac=1, random_state=3), 12, seed=1) == drawn
    assert draw_volumes(manifest, 12, seed=2) != drawn


def test_a_smaller_draw_is_part_of_a_larger_one(manifest):
    large = draw_volumes(manifest, 20, seed=1)
    assert set(draw_volumes(manifest, 12, seed=1)) < set(large) and len(large) == 20


def test_without_a_total_all_are_drawn_up_to_the_cap(manifest):
    assert draw_volumes(manifest, None, seed=1) == sorted(manifest.index)
    drawn = draw_volumes(manifest, None, seed=1, cap=5)
    assert manifest.loc[drawn].groupby("collection").size().to_dict() == {"GLI": 5, "KiTS": 3}


def test_the_summary_of_a_draw_adds_up(manifest):
    splits = ["train", "test", "validation", "train"]
    manifest["split"] = [splits[number % 4] for number in range(len(manifest))]
    drawn = [volume_id for volume_id in draw_volumes(manifest, 12, seed=1) if volume_id.startswith("g")]
    found = drawn_of(manifest, drawn)
    assert found["present"].to_dict() == {"GLI": 28, "KiTS": 3}
    assert (found["drawn"] + found["left out"] == found["present"]).all() and found["drawn"].sum() == len(drawn)
    assert (found[["train", "validation", "test"]].sum(axis=1) == found["drawn"]).all()
    assert found.loc["KiTS", "patients"] == 0 and found.loc["GLI", "patients"] == 6
