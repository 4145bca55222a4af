"""Splitting by patient."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.data.split import cross_validation, few_patients, split_patients
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


people = st.integers(2, 40).map(lambda count: [f"p{number}" for number in range(count)])


@given(people, st.integers(2, 12), st.integers(0, 3), st.floats(0.01, 0.9))
def test_over_the_folds_every_patient_is_tested_exactly_once(patients, folds, seed, share):
    folds = min(folds, len(patients))
    options = {"folds": folds, "seed": seed, "validation_share": share}
    splits = [cross_validation(patients, fold=fold, **options) for fold in range(folds)]
    assert all(sum(split[patient] == "test" for split in splits) == 1 for patient in patients)
    assert all(set(split) == set(patients) and "train" in split.values() for split in splits)
    sizes = [Counter(split.values())["test"] for split in splits]
    assert max(sizes) - min(sizes) <= 1
    watched = [split for split, tested in zip(splits, sizes, strict=True) if len(patients) - tested > 1]
    assert all("validation" in split.values() for split in watched)


@given(people, st.randoms())
def test_folds_do_not_depend_on_the_order_of_patients(patients, order: random.Random):
    shuffled = list(patients)
    order.shuffle(shuffled)
    assert cross_validation(shuffled, folds=2, fold=1, seed=0) == cross_validation(patients, folds=2, fold=1, seed=0)


@pytest.mark.parametrize(("folds", "fold", "name"), [(1, 0, "folds"), (4, 0, "folds"), (3, 3, "fold"), (2, -1, "fold")])
def test_folds_that_do_not_fit_the_patients_are_refused(folds, fold, name):
    with pytest.raises(ParameterError, match=rf"prepare\.{name}: expected"):
        cross_validation(["a", "b", "c"], folds=folds, fold=fold, seed=0)


def test_every_collection_is_folded_by_itself():
    homes = {f"{home}{number}": home for home in "XY" for number in range(4)}
    splits = split_patients(homes, folds=4, fold=0, seed=0, **SHARES)
    assert Counter(homes[patient] for patient, split in splits.items() if split == "test") == {"X": 1, "Y": 1}


def test_few_test_patients_are_named_and_enough_are_not():
    assert few_patients(20) == ""
    assert few_patients(1).startswith("Only 1 test patient (fewer than 20)")
    assert few_patients(19).startswith("Only 19 test patients")
