"""Do two models differ, beyond what other patients would have shown?

The patient is the unit. Under the null hypothesis a patient's answers could as well carry the other model's name: names
are exchanged patient by patient (all ways if there are few enough, else at random), and p is the share of exchanges
that part the models at least as far. All comparisons of one call are one family, corrected by Holm's step-down method
(Holm 1979). The effect size of a mean is Cohen's d_z: mean over standard deviation of the patients' differences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations, product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from semantiseg.errors import DataError, ParameterError
from semantiseg.evaluation.bootstrap import Mean, PatientBootstrap, estimate, identity
from semantiseg.evaluation.sensitivity import HEADLINE, join, prompt_sensitivity, suite_of

Numbers = NDArray[np.float64]

WAYS = 20_000
"""Exchanges of names at most: with fewer, the smallest possible p would not survive correction for a hundred
comparisons."""


@dataclass(frozen=True)
class PartialMean:
    """A mean over some answers: column `value` where suite and level fit (core: in the headline's phrasing)."""

    suite: str
    level: int
    value: str = "dice"

    def rows(self, answers: pd.DataFrame) -> pd.DataFrame:
        """The answers it is the mean of."""
        chosen = suite_of(answers, self.suite, phrasing=HEADLINE if self.suite == "core" else None)
        chosen = chosen[chosen["level"] == self.level]
        return chosen[chosen["parent_differs"]] if self.value == "collapsed" else chosen


@dataclass(frozen=True)
class Measure:
    """A statistic of means, elementwise."""

    statistic: Callable[..., Numbers]
    parts: tuple[PartialMean, ...]


MEASURES = {
    "l1": Measure(identity, (PartialMean("core", 1),)),
    "l2": Measure(identity, (PartialMean("core", 2),)),
    "l3": Measure(identity, (PartialMean("core", 3),)),
    "pss": Measure(prompt_sensitivity, (PartialMean("core", 1), PartialMean("core", 3))),
    "matched_l1": Measure(identity, (PartialMean("triple", 1),)),
    "matched_l3": Measure(identity, (PartialMean("triple", 3),)),
    "matched_pss": Measure(prompt_sensitivity, (PartialMean("triple", 1), PartialMean("triple", 3))),
    "collapse_rate": Measure(identity, (PartialMean("core", 3, "collapsed"),)),
}


def compare(
    results: Mapping[str, pd.DataFrame], prompts: pd.DataFrame, *, resamples: int, seed: int, ways: int = WAYS
) -> pd.DataFrame:
    """Every pair of models on every measure.

    Args:
        results: model -> its records (`results.parquet`).
        prompts: `prompts.parquet`.
        resamples: of the bootstrap.
        seed: of the bootstrap and the exchanges.
        ways: exchanges of names at most.

    Returns:
        One row a pair and measure: `first`, `second`, `measure`, `first_value`, `second_value`, `difference` (first -
        second) with `low` and `high` (95%, bootstrap over patients), `p`, `p_holm`, `effect` (NaN where it is
        undefined), `patients`, `prompts`. Measures for which no prompt asks are left out.

    Raises:
        DataError: fewer than two models, an answer is missing, or no measure has prompts.
        ParameterError: no resamples or exchanges.
    """
    if len(results) < 2:
        raise DataError(f"comparison: expected two models or more, got {sorted(results)}. Give the results of another.")
    answers = {model: join(prompts, rows, origin=f"results of {model}") for model, rows in results.items()}
    patients = sorted(set(prompts.loc[prompts["split"] == "test", "patient_id"]))
    draws = PatientBootstrap(patients, resamples=resamples, seed=seed)
    exchanged = exchanges(len(patients), ways=ways, seed=seed)
    rows = []
    for (first, second), (name, measure) in product(combinations(answers, 2), MEASURES.items()):
        parts = [[part.rows(answers[model]) for part in measure.parts] for model in (first, second)]
        if all(len(part) for part in parts[0]):
            names = {"first": first, "second": second, "measure": name}
            rows.append(names | _compare(measure, *parts, draws=draws, exchanged=exchanged))
    if not rows:
        raise DataError("comparison: expected prompts of the suites core or triple, got none. Run 'prompts' again.")
    table = pd.DataFrame(rows)
    table.insert(list(table.columns).index("p") + 1, "p_holm", holm(table["p"]))
    return table


def _compare(
    measure: Measure,
    first: list[pd.DataFrame],
    second: list[pd.DataFrame],
    *,
    draws: PatientBootstrap,
    exchanged: NDArray[np.bool_],
) -> dict[str, object]:
    values = [part.value for part in measure.parts]
    means = [
        [draws.mean(rows[value], rows["patient_id"]) for rows, value in zip(model, values, strict=True)]
        for model in (first, second)
    ]
    count = len(measure.parts)
    difference = estimate(
        lambda *both: measure.statistic(*both[:count]) - measure.statistic(*both[count:]), *means[0], *means[1]
    )
    sums = [[_sums(rows, value, draws) for rows, value in zip(model, values, strict=True)] for model in (first, second)]
    sizes = [np.bincount(draws.index(rows["patient_id"]), minlength=len(draws.patients)) for rows in first]
    single = len(values) == 1
    return {
        "first_value": _value(measure, means[0]),
        "second_value": _value(measure, means[1]),
        "difference": np.nan if difference.value is None else difference.value,
        "low": difference.low,
        "high": difference.high,
        "p": _p_value(measure, sums, sizes, exchanged),
        "effect": effect_size((sums[0][0] - sums[1][0])[sizes[0] > 0] / sizes[0][sizes[0] > 0]) if single else np.nan,
        "patients": difference.patients,
        "prompts": sum(len(rows) for rows in first),
    }


def _value(measure: Measure, means: list[Mean]) -> float:
    return float(measure.statistic(*(np.array([mean.value]) for mean in means))[0])


def _sums(rows: pd.DataFrame, value: str, draws: PatientBootstrap) -> Numbers:
    """Sum of a column by patient, `[patients]`."""
    weights = rows[value].to_numpy(dtype=np.float64)
    return np.bincount(draws.index(rows["patient_id"]), weights=weights, minlength=len(draws.patients)).astype(float)


def exchanges(patients: int, *, ways: int, seed: int) -> NDArray[np.bool_]:
    """Whose names are exchanged, `[R, patients]`; none in the first row. All ways where there are no more than
    `ways`, else as many random ones beside the first.

    Raises:
        ParameterError: fewer than one.
    """
    if ways < 1:
        raise ParameterError(f"ways: expected at least 1 exchange, got {ways}. Give more.")
    if 2**patients <= ways:
        return (np.arange(2**patients)[:, None] >> np.arange(patients)) % 2 == 1
    drawn = np.random.default_rng([seed, patients]).integers(0, 2, size=(ways + 1, patients)).astype(bool)
    drawn[0] = False
    return drawn


def _p_value(
    measure: Measure, sums: list[list[Numbers]], sizes: list[NDArray[np.int64]], exchanged: NDArray[np.bool_]
) -> float:
    """Two-sided; the observed naming counts among the exchanges, so that p is never 0."""
    first, second = [], []
    for mine, others, size in zip(*sums, sizes, strict=True):
        moved = exchanged @ (others - mine)
        first.append((mine.sum() + moved) / size.sum())
        second.append((others.sum() - moved) / size.sum())
    apart = np.abs(measure.statistic(*first) - measure.statistic(*second))
    if not np.isfinite(apart[0]):
        return 1.0
    # Equal distances differ in their last digits, by the order of their sums.
    return float(np.mean(apart[np.isfinite(apart)] >= apart[0] - 1e-12))


def effect_size(differences: Numbers) -> float:
    """Cohen's d_z of the patients' mean differences `[patients]`: mean / standard deviation (ddof 1); NaN where it is
    undefined."""
    if len(differences) < 2 or (spread := float(differences.std(ddof=1))) < 1e-12:
        return float("nan")
    return float(differences.mean()) / spread


def holm(p_values: ArrayLike) -> Numbers:
    """Holm's adjusted p-values, in the given order: the family-wise error stays below the level without independence.

    Adjusted p of the i-th smallest of m is the largest of (m - j + 1) p_(j) over j <= i, at most 1.
    """
    given = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(given, kind="stable")
    stepped = np.maximum.accumulate(given[order] * np.arange(len(given), 0, -1))
    adjusted = np.empty_like(given)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
