"""Train, validation and test, by patient."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping

from semantiseg.conventions import Split
from semantiseg.errors import ParameterError


def split_patients(
    collection_of: Mapping[str, str], *, test_share: float, validation_share: float, seed: int
) -> dict[str, Split]:
    """Assign every patient to one split, collection by collection.

    The patients of a collection are ranked by the SHA-256 of seed and patient id; the first go to test, the next to
    validation. So the result depends neither on the order of patients nor on other collections. With three or more
    patients each split gets at least one; of two patients one is for test, a single one is for training.

    Args:
        collection_of: patient id -> collection.
        test_share, validation_share: shares of each collection's patients.

    Raises:
        ParameterError: a share is not in (0, 1), or nothing would be left for training.
    """
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
    members: dict[str, list[str]] = defaultdict(list)
    for patient, collection in collection_of.items():
        members[collection].append(patient)
    splits: dict[str, Split] = {}
    for patients in members.values():
        ranked = sorted(patients, key=lambda patient: hashlib.sha256(f"{seed}/{patient}".encode()).digest())
        test, validation = _counts(len(ranked), test_share=test_share, validation_share=validation_share)
        for rank, patient in enumerate(ranked):
            splits[patient] = "test" if rank < test else "validation" if rank < test + validation else "train"
    return dict(sorted(splits.items()))


def _counts(patients: int, *, test_share: float, validation_share: float) -> tuple[int, int]:
    """How many patients go to test and to validation; at least one is left for training."""
    if patients < 3:
        return (1, 0) if patients == 2 else (0, 0)
    test = min(max(1, round(patients * test_share)), patients - 2)
    return test, min(max(1, round(patients * validation_share)), patients - test - 1)
