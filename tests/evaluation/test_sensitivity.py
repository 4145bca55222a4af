from __future__ import annotations

import warnings

import pandas as pd
import pytest

from semantiseg.errors import DataError
from semantiseg.evaluation import sensitivity
from semantiseg.evaluation.bootstrap import PatientBootstrap


def answers(**columns: list) -> pd.DataFrame:
    count = len(columns["dice"])
    return pd.DataFrame({"patient_id": [f"p{i}" for i in range(count)]} | columns)


def draws(frame: pd.DataFrame) -> PatientBootstrap:
    return PatientBootstrap(list(frame["patient_id"]), resamples=100, seed=0)


@pytest.mark.parametrize(
    ("first", "third", "score"), [(0.85, 0.60, 0.2941), (0.82, 0.55, 0.3293), (0.86, 0.81, 0.0581)]
)
def test_prompt_sensitivity_of_the_papers_rows(first: float, third: float, score: float) -> None:
    frame = answers(level=[1, 3], dice=[first, third], patient_id=["p", "p"])
    found = sensitivity.by_level(frame, draws(frame))
    assert found["pss"].value == pytest.approx(score, abs=5e-5)
    assert found["difference"].value == pytest.approx(first - third)
    assert found["l2"].value is None


def test_prompt_sensitivity_is_undefined_where_level_one_is_zero() -> None:
    frame = answers(level=[1, 3], dice=[0.0, 0.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sensitivity.by_level(frame, draws(frame))["pss"].value is None


def test_collapse_counts_only_level_three_answers_whose_parent_differs() -> None:
    frame = answers(
        level=[1, 3, 3, 3],
        dice=[0.1, 0.1, 0.8, 0.3],
        parent_differs=[True, True, True, False],
        collapsed=[True, True, False, False],
    )
    found = sensitivity.collapse_rate(frame, draws(frame))
    assert (found.value, found.prompts) == (0.5, 2)


def test_matched_triples_weigh_each_level_alike_and_incomplete_ones_are_refused() -> None:
    frame = answers(group=["t", "t", "t"], level=[1, 2, 3], dice=[0.8, 0.7, 0.6], patient_id=["p", "p", "p"])
    assert sensitivity.matched(frame, draws(frame))["pss"].value == pytest.approx(0.25)
    with pytest.raises(DataError, match="one prompt a level in every group"):
        sensitivity.matched(frame.iloc[:2], draws(frame))


def test_the_worst_paraphrase_is_that_of_each_group() -> None:
    frame = answers(group=["a", "a", "b", "b"], dice=[0.9, 0.5, 0.4, 0.6], patient_id=["p", "p", "q", "q"])
    found = sensitivity.paraphrase(frame, draws(frame))
    assert found["worst"].value == pytest.approx(0.45)
    assert found["spread"].value == pytest.approx(0.3)
    assert found["worst"].prompts == 2


def test_a_pair_is_followed_only_if_both_answers_follow() -> None:
    frame = answers(
        group=["a", "a", "b", "b"],
        dice=[0.9, 0.8, 0.9, 0.5],
        twin_dice=[0.1, 0.2, 0.1, 0.5],
        patient_id=["p", "p", "q", "q"],
    )
    assert sensitivity.counterfactual(frame, draws(frame))["response"].value == 0.5


def test_marking_an_absent_target_is_a_false_positive_whatever_its_size() -> None:
    frame = answers(dice=[1.0, 0.0, 0.0, 1.0], predicted_mm2=[0.0, 1.0, 99.0, 0.0])
    found = sensitivity.absent(frame, draws(frame))
    assert found["rate"].value == 0.5
    assert found["area_mm2"].value == 25.0


def test_a_suite_and_its_phrasing_are_told_apart() -> None:
    frame = answers(dice=[1.0] * 3, suite=["core", "core", "phrasing"], phrasing=["unseen", "seen", "seen"])
    assert list(sensitivity.suite_of(frame, "core", phrasing="unseen").index) == [0]
    assert list(sensitivity.suite_of(frame, "phrasing").index) == [2]
