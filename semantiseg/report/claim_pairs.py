"""Checks that set two trained models side by side: which is better, for other patients and for other seeds, too?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantiseg.report import ablation_record
from semantiseg.report.finding import Finding, Metrics
from semantiseg.report.table_text import interval, number

SIGNIFICANT = 0.05


def statistic_of(metrics: Metrics, model: str, statistic: str) -> Mapping[str, Any] | None:
    """An estimate of the headline; None if the model was not trained or the number is undefined."""
    summary = metrics["models"].get(model)
    if summary is None or summary["core"][statistic]["value"] is None:
        return None
    return summary["core"][statistic]


def words_of(statistic: str, estimate: Mapping[str, Any]) -> str:
    """An estimate with its interval, in the digits of its kind."""
    digits = 3 if statistic == "pss" else 2
    row = {"x": estimate["value"], "x_low": estimate["low"], "x_high": estimate["high"]}
    return interval(row, "x", lambda value: number(value, digits=digits))


NAMES = {"pss": "PSS", "l1": "L1 Dice", "l2": "L2 Dice", "l3": "L3 Dice"}


def untrained(printed: str, *models: str) -> Finding:
    """Models of which a claim speaks were not trained in this run."""
    return Finding(
        None, printed, f"train {' and '.join(models)} (`models` in params.yaml) on a test split with core prompts"
    )


@dataclass(frozen=True)
class Paired:
    """Mean difference of two models over trainings, and whether it can be told from none (two-sided p)."""

    mean: float
    p: float
    trainings: int


def over_patients_and_seeds(
    difference: float, *, low: float, high: float, patients: int, seeds: Sequence[float]
) -> Paired:
    """Welch's test of two sources of chance: which patients were met, and which seed was trained with.

    Args:
        difference: of the two models in this run, paired by patient.
        low, high: its 95% interval over patients.
        patients: how many.
        seeds: the same difference in recorded trainings that differ in nothing but the seed, paired by seed.

    This run is one training among the recorded ones, so that it decides no more than each of them. The variance of the
    mean is that over patients, whom all trainings share, plus that over trainings divided by their number; degrees of
    freedom after Satterthwaite (1946).
    """
    from scipy import stats

    trainings = np.array([difference, *seeds])
    by_patient = ((high - low) / (2 * stats.norm.ppf(0.975))) ** 2
    by_seed = float(trainings.var(ddof=1)) / len(trainings) if len(seeds) else 0.0
    mean, variance = float(trainings.mean()), by_patient + by_seed
    if variance == 0:
        return Paired(mean, 1.0 if mean == 0 else 0.0, len(trainings))
    freedom = variance**2 / (by_patient**2 / max(patients - 1, 1) + by_seed**2 / max(len(trainings) - 1, 1))
    return Paired(mean, float(2 * stats.t.sf(abs(mean) / variance**0.5, freedom)), len(trainings))


def model_better(*, model: str, other: str, statistic: str, seeds: Sequence[str], metrics: Metrics) -> Finding:
    """Is one trained model's number higher than another's, for other patients and for other seeds, too?

    Args:
        model, other: trained in this run, compared patient by patient (`evaluation/comparison.py`).
        statistic: l1, l2 or l3.
        seeds: the variants of the recorded ablation that `model` and `other` are.
        metrics: of this run.

    Where chance could have had it otherwise the two cannot be told apart, whichever is ahead in this run.
    """
    printed = f"{NAMES[statistic]}: {model} above {other}"
    mine, theirs = statistic_of(metrics, model, statistic), statistic_of(metrics, other, statistic)
    row, sign = _pair(metrics, model, other, statistic)
    if mine is None or theirs is None or row is None:
        return untrained(printed, model, other)
    low, high = sorted((sign * row["low"], sign * row["high"]))
    found = over_patients_and_seeds(
        sign * row["difference"], low=low, high=high, patients=row["patients"], seeds=_by_seed(*seeds, statistic)
    )
    words = (
        f"{model} {words_of(statistic, mine)}, {other} {words_of(statistic, theirs)}; mean difference of "
        f"{found.trainings} trainings {number(found.mean)}, p = {number(found.p, digits=3)} over patients and seeds"
    )
    if found.p >= SIGNIFICANT:
        return Finding(None, printed, words, measured=True, apart=False)
    return Finding(found.mean > 0, printed, words, measured=True)


def _pair(metrics: Metrics, model: str, other: str, statistic: str) -> tuple[Mapping[str, Any] | None, int]:
    """The comparison of two models, and -1 if it stands the other way round; None if they were not compared."""
    for row in metrics.get("comparisons", ()):
        if row["measure"] == statistic and {row["first"], row["second"]} == {model, other}:
            return row, 1 if row["first"] == model else -1
    return None, 1


def _by_seed(variant: str, other: str, statistic: str) -> list[float]:
    """Differences of two variants of the ablation, seed by seed."""
    runs, _ = ablation_record.read()
    mine, theirs = (runs[runs["variant"] == name].set_index("seed")[statistic] for name in (variant, other))
    return list((mine - theirs).dropna())
