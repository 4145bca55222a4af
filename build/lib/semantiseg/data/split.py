"""Train, validation and test, by patient."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from semantiseg.conventions import Split
from semantiseg.errors import ParameterError

FEW_TEST_PATIENTS = 20
"""With fewer, an interval over patients is itself uncertain, and one patient moves a mean by 5%."""


def few_patients(count: int) -> str:
    """What every table, figure and message says of a result on `count` test patients; "" where there are enough."""
    if count >= FEW_TEST_PATIENTS:
        return ""
    patients = "1 test patient" if count == 1 else f"{count} test patients"
    return (
        f"Only {patients} (fewer than {FEW_TEST_PATIENTS}): numbers may be far from those of other patients; test "
        "every patient once by cross-validation (prepare.folds)."
    )


def split_patients(
    collection_of: Mapping[str, str],
    *,
    test_share: float,
    validation_share: float,
    seed: int,
    folds: int = 0,
    fold: int = 0,
) -> dict[str, Split]:
    """Assign every patient to one split, collection by collection.

    The patients of a collection are ranked by the SHA-256 of seed and patient id; the first go to test, the next to
    validation. So the result depends neither on the order of patients nor on other collections. With three or more
    patients each split gets at least one; of two patients one is for test, a single one is for training.

    Args:
        collection_of: patient id -> collection.
        test_share, validation_share: shares of each collection's patients.
        folds, fold: with folds, cross-validation instead of `test_share`, see `cross_validation`; 0 for none.

    Raises:
        ParameterError: a share is not in (0, 1), nothing would be left for training, or folds do not fit the patients.
    """
    _require_shares(test_share=test_share, validation_share=validation_share)
    members: dict[str, list[str]] = defaultdict(list)
    for patient, collection in collection_of.items():
        members[collection].append(patient)
    splits: dict[str, Split] = {}
    for patients in members.values():
        if folds:
            splits |= cross_validation(
                patients, folds=folds, fold=fold, seed=seed, validation_share=validation_share
            )
            continue
        ranked = _ranked(patients, seed=seed)
        test, validation = _counts(len(ranked), test_share=test_share, validation_share=validation_share)
        for rank, patient in enumerate(ranked):
            splits[patient] = "test" if rank < test else "validation" if rank < test + validation else "train"
    return dict(sorted(splits.items()))


def cross_validation(
    patients: Iterable[str], *, folds: int, fold: int, seed: int, validation_share: float = 0.1
) -> dict[str, Split]:
    """One fold of a cross-validation: over all folds every patient is tested exactly once.

    Patients are ranked as in `split_patients` and dealt to the folds in turn, so folds differ by one patient at most.
    Validation patients come from the training folds, at least one where two are left.

    Args:
        patients: of one collection.
        folds: number of folds, at least 2 and at most one a patient.
        fold: which of them is tested, counted from 0.
        seed: of the ranking.
        validation_share: share of all patients on which training is watched.

    Raises:
        ParameterError: folds and fold do not fit each other or the patients.
    """
    ranked = _ranked(patients, seed=seed)
    if not 2 <= folds <= len(ranked):
        raise ParameterError(
            f"prepare.folds: expected from 2 to {len(ranked)} folds for {len(ranked)} patients of a collection, got "
            f"{folds}. Each fold tests at least one patient."
        )
    if not 0 <= fold < folds:
        raise ParameterError(f"prepare.fold: expected 0 to {folds - 1} of {folds} folds, got {fold}. Choose one.")
    test = set(ranked[fold::folds])
    rest = [patient for patient in ranked if patient not in test]
    validation = min(max(1, round(len(ranked) * validation_share)), len(rest) - 1)
    return {
        patient: "test" if patient in test else "validation" if patient in rest[:validation] else "train"
        for patient in ranked
    }


def _ranked(patients: Iterable[str], *, seed: int) -> list[str]:
    return sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())


def _require_shares(*, test_share: float, validation_share: float) -> None:
    for name, share in (("test_share", test_share), ("validation_share", validation_share)):
        if not 0 < share < 1:
            raise ParameterError(
                f"prepare.{name}: expected a share between 0 and 1, got {share}. Correct it in params.yaml."
            )
    if test_share + validation_share >= 1:
        raise ParameterError(
            f"prepare.test_share and prepare.validation_share: expected a sum below 1, got {test_share} + "
            f"{validation_share}. "
            "Leave patients for training."
        )


def _counts(patients: int, *, test_share: float, validation_share: float) -> tuple[int, int]:
    """How many patients go to test and to validation; at least one is left for training."""
    if patients < 3:
        return (1, 0) if patients == 2 else (0, 0)
    test = min(max(1, round(patients * test_share)), patients - 2)
    return test, min(max(1, round(patients * validation_share)), patients - test - 1)
