"""Answers to prompts, scored: against the target, against the parent, against the other prompt of a pair."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.bench.measure.labelled_slice import LabelledSlice
from semantiseg.conventions import Mask, groups_of, rows_of
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics


def twin_programs(prompts: pd.DataFrame) -> dict[str, str]:
    """For each prompt of a counterfactual pair the other prompt's program.

    Raises:
        DataError: a pair does not consist of two prompts about one slice.
    """
    paired = prompts[prompts["suite"] == "counterfactual"]
    twins: dict[str, str] = {}
    for group, members in groups_of(paired, "group"):
        if len(members) != 2 or len(members[["volume_id", "slice"]].drop_duplicates()) != 1:
            raise DataError(
                f"prompts, counterfactual pair {group!r}: expected 2 prompts on one slice, got {len(members)}. Run "
                "'verify' again."
            )
        (first, second), programs = members["prompt_id"], list(members["program"])
        twins |= {first: programs[1], second: programs[0]}
    return twins


def score_answer(
    answer: Mask, shown: LabelledSlice, prompt: Any, *, twin: str | None, nsd_tolerance_mm: float
) -> dict[str, object]:
    """The record of one answer `[H, W]` (columns of `results.parquet`, docs/architecture.md, without `model`).

    Args:
        shown: the slice that was asked about.
        prompt: its row of the prompts, by attribute.
        twin: the program of the other prompt of its counterfactual pair, if it is in one.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.

    Returns:
        A row of `results.parquet`; what is in mm, and the surface Dice, is NaN where the voxel size is not known.

    Raises:
        DataError: the target that the label map gives is not the one that the prompt was verified with.
    """
    target, parent = shown.mask(prompt.program), shown.mask(prompt.parent)
    pixels, pixel_mm2 = int(target.sum()), shown.spacing_mm**2 if shown.lengths else np.nan
    if pixels != prompt.target_pixels:
        raise DataError(
            f"{prompt.volume_id}, prompt {prompt.prompt_id}: expected a target of {prompt.target_pixels} pixels, got "
            f"{pixels}. "
            "Volumes and prompts belong to different runs: run the stages 'prompts' and 'verify' again."
        )
    score = metrics.score_masks(answer, target, spacing_mm=shown.spacing_mm, nsd_tolerance_mm=nsd_tolerance_mm)
    parent_dice = metrics.dice(answer, parent)
    differs = bool((parent != target).any())
    return {
        "prompt_id": prompt.prompt_id,
        "volume_id": prompt.volume_id,
        "patient_id": prompt.patient_id,
        "slice": prompt.slice,
        **asdict(score if shown.lengths else metrics.unmeasured(score)),
        "target_mm2": float(pixels) * pixel_mm2,
        "predicted_mm2": float(answer.sum()) * pixel_mm2,
        "parent_dice": parent_dice,
        "parent_differs": differs,
        "collapsed": differs and parent_dice > score.dice,
        "twin_dice": np.nan if twin is None else metrics.dice(answer, shown.mask(twin)),
    }


def no_scores() -> pd.DataFrame:
    """`results.parquet` of a test split without prompts: its columns in their types, no row."""
    words, flags = ("prompt_id", "volume_id", "patient_id", "model"), ("parent_differs", "collapsed")
    order = (
        "prompt_id", "volume_id", "patient_id", "slice", "model", *(metric.key for metric in metrics.METRICS),
        "target_mm2", "predicted_mm2", "parent_dice", "parent_differs", "collapsed", "twin_dice",
    )  # fmt: skip
    types = dict.fromkeys(words, "object") | dict.fromkeys(flags, "bool") | {"slice": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=types.get(name, "float64")) for name in order})


def score_slice(
    answers: NDArray[np.bool_], shown: LabelledSlice, prompts: pd.DataFrame, *, nsd_tolerance_mm: float
) -> list[dict[str, object]]:
    """Score the answers `[P, H, W]` to the P prompts of one slice; one record a prompt, in their order.

    Raises:
        DataError: the target that the label map gives is not the one that the prompts were verified with, or half of a
            counterfactual pair is missing.
    """
    twins = twin_programs(prompts)
    return [
        score_answer(answer, shown, prompt, twin=twins.get(prompt.prompt_id), nsd_tolerance_mm=nsd_tolerance_mm)
        for prompt, answer in zip(rows_of(prompts), answers, strict=True)
    ]
