"""Everything that the tables say about one model, and what the benchmark holds, as plain numbers ready for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import pandas as pd

from semantiseg.conventions import LEVELS
from semantiseg.evaluation import fairness, sensitivity
from semantiseg.evaluation.bootstrap import Estimate, PatientBootstrap, estimate, identity

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
    other = {name: estimate(identity, draws.mean(core[name], core["patient_id"])) for name in ("iou", "nsd", "hd95_mm")}
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
            "fairness": {"level": fairness.by_attribute(core, draws, "level")},
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
