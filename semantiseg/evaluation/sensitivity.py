"""What a model's scores say about its sensitivity to language.

Every function takes the answers of one model: the rows of `prompts.parquet` joined with those of `results.parquet`,
restricted to the suite it speaks of by `suite_of`, and returns an `Estimate` (None where no prompt asks, never NaN).
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.conventions import LEVELS
from semantiseg.errors import DataError
from semantiseg.evaluation.bootstrap import Estimate, Mean, PatientBootstrap, estimate, identity

HEADLINE = "unseen"
"""Phrasing of the headline numbers: templates and synonyms both held out."""


def join(prompts: pd.DataFrame, results: pd.DataFrame, *, origin: str) -> pd.DataFrame:
    """Prompts of the test split beside their scores, in order of `prompt_id`.

    Args:
        origin: name of the results in the message.

    Raises:
        DataError: an answer is missing, given twice, or belongs to no prompt of the test split. A mean over what
            happens to be there would hide it.
    """
    test = prompts[prompts["split"] == "test"]
    twice = results["prompt_id"][results["prompt_id"].duplicated()]
    missing = sorted(set(test["prompt_id"]) - set(results["prompt_id"]))
    unknown = sorted(set(results["prompt_id"]) - set(test["prompt_id"]))
    if len(twice) or missing or unknown:
        raise DataError(
            f"{origin}: expected one answer for each of {len(test)} test prompts, got "
            f"{len(missing)} missing {missing[:3]}, {len(unknown)} unknown {unknown[:3]}, "
            f"{len(twice)} repeated {sorted(twice)[:3]}. Run the stage 'evaluate' again."
        )
    repeated = [name for name in results.columns if name in test.columns and name != "prompt_id"]
    joined = test.merge(results.drop(columns=repeated), on="prompt_id", validate="one_to_one")
    return joined.sort_values("prompt_id", ignore_index=True)


def suite_of(answers: pd.DataFrame, suite: str, *, phrasing: str | None = None) -> pd.DataFrame:
    """Answers to one suite, and within it to one phrasing."""
    chosen = answers[answers["suite"] == suite]
    return chosen if phrasing is None else chosen[chosen["phrasing"] == phrasing]


def prompt_sensitivity(first: NDArray[np.float64], third: NDArray[np.float64]) -> NDArray[np.float64]:
    """Prompt Sensitivity Score (L1 - L3) / L1 of mean Dice at two levels, elementwise; undefined (NaN) where L1 is
    0."""
    score = np.full(np.shape(first), np.nan)
    return np.divide(first - third, first, out=score, where=first > 0)


def plain_difference(first: NDArray[np.float64], third: NDArray[np.float64]) -> NDArray[np.float64]:
    """L1 - L3 in points of Dice, elementwise."""
    return first - third


def level_means(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[int, Mean]:
    """Mean Dice at each level."""
    by_level = {level: answers[answers["level"] == level] for level in LEVELS}
    return {level: draws.mean(rows["dice"], rows["patient_id"]) for level, rows in by_level.items()}


def by_level(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Estimate]:
    """Mean Dice at levels 1, 2 and 3 with PSS and the plain difference: a sensitivity is never given without its
    Dice."""
    means = level_means(answers, draws)
    estimates = {f"l{level}": estimate(identity, mean) for level, mean in means.items()}
    estimates["pss"] = estimate(prompt_sensitivity, means[1], means[3])
    estimates["difference"] = estimate(plain_difference, means[1], means[3])
    return estimates


def matched(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Estimate]:
    """`by_level` over matched triples: the same mask asked for at levels 1, 2 and 3, so that a drop is due to language
    alone.

    Raises:
        DataError: a triple lacks a level or has one twice.
    """
    sizes = answers.groupby("group")["level"].agg(["size", "nunique"]) if len(answers) else pd.DataFrame()
    if len(answers) and not ((sizes["size"] == len(LEVELS)) & (sizes["nunique"] == len(LEVELS))).all():
        raise DataError(
            "prompts, suite triple: expected one prompt a level in every group. Run the stage 'verify' again."
        )
    return by_level(answers, draws)


def collapse_rate(answers: pd.DataFrame, draws: PatientBootstrap) -> Estimate:
    """Share of level-3 answers that lie closer (by Dice) to the parent structure than to the target, among those whose
    parent differs."""
    asked = answers[(answers["level"] == 3) & answers["parent_differs"]]
    return estimate(identity, draws.mean(asked["collapsed"], asked["patient_id"]))


def paraphrase(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Estimate]:
    """Over groups of sentences with one meaning: mean Dice, mean of the worst Dice of a group, mean spread (best -
    worst)."""
    groups = answers.groupby("group").agg(
        patient_id=("patient_id", "first"), mean=("dice", "mean"), worst=("dice", "min"), best=("dice", "max")
    )
    groups["spread"] = groups["best"] - groups["worst"]
    return {
        name: estimate(identity, draws.mean(groups[name], groups["patient_id"])) for name in ("mean", "worst", "spread")
    }


def counterfactual(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Estimate]:
    """Over pairs in which one word changes the meaning: mean Dice, and the share of pairs in which both answers lie
    closer (by Dice) to their own target than to the other prompt's.
    """
    own = answers.assign(followed=answers["dice"] > answers["twin_dice"])
    pairs = own.groupby("group").agg(
        patient_id=("patient_id", "first"), mean=("dice", "mean"), response=("followed", "min")
    )
    return {name: estimate(identity, draws.mean(pairs[name], pairs["patient_id"])) for name in ("mean", "response")}


def absent(answers: pd.DataFrame, draws: PatientBootstrap) -> dict[str, Estimate]:
    """Over prompts whose target is absent: share of answers that mark anything, and mean area marked in mm2."""
    area = answers["predicted_mm2"]
    # Where no voxel size is known there is no area; the Dice of an absent target is 1 if nothing is marked.
    marked, known = area.where(area.notna(), answers["dice"] < 1) > 0, answers[area.notna()]
    return {
        "rate": estimate(identity, draws.mean(marked, answers["patient_id"])),
        "area_mm2": estimate(identity, draws.mean(known["predicted_mm2"], known["patient_id"])),
    }
