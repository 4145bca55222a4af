"""Intervals by a bootstrap over patients: prompts of one patient are drawn together, since they share anatomy and
picture.

A statistic is a mean over prompts, or built from such means. A resample draws as many patients as there are, with
replacement; a prompt then counts as often as its patient was drawn. One set of draws serves every model and statistic,
so that differences between models are paired. Patients are drawn, their prompts are all kept: of the two ways to draw
from hierarchical data this one comes closer to the variance of a mean (Davison & Hinkley 1997, section 3.8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from semantiseg.errors import DataError, ParameterError

_PERCENTILES = (2.5, 97.5)


@dataclass(frozen=True)
class Estimate:
    """A statistic with its 95% interval; every number is None where no prompt asks for it, or where it is undefined."""

    value: float | None
    low: float | None
    high: float | None
    prompts: int
    patients: int


@dataclass(frozen=True)
class Mean:
    """A mean over prompts: its value, its value in each resample `[R]` (NaN where none of its patients was drawn), its
    size."""

    value: float
    resampled: NDArray[np.float64]
    prompts: int
    patients: int


class PatientBootstrap:
    """The draws: `R` resamples of the given patients, equal for equal patients, resamples and seed."""

    def __init__(self, patients: Sequence[str], *, resamples: int, seed: int) -> None:
        if resamples < 1:
            raise ParameterError(
                f"resamples: expected at least 1, got {resamples}. Set table1.resamples in params.yaml."
            )
        self.patients = np.array(sorted(set(patients)), dtype=object)
        self._index = pd.Index(self.patients)
        count = len(self.patients)
        rng = np.random.default_rng(seed)
        # [R, patients]: how often each patient was drawn; as numbers that BLAS multiplies.
        self._times = (
            rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
            if count
            else np.zeros((resamples, 0))
        )

    def index(self, patients: ArrayLike) -> NDArray[np.intp]:
        """Places of `patients` `[N]` in `self.patients`.

        Raises:
            DataError: a patient is not among those drawn from.
        """
        found = self._index.get_indexer(np.asarray(patients, dtype=object))
        if (found < 0).any():
            raise DataError(
                f"bootstrap: expected values of {len(self.patients)} known patients, got {int((found < 0).sum())} of "
                "others. Draw from all patients of the split."
            )
        return found

    def mean(self, values: ArrayLike, patients: ArrayLike) -> Mean:
        """Mean of `values` `[N]` (one a prompt, or one a group of prompts) that belong to `patients` `[N]`.

        Raises:
            DataError: a patient is not among those drawn from.
        """
        numbers = np.asarray(values, dtype=np.float64)
        index = self.index(patients)
        sums = np.bincount(index, weights=numbers, minlength=len(self.patients))
        counts = np.bincount(index, minlength=len(self.patients))
        drawn = self._times @ counts
        resampled = np.full(len(self._times), np.nan)
        np.divide(self._times @ sums, drawn, out=resampled, where=drawn > 0)
        value = float(numbers.mean()) if numbers.size else float("nan")
        return Mean(value, resampled, int(numbers.size), int(np.count_nonzero(counts)))


def estimate(statistic: Callable[..., NDArray[np.float64]], *means: Mean) -> Estimate:
    """A statistic of means with its 95% percentile interval.

    Args:
        statistic: elementwise function of as many arrays as there are `means`; NaN where it is undefined.
        means: what it is computed from.

    Returns:
        The estimate; `prompts` is the sum, `patients` the smallest number among the means. Resamples in which the
        statistic is undefined do not count.
    """
    value = float(statistic(*(np.array([mean.value]) for mean in means))[0])
    resampled = statistic(*(mean.resampled for mean in means))
    defined = resampled[np.isfinite(resampled)]
    prompts, patients = sum(mean.prompts for mean in means), min(mean.patients for mean in means)
    if not np.isfinite(value) or not defined.size:
        return Estimate(None, None, None, prompts, patients)
    low, high = np.percentile(defined, _PERCENTILES)
    return Estimate(value, float(low), float(high), prompts, patients)


def identity(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """The statistic that is the mean itself."""
    return mean
