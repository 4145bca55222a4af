from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from semantiseg.errors import DataError, ParameterError
from semantiseg.evaluation import comparison
from semantiseg.evaluation.bootstrap import PatientBootstrap
from semantiseg.evaluation.comparison import compare, effect_size, exchanges, holm


def prompts(patients: int, *, each: int = 4) -> pd.DataFrame:
    rows = [
        {"patient_id": f"p{patient:03d}", "suite": suite, "level": level, "group": f"g{patient}-{number}"}
        for patient in range(patients)
        for suite in ("core", "triple")
        for number in range(each)
        for level in (1, 2, 3)
    ]
    frame = pd.DataFrame(rows).assign(split="test", phrasing="unseen")
    return frame.assign(prompt_id=[f"q{i:05d}" for i in range(len(frame))])


def answers(asked: pd.DataFrame, *, drop: float, seed: int = 0, skill: float = 0.8) -> pd.DataFrame:
    """A model that loses `drop` Dice at level 3, with patients that are hard for all."""
    rng = np.random.default_rng(seed)
    patient = asked["patient_id"].factorize()[0]
    hard = np.random.default_rng(99).normal(0, 0.06, patient.max() + 1)[patient]
    dice = skill + hard - drop * (asked["level"] == 3) + rng.normal(0, 0.03, len(asked))
    frame = asked[["prompt_id"]].assign(dice=dice.clip(0, 1), parent_differs=True)
    return frame.assign(collapsed=frame["dice"] < 0.65)


def row(table: pd.DataFrame, measure: str) -> pd.Series:
    return table.set_index("measure").loc[measure]


def test_holm_worked_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]).tolist() == []


def test_few_patients_are_exchanged_in_all_ways_and_many_at_random():
    every = exchanges(3, ways=8, seed=0)
    assert len({tuple(way) for way in every}) == 8 and not every[0].any()
    some = exchanges(40, ways=500, seed=1)
    assert some.shape == (501, 40) and not some[0].any() and 0.45 < some[1:].mean() < 0.55
    with pytest.raises(ParameterError, match="ways"):
        exchanges(3, ways=0, seed=0)


def test_p_agrees_with_scipys_permutation_test_over_patients():
    asked = prompts(9)
    first, second = answers(asked, drop=0.05, seed=1), answers(asked, drop=0.08, seed=2)
    table = compare({"a": first, "b": second}, asked, resamples=512, seed=0)
    gap = (first["dice"] - second["dice"])[(asked["suite"] == "core") & (asked["level"] == 3)]
    by_patient = gap.groupby(asked["patient_id"]).sum().to_numpy()
    theirs = stats.permutation_test(
        (by_patient,), lambda x, axis: x.sum(axis=axis), permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    found = row(table, "l3")
    assert found["p"] == pytest.approx(theirs.pvalue)
    assert found["difference"] == pytest.approx(gap.mean())
    assert found["effect"] == pytest.approx(by_patient.mean() / by_patient.std(ddof=1))


def test_a_difference_in_language_is_found_where_it_is_and_nowhere_else():
    asked = prompts(40)
    table = compare({"a": answers(asked, drop=0.05), "b": answers(asked, drop=0.25)}, asked, resamples=2000, seed=0)
    for measure in ("l3", "pss", "matched_l3", "matched_pss", "collapse_rate"):
        assert row(table, measure)["p_holm"] < 0.05, measure
    for measure in ("l1", "l2", "matched_l1"):
        assert row(table, measure)["difference"] == 0 and row(table, measure)["p_holm"] == 1.0
    assert row(table, "pss")["difference"] == pytest.approx(-0.25, abs=0.02)
    assert row(table, "pss")["low"] < row(table, "pss")["difference"] < row(table, "pss")["high"] < 0


def test_equal_models_are_called_different_about_as_often_as_the_level_says(monkeypatch):
    monkeypatch.setattr(comparison, "MEASURES", {"pss": comparison.MEASURES["pss"]})
    asked = prompts(12, each=1)
    found = [
        row(
            compare({"a": answers(asked, drop=0.1, seed=s), "b": answers(asked, drop=0.1, seed=s + 500)}, asked,
                    resamples=300, seed=s, ways=300),
            "pss",
        )["p"]
        for s in range(60)
    ]  # fmt: skip
    assert np.mean(np.array(found) <= 0.1) <= 0.2 and 0.35 < np.mean(found) < 0.65


def test_order_of_models_changes_signs_only():
    asked = prompts(15)
    one, two = answers(asked, drop=0.05, seed=3), answers(asked, drop=0.12, seed=4)
    there = compare({"a": one, "b": two}, asked, resamples=300, seed=0)
    back = compare({"b": two, "a": one}, asked, resamples=300, seed=0)
    assert (there["difference"] == -back["difference"]).all() and there["p"].equals(back["p"])


def test_more_models_are_a_larger_family():
    asked = prompts(12)
    models = {name: answers(asked, drop=0.05, seed=place) for place, name in enumerate("abc")}
    table = compare(models, asked, resamples=200, seed=0)
    assert len(table) == 3 * len(comparison.MEASURES)
    assert (table["p_holm"] >= table["p"]).all() and table["p_holm"].equals(pd.Series(holm(table["p"])))


def test_an_effect_without_spread_or_patients_is_undefined():
    assert np.isnan(effect_size(np.array([0.1]))) and np.isnan(effect_size(np.array([0.1, 0.1])))
    assert effect_size(np.array([0.0, 0.2])) == pytest.approx(0.1 / np.std([0, 0.2], ddof=1))


def test_one_model_or_a_missing_answer_is_named():
    asked = prompts(3)
    full = answers(asked, drop=0.1)
    with pytest.raises(DataError, match="expected two models or more"):
        compare({"a": full}, asked, resamples=10, seed=0)
    with pytest.raises(DataError, match="results of b: .*1 missing"):
        compare({"a": full, "b": full.iloc[1:]}, asked, resamples=10, seed=0)


def test_a_patient_who_was_not_drawn_from_is_named():
    with pytest.raises(DataError, match="got 1 of others"):
        PatientBootstrap(["p", "q"], resamples=5, seed=0).mean([0.5, 0.5], ["p", "r"])
