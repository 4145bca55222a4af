"""Two models are told apart only where neither other patients nor other seeds would have had it otherwise."""

from __future__ import annotations

import copy
import json
from itertools import product
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pandas as pd
import pytest

from semantiseg.evaluation import ablation_record
from semantiseg.paper import claims
from semantiseg.paper.claim_evidence import model_better, over_patients_and_seeds

ROOT = Path(__file__).parents[2]
MEASURED = [claim for claim in claims.read_claims(ROOT / "claims.yaml") if claim.check.startswith("model_")]
STATISTICS = ["l1", "l2", "l3", "pss"]
VARIANTS = {"token": "longer", "scalar": "scalar_longer", "none": "no_gate_longer"}
"""Trained models -> the variant of the ablation with about as many steps."""


def committed() -> dict:
    return json.loads((ROOT / "figures/metrics.json").read_text(encoding="utf-8"))


def another_run(metrics: dict, shifts: dict[str, dict[str, float]]) -> dict:
    """The metrics of a run whose numbers lie elsewhere by `shifts` (model -> statistic -> difference)."""
    run = copy.deepcopy(metrics)
    for model, moved in shifts.items():
        for statistic, shift in moved.items():
            for key in ("value", "low", "high"):
                run["models"][model]["core"][statistic][key] += shift
    for row in run["comparisons"]:
        shift = shifts.get(row["first"], {}).get(row["measure"], 0) - shifts.get(row["second"], {}).get(
            row["measure"], 0
        )
        for key in ("difference", "low", "high"):
            row[key] += shift
    return run


def deviations() -> dict[str, list[dict[str, float]]]:
    """Of every model the deviations from the mean of its variant's recorded seeds; bag of words takes no gate's."""
    runs, _ = ablation_record.read()
    found = {}
    for model, variant in (VARIANTS | {"bag_of_words": "no_gate_longer"}).items():
        seeds = runs[runs["variant"] == variant][STATISTICS]
        found[model] = (seeds - seeds.mean()).to_dict("records")
    return found


def verdicts(metrics: dict) -> dict[str, str]:
    return claims.check_claims(MEASURED, metrics).set_index("id")["verdict"].to_dict()


def test_no_verdict_changes_whichever_of_the_recorded_seeds_a_run_had():
    metrics, moves = committed(), deviations()
    wanted = verdicts(metrics)
    assert wanted["word-order-matters"] == "cannot be told apart on phantoms"
    assert wanted["gating-helps"] == "fails on phantoms"
    for chosen in product(*moves.values()):
        run = another_run(metrics, dict(zip(moves, chosen, strict=True)))
        assert verdicts(run) == wanted


def test_no_verdict_changes_between_two_machines():
    """Their means as Table 1 recorded them; the comparison moves with them."""
    one, other = (pd.read_csv(path).set_index("model") for path in sorted((ROOT / "benchmarks/reruns").glob("*.csv")))
    moved = other[STATISTICS] - one[STATISTICS]
    metrics = committed()
    for sign in (1, -1):
        shifts = {model: (sign * row).to_dict() for model, row in moved.dropna().iterrows()}
        assert verdicts(another_run(metrics, shifts)) == verdicts(metrics)


def test_a_difference_that_patients_and_seeds_agree_on_is_told():
    metrics = another_run(committed(), {"token": {"l3": 0.07}})
    found = model_better(model="token", other="bag_of_words", statistic="l3", seeds=["longer", "no_gate_longer"],
                         metrics=metrics)  # fmt: skip
    assert found.holds is True and found.apart
    turned = model_better(model="bag_of_words", other="token", statistic="l3", seeds=["no_gate_longer", "longer"],
                          metrics=metrics)  # fmt: skip
    assert turned.holds is False and turned.apart


def test_without_recorded_seeds_the_patients_alone_decide_as_a_z_test_does():
    half = 1.959963984540054 * 0.01
    for difference in (0.005, 0.0196, 0.03):
        found = over_patients_and_seeds(
            difference, low=difference - half, high=difference + half, patients=100_000, seeds=[]
        )
        assert found.p == pytest.approx(2 * NormalDist().cdf(-difference / 0.01), abs=1e-4)


def test_many_patients_and_few_seeds_are_a_t_test_over_seeds():
    from scipy import stats

    differences = [0.03, 0.01, 0.05, 0.02]
    found = over_patients_and_seeds(differences[0], low=0.03, high=0.03, patients=51, seeds=differences[1:])
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert found.mean == pytest.approx(np.mean(differences))


@pytest.mark.parametrize(("bound", "holds", "apart"), [(0.7, True, True), (0.81, None, False), (0.9, False, True)])
def test_a_bound_nearer_than_runs_lie_to_one_another_is_undecided(bound, holds, apart):
    metrics = committed()
    metrics["models"]["token"]["core"]["l1"]["value"] = 0.805
    found = claims.model_at_least(model="token", statistic="l1", bound=bound, metrics=metrics)
    assert (found.holds, found.apart) == (holds, apart)
