from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
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
