"""Splitting by patient."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.data.split import split_patients
from semantiseg.errors import ParameterError

SHARES = {"test_share": 0.25, "validation_share": 0.1}

patients = st.dictionaries(st.text("abcdef0123456789", min_size=1, max_size=6), st.sampled_from("XYZ"), min_size=1)


@given(patients, st.integers(0, 5), st.randoms())
def test_the_order_of_patients_does_not_matter(collection_of, seed, order: random.Random):
    shuffled = list(collection_of.items())
    order.shuffle(shuffled)
    assert split_patients(dict(shuffled), seed=seed, **SHARES) == split_patients(collection_of, seed=seed, **SHARES)


@given(patients, st.integers(0, 5))
def test_other_collections_do_not_matter(collection_of, seed):
    together = split_patients(collection_of, seed=seed, **SHARES)
    for collection in set(collection_of.values()):
        alone = {patient: home for patient, home in collection_of.items() if home == collection}
        assert split_patients(alone, seed=seed, **SHARES).items() <= together.items()


@given(st.integers(3, 60), st.floats(0.01, 0.98), st.floats(0.01, 0.98), st.integers(0, 3))
def test_three_patients_suffice_for_three_splits_whatever_the_shares(count, test_share, validation_share, seed):
    if test_share + validation_share >= 1:
        test_share, validation_share = test_share / 2, validation_share / 2
    splits = split_patients(
        {f"p{number}": "X" for number in range(count)},
        test_share=test_share, validation_share=validation_share, seed=seed,
    )  # fmt: skip
    assert set(splits.values()) == {"train", "validation", "test"}


def test_the_shares_are_met():
    counts = Counter(split_patients({f"p{number}": "X" for number in range(40)}, seed=0, **SHARES).values())
    assert counts == {"test": 10, "validation": 4, "train": 26}


def test_another_seed_gives_another_split():
    everyone = {f"p{number}": "X" for number in range(40)}
    assert split_patients(everyone, seed=0, **SHARES) != split_patients(everyone, seed=1, **SHARES)


@pytest.mark.parametrize(("test_share", "validation_share"), [(0.0, 0.1), (1.0, 0.1), (0.6, 0.4), (0.2, -0.1)])
def test_impossible_shares_are_refused(test_share, validation_share):
    with pytest.raises(ParameterError, match="share.*expected"):
        split_patients({"p": "X"}, test_share=test_share, validation_share=validation_share, seed=0)
