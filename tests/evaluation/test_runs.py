from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from semantiseg.errors import DataError
from semantiseg.evaluation import runs


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_decoding_undoes_encoding(mask: np.ndarray) -> None:
    assert (runs.decode(runs.encode(mask), height=mask.shape[0], width=mask.shape[1]) == mask).all()


@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_mask_has_one_spelling(mask: np.ndarray) -> None:
    lengths = runs.encode(mask)
    assert (lengths[1:] > 0).all() and lengths.sum() == mask.size


def test_runs_start_with_background() -> None:
    assert runs.encode(np.array([[False, True], [True, False]])).tolist() == [1, 2, 1]
    assert runs.encode(np.ones((2, 2), dtype=bool)).tolist() == [0, 4]
    assert runs.encode(np.zeros((2, 2), dtype=bool)).tolist() == [4]


@given(st.lists(st.integers(-3, 9), max_size=5))
def test_runs_of_another_picture_are_refused(lengths: list[int]) -> None:
    if sum(lengths) == 12 and min(lengths) >= 0:
        return
    with pytest.raises(DataError, match="add up to 3 x 4 = 12"):
        runs.decode(lengths, height=3, width=4)


EDGES = st.sampled_from([0, 1, 2, 3, 4, 12, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 8, 2**64, -1, -(2**63)])
ROWS = st.one_of(
    st.lists(EDGES, max_size=8),
    arrays(st.sampled_from([np.uint64, np.int64, np.uint8, np.float64, np.bool_]), st.integers(0, 6)),
    st.lists(st.one_of(st.none(), st.text(max_size=2), st.floats(), EDGES), max_size=4),
    st.sampled_from([None, "runs", 12, [[3, 4], [5]], np.zeros((2, 2), np.int64), np.full(1, 12, np.uint64)]),
)


@given(ROWS, EDGES | st.sampled_from([float("nan"), 3.0, None, "3"]), EDGES)
@settings(max_examples=1500)
def test_any_runs_of_any_picture_are_its_mask_or_a_typed_error(lengths, height, width) -> None:
    try:
        mask = runs.decode(lengths, height=height, width=width)
    except DataError:
        return
    assert mask.shape == (height, width)
    assert (runs.decode(runs.encode(mask), height=height, width=width) == mask).all()


@pytest.mark.parametrize(
    "lengths", [[2**63 - 1, 2**63 - 1, 14], np.array([2**64 - 8, 20], dtype=np.uint64), [-8, 20], [4] * 2**20]
)
def test_lengths_that_add_up_only_because_they_wrap_around_are_refused(lengths) -> None:
    with pytest.raises(DataError, match="add up to 3 x 4 = 12|2.63"):
        runs.decode(lengths, height=3, width=4)


def test_a_picture_too_large_for_memory_is_refused_before_it_is_allocated(monkeypatch) -> None:
    with pytest.raises(DataError, match="SEMANTISEG_MOST_PIXELS"):
        runs.decode([2**62], height=2**31, width=2**31)
    monkeypatch.setenv("SEMANTISEG_MOST_PIXELS", "11")
    with pytest.raises(DataError, match="at most 11 pixels"):
        runs.decode([12], height=3, width=4)
    monkeypatch.setenv("SEMANTISEG_MOST_PIXELS", "12")
    assert not runs.decode([12], height=3, width=4).any()
