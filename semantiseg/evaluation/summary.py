"""FairMedFM's disparity measures over any attribute of the prompts, for two groups or more (FairMedFM/FairMedFM,
utils/metrics.py, `evaluate_seg`; at two groups the values are theirs).

With D the Dice of single answers in [0, 1] and m_g the mean of D over group g:

| name | value |
|---|---|
| mean | mean of D over all answers (not over groups) |
| min, max | smallest and largest m_g |
| delta | max - min |
| skewness | (1 - min) / (1 - max); undefined where max is 1 |
| std | population standard deviation of the m_g |
| es | equity-scaled Dice, mean / (1 + std); other papers scale by the sum of gaps instead |

Groups without answers have no mean and are left out; `groups` says how many were compared.

Everything that the tables say about one model, and what the benchmark holds, as plain numbers ready for JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.conventions import LEVELS
from semantiseg.errors import DataError
from semantiseg.evaluation import sensitivity
from semantiseg.evaluation.bootstrap import Estimate, PatientBootstrap, estimate, identity
from semantiseg.evaluation.metrics import METRICS

Numbers = NDArray[np.float64]


def _skewness(groups: Numbers) -> Numbers:
    low, high = groups.min(axis=0), groups.max(axis=0)
    return np.divide(1 - low, 1 - high, out=np.full(low.shape, np.nan), where=high < 1)


_OF_GROUPS: dict[str, Callable[[Numbers], Numbers]] = {
    "min": lambda groups: groups.min(axis=0),
    "max": lambda groups: groups.max(axis=0),
    "delta": lambda groups: groups.max(axis=0) - groups.min(axis=0),
    "skewness": _skewness,
    "std": lambda groups: groups.std(axis=0),
}
"""Measures of group means `[k, ...]`, elementwise in all axes but the first."""


def disparity(mean: float, group_means: Numbers) -> dict[str, float]:
    """The measures of the table from the mean of all answers and the means `[k]` of the groups; NaN where undefined.

    Raises:
        DataError: no group, or a mean outside [0, 1].
    """
    groups = np.asarray(group_means, dtype=np.float64)
    if not groups.size or not ((groups >= 0) & (groups <= 1)).all():
        raise DataError(f"fairness: expected means of Dice in [0, 1] of at least one group, got {groups.tolist()}.")
    found = {name: float(measure(groups[:, None])[0]) for name, measure in _OF_GROUPS.items()}
    return {"mean": mean} | found | {"es": mean / (1 + found["std"])}


def by_attribute(answers: pd.DataFrame, draws: PatientBootstrap, attribute: str) -> dict[str, Any]:
    """The measures of the table over one column of `answers`, each an `Estimate`, with `groups`, their number.

    A resample in which a group has no patient does not count.
    """
    groups = [rows for _, rows in answers.groupby(attribute, sort=True)]
    means = [draws.mean(rows["dice"], rows["patient_id"]) for rows in groups]
    whole = draws.mean(answers["dice"], answers["patient_id"])
    if not means:
        nothing = estimate(identity, whole)
        return dict.fromkeys(("mean", *_OF_GROUPS, "es"), nothing) | {"groups": 0}
    found = {name: estimate(_stacked(measure), *means) for name, measure in _OF_GROUPS.items()}
    equity = estimate(lambda mean, *groups: mean / (1 + np.stack(groups).std(axis=0)), whole, *means)
    return {"mean": estimate(identity, whole)} | found | {"es": equity, "groups": len(means)}


def _stacked(measure: Callable[[Numbers], Numbers]) -> Callable[..., Numbers]:
    return lambda *groups: measure(np.stack(groups))


PHRASINGS = ("seen", "unseen_template", "unseen_synonym", "unseen")
_BREAKDOWNS = ("structure", "kind", "modality")


def _median(values: pd.Series) -> float | None:
    return float(values.median()) if len(values) else None


def _plain(value: Any) -> Any:
    """Estimates as dictionaries, all keys as strings."""
    if isinstance(value, Estimate):
        return asdict(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value


def _breakdown(core: pd.DataFrame, draws: PatientBootstrap) -> dict[str, dict[str, Estimate]]:
    return {
        column: {
            str(name): estimate(identity, draws.mean(rows["dice"], rows["patient_id"]))
            for name, rows in core.groupby(column)
        }
        for column in _BREAKDOWNS
    }


def model_summary(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Any]:
    """Numbers of one model.

    Args:
        answers: `sensitivity.join` of the prompts with the model's results.
        draws: the bootstrap shared by all models.

    Returns:
        Nested dictionaries that end in {value, low, high, prompts, patients} (None where no prompt asks). `core` is
        the headline: suite core, phrasing `sensitivity.HEADLINE`.
    """
    core = sensitivity.suite_of(answers, "core", phrasing=sensitivity.HEADLINE)
    phrased = sensitivity.suite_of(answers, "phrasing")
    other = {}
    for metric in METRICS:
        if metric.key != "dice":
            known = core[core[metric.key].notna()]  # no surface is measured where the voxel size is not known
            other[metric.key] = estimate(identity, draws.mean(known[metric.key], known["patient_id"]))
    return _plain(
        {
            "prompts": len(answers),
            "patients": int(answers["patient_id"].nunique()),
            "core": sensitivity.by_level(core, draws) | other,
            "median": {f"l{level}": _median(core.loc[core["level"] == level, "dice"]) for level in LEVELS},
            "collapse_rate": sensitivity.collapse_rate(core, draws),
            "matched": sensitivity.matched(sensitivity.suite_of(answers, "triple"), draws),
            "phrasing": {
                name: sensitivity.by_level(phrased[phrased["phrasing"] == name], draws)
                for name in PHRASINGS
                if name != sensitivity.HEADLINE
            },
            "paraphrase": sensitivity.paraphrase(sensitivity.suite_of(answers, "paraphrase"), draws),
            "counterfactual": sensitivity.counterfactual(sensitivity.suite_of(answers, "counterfactual"), draws),
            "absent": sensitivity.absent(sensitivity.suite_of(answers, "absent"), draws),
            "fairness": {"level": by_attribute(core, draws, "level")},
            "by": _breakdown(core, draws),
        }
    )


def bench_summary(prompts: pd.DataFrame) -> dict[str, Any]:
    """What the benchmark holds, all splits: prompts, core prompts by level, volumes, patients, structures, modalities,
    origins."""
    core = prompts[prompts["suite"] == "core"]
    return {
        "prompts": len(prompts),
        "prompts_by_suite": {
            str(name): int(count) for name, count in prompts["suite"].value_counts().sort_index().items()
        },
        "core_by_level": {str(level): int((core["level"] == level).sum()) for level in LEVELS},
        "volumes": int(core["volume_id"].nunique()),
        "patients": int(core["patient_id"].nunique()),
        "structures": sorted(core["structure"].unique()),
        "modalities": sorted(core["modality"].unique()),
        "origins": sorted(prompts["origin"].unique()),
    }
