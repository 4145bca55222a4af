from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from semantiseg import params
from semantiseg.errors import ParameterError
from semantiseg.evaluation.bootstrap import Estimate, PatientBootstrap, estimate, identity

ROOT = Path(__file__).resolve().parents[2]


def draws(patients: list[str], *, resamples: int = 400, seed: int = 0) -> PatientBootstrap:
    return PatientBootstrap(patients, resamples=resamples, seed=seed)


def test_a_resample_equals_repeating_the_drawn_patients_prompts() -> None:
    patients, values = np.array(["b", "a", "b", "c"], dtype=object), np.array([0.1, 0.5, 0.3, 0.9])
    bootstrap = draws(list(patients), resamples=50, seed=3)
    mean = bootstrap.mean(values, patients)
    for times, resampled in zip(bootstrap._times, mean.resampled, strict=True):
        by_name = dict(zip(bootstrap.patients, times, strict=True))
        repeated = np.repeat(values, [by_name[patient] for patient in patients])
        assert resampled == pytest.approx(repeated.mean())


def test_equal_seeds_give_equal_intervals_and_others_differ() -> None:
    patients = [f"p{i}" for i in range(20)]
    values = np.random.default_rng(1).random(20)
    intervals = [estimate(identity, draws(patients, seed=seed).mean(values, patients)) for seed in (0, 0, 1)]
    assert intervals[0] == intervals[1] != intervals[2]


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    patients = [f"p{i:02d}" for i in range(40)]
    owner = np.repeat(np.array(patients, dtype=object), 5)
    covered = 0
    for seed in range(200):
        values = np.repeat(rng.normal(0.7, 0.1, 40), 5) + rng.normal(0, 0.05, 200)
        found = estimate(identity, draws(patients, resamples=200, seed=seed).mean(values, owner))
        covered += found.low <= 0.7 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_prompts_of_one_patient_are_drawn_together() -> None:
    patients = [f"p{i:02d}" for i in range(12)]
    per_patient = np.linspace(0.2, 0.9, 12)
    once = estimate(identity, draws(patients).mean(per_patient, patients))
    owner = np.repeat(np.array(patients, dtype=object), 100)
    often = estimate(identity, draws(patients).mean(np.repeat(per_patient, 100), owner))
    # A hundred copies of the same picture are no more evidence than one.
    assert (often.low, often.high) == pytest.approx((once.low, once.high))


def test_one_patient_gives_an_interval_of_no_width() -> None:
    found = estimate(identity, draws(["p"]).mean([0.2, 0.4], ["p", "p"]))
    assert (found.value, found.low, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert (found.prompts, found.patients) == (2, 1)


def test_no_prompts_give_none_without_warnings() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert estimate(identity, draws(["p", "q"]).mean([], [])) == Estimate(None, None, None, 0, 0)
        assert estimate(identity, draws([]).mean([], [])) == Estimate(None, None, None, 0, 0)


def test_resamples_that_drew_none_of_a_groups_patients_do_not_count() -> None:
    mean = draws(["p", "q"]).mean([0.5], ["q"])
    assert np.isnan(mean.resampled).any()
    found = estimate(identity, mean)
    assert (found.value, found.low, found.high) == (0.5, 0.5, 0.5)


def test_no_resamples_are_refused() -> None:
    with pytest.raises(ParameterError, match="table1.resamples"):
        draws(["p"], resamples=0)


def test_intervals_hold_to_the_third_decimal_at_the_default_number_of_resamples() -> None:
    resamples = params.load(ROOT / "params.yaml").table1.resamples
    patients = [f"p{i:02d}" for i in range(50)]
    values = np.random.default_rng(5).normal(0.7, 0.18, 50).clip(0, 1)  # as spread as the demo's patients
    sets = [draws(patients, resamples=resamples, seed=seed) for seed in range(6)]
    found = [estimate(identity, one.mean(values, patients)) for one in sets]
    for ends in ([item.low for item in found], [item.high for item in found]):
        assert np.std(ends) < 0.0008
    assert len({item.value for item in found}) == 1
