from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from semantiseg.errors import DataError
from semantiseg.evaluation import summary
from semantiseg.evaluation.bootstrap import PatientBootstrap


def test_two_groups_give_the_numbers_of_fairmedfms_own_log():
    # A run printed in FairMedFM's notebook, four digits.
    found = summary.disparity(0.2601, np.array([0.2563, 0.2800]))
    expected = {"min": 0.2563, "max": 0.28, "delta": 0.0237, "skewness": 1.0329, "std": 0.0118, "es": 0.2571}
    # Their std is 0.01185 before rounding; half a unit of the last digit either way.
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=0.51e-4)


def test_three_groups_worked_by_hand():
    found = summary.disparity(0.5, np.array([0.2, 0.8, 0.5]))
    assert found["delta"] == pytest.approx(0.6)
    assert found["skewness"] == pytest.approx(0.8 / 0.2)
    assert found["std"] == pytest.approx(np.sqrt(0.06))
    assert found["es"] == pytest.approx(0.5 / (1 + np.sqrt(0.06)))


def test_equal_groups_have_no_disparity_and_a_perfect_group_no_skewness():
    assert summary.disparity(0.7, np.array([0.7, 0.7])) == {
        "mean": 0.7, "min": 0.7, "max": 0.7, "delta": 0.0, "skewness": 1.0, "std": 0.0, "es": 0.7,
    }  # fmt: skip
    assert np.isnan(summary.disparity(0.9, np.array([0.8, 1.0]))["skewness"])


@pytest.mark.parametrize("means", [[], [0.5, np.nan], [0.5, 1.2]])
def test_what_are_no_means_of_dice_is_named(means):
    with pytest.raises(DataError, match="fairness: expected means of Dice"):
        summary.disparity(0.5, np.array(means))


def answers(count: int = 12) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "patient_id": [f"p{i % count:02d}" for i in range(6 * count)],
            "level": np.repeat([1, 2, 3], 2 * count),
            "dice": rng.uniform(0.3, 0.9, 6 * count),
        }
    )


def test_the_mean_is_over_answers_and_estimates_agree_with_the_plain_measures():
    rows = answers().iloc[:-7]  # groups of unequal size
    draws = PatientBootstrap(rows["patient_id"], resamples=100, seed=0)
    found = summary.by_attribute(rows, draws, "level")
    expected = summary.disparity(rows["dice"].mean(), rows.groupby("level")["dice"].mean().to_numpy())
    assert {name: found[name].value for name in expected} == pytest.approx(expected)
    assert found["groups"] == 3
    assert all(found[name].low <= found[name].high for name in expected)


def test_no_answers_give_none():
    found = summary.by_attribute(answers().iloc[:0], PatientBootstrap(["p"], resamples=10, seed=0), "level")
    assert found["groups"] == 0 and {found[name].value for name in found if name != "groups"} == {None}
