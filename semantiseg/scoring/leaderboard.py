"""Submissions to the leaderboard: one JSON file each, as `score` writes it, one schema, checked when written and read.

Models that may have been trained on what they are asked stand apart from those that were not, and every rank says how
often it holds when patients are drawn anew.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from semantiseg import markup
from semantiseg.errors import DataError
from semantiseg.evaluation.bootstrap import PatientBootstrap
from semantiseg.evaluation.metrics import METRICS
from semantiseg.paper.table_text import NONE, number, percent

SCHEMA = 2
SUBMISSION = "submission.json"
_ROUNDING = 2e-5
"""How far a ratio may lie from that of its parts: numbers are written with six digits."""


Exposure = Literal["zero-shot", "training split", "not declared", "contaminated"]
"""What a model may have seen of the collections it is asked about: none of them; only the benchmark's own training
split, which shares no patient with its test; nobody says; or test patients too."""

EXPOSURES: dict[Exposure, str] = {
    "zero-shot": "trained on none of the benchmark's collections",
    "training split": "trained on the benchmark's own training patients, none of its test",
    "not declared": "training collections not declared; nothing is known",
    "contaminated": "test patients may have been in the training data",
}

TRAINING_SPLIT = ":train"
"""Ending of a declared collection of which only the benchmark's training split was used."""


def exposure(trained_on: Collection[str] | None, collections: Mapping[str, str]) -> Exposure:
    """What a model may have seen of a benchmark.

    Args:
        trained_on: collections, by the benchmark's names; `NAME:train` where only its training split was used. None
            where it is not declared.
        collections: those asked about -> origin. A phantom collection bears the name of a public one but is drawn by
            this project: who trained on the public one has seen none of it.
    """
    if trained_on is None:
        return "not declared"
    declared = set(trained_on)
    if any(name in declared and origin != "phantom" for name, origin in collections.items()):
        return "contaminated"
    split = any(f"{name}{TRAINING_SPLIT}" in declared for name in collections)
    return "training split" if split else "zero-shot"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Number(_Strict):
    """A statistic with its 95% interval over patients; all None where no prompt asks."""

    value: float | None
    low: float | None
    high: float | None
    prompts: int = Field(ge=0)
    patients: int = Field(ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Number:
        bounds = (self.value, self.low, self.high)
        if any(bound is None for bound in bounds) != all(bound is None for bound in bounds):
            raise ValueError("value, low and high: expected all or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"expected low <= high, got {self.low} > {self.high}")
        return self


class Share(Number):
    """A statistic in [0, 1]."""

    @model_validator(mode="after")
    def _in_range(self) -> Share:
        if self.value is not None and not 0 <= self.value <= 1:
            raise ValueError(f"expected a value in [0, 1], got {self.value}")
        return self


class Levels(_Strict):
    """Mean Dice by level with the sensitivity that follows from it: neither is given without the other."""

    l1: Share
    l2: Share
    l3: Share
    pss: Number
    difference: Number

    @model_validator(mode="after")
    def _consistent(self) -> Levels:
        first, third = self.l1.value, self.l3.value
        if first and third is not None:
            expected = (first - third) / first
            if self.pss.value is None or abs(self.pss.value - expected) > _ROUNDING * max(1, 1 / first):
                raise ValueError(f"pss: expected (l1 - l3) / l1 = {expected:.6f}, got {self.pss.value}")
        return self


class PatientDice(_Strict):
    """Mean Dice of one patient's core prompts of level 3, and their number."""

    dice: float = Field(ge=0, le=1)
    prompts: int = Field(ge=1)


_MEANS = {metric.key: Share if metric.better == "higher" else Number for metric in METRICS if metric.tabled}
"""Fields of a submission: the metrics beside Dice."""


class Submission(_Strict):
    """One model's measured numbers and what they were measured on."""

    schema_version: Literal[2]
    model: Annotated[str, Field(min_length=1, max_length=80)]
    prompting: str = Field(min_length=1, description="text, or what else the model was given, such as an oracle box")
    link: str = Field(description="paper, code or weights; may be empty")
    trained_on: list[str] | None = Field(description="collections trained on, NAME or NAME:train; null: not declared")
    benchmark: str = Field(pattern=r"^[0-9a-f]{12}$", description="version of the prompts answered")
    tiny: bool = Field(description="only the 100 prompts of the tiny suite were answered")
    collections: dict[str, str] = Field(min_length=1, description="asked about -> origin")
    origins: list[Literal["phantom", "official", "user"]] = Field(min_length=1)
    prompts: int = Field(ge=1)
    patients: int = Field(ge=1)
    missing: int = Field(ge=0, description="prompts without an answer, each counted as the worst possible")
    nsd_tolerance_mm: float = Field(ge=0)
    resamples: int = Field(ge=1)
    seed: int
    results_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of results.parquet")
    core: Levels
    matched: Levels
    seen: Levels
    collapse_rate: Share
    paraphrase_worst: Share
    counterfactual_response: Share
    absent_rate: Share
    __annotations__ |= _MEANS
    level_es: Share
    l3_by_patient: dict[str, PatientDice] = Field(description="what `core.l3` is the mean of, for ranks")

    @property
    def exposure(self) -> Exposure:
        """What the model may have seen; see `exposure`."""
        return exposure(self.trained_on, self.collections)

    @model_validator(mode="after")
    def _patients_give_the_mean(self) -> Submission:
        prompts = sum(patient.prompts for patient in self.l3_by_patient.values())
        total = sum(patient.dice * patient.prompts for patient in self.l3_by_patient.values())
        given = self.core.l3
        if prompts != given.prompts or abs(total - prompts * (given.value or 0.0)) > _ROUNDING * max(1, prompts):
            raise ValueError(f"l3_by_patient: expected {given.prompts} prompts of mean {given.value}, as core.l3")
        return self

    @model_validator(mode="after")
    def _not_more_missing_than_asked(self) -> Submission:
        if self.missing >= self.prompts:
            raise ValueError(f"missing: expected fewer than {self.prompts} prompts, got {self.missing}")
        return self


def _levels(estimates: Mapping[str, Any]) -> dict[str, Any]:
    return {name: estimates[name] for name in Levels.model_fields}


def submitted_numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a submission, from one model's part of `metrics.json`."""
    return {
        "core": _levels(summary["core"]),
        "matched": _levels(summary["matched"]),
        "seen": _levels(summary["phrasing"]["seen"]),
        "collapse_rate": summary["collapse_rate"],
        "paraphrase_worst": summary["paraphrase"]["worst"],
        "counterfactual_response": summary["counterfactual"]["response"],
        "absent_rate": summary["absent"]["rate"],
        **{metric.key: summary["core"][metric.key] for metric in METRICS if metric.tabled},
        "level_es": summary["fairness"]["level"]["es"],
    }


def read(path: Path) -> Submission:
    """One submission.

    Raises:
        DataError: the file does not follow the schema; the message names the field.
    """
    try:
        return Submission.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise DataError(
            f"{path}: expected a submission of schema {SCHEMA}, got at {place}: {first['msg']}. Write it with "
            "'semantiseg score'."
        ) from None


def read_all(folder: Path) -> list[Submission]:
    """All submissions of `folder`, best L3 Dice first: of folders that `score` wrote in it, and files of any name.

    Raises:
        DataError: there are none, one is not valid, a model is there twice, or they answer different benchmarks.
    """
    written = sorted(folder.glob(f"*/{SUBMISSION}"))
    single = folder / SUBMISSION
    paths = [single] if single.is_file() else [*written, *sorted(folder.glob("*.json"))]
    found = [read(path) for path in paths]
    names, versions = [item.model for item in found], sorted({item.benchmark for item in found})
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found or twice or len(versions) > 1:
        raise DataError(
            f"{folder}: expected submissions of different models to one benchmark version, got {len(found)}, repeated "
            f"{twice}, versions {versions}. Name the folder in which `semantiseg score` keeps its own (scores), or one "
            f"of {SUBMISSION} files; keep one folder a version."
        )
    return sorted(found, key=lambda item: (-(item.core.l3.value or 0.0), item.model))


_RESAMPLES = 2000


@dataclass(frozen=True)
class Standing:
    """Where a submission stands among others, and how firmly.

    Attributes:
        rank: 1 is the best by Dice at level 3.
        low, high: ranks between which it lies in 95% of the resamples of patients.
        ahead: share of the resamples in which it is ahead of the next; None for the last.
    """

    rank: int
    low: int
    high: int
    ahead: float | None


def standings(submissions: Sequence[Submission], *, resamples: int = _RESAMPLES, seed: int = 0) -> list[Standing]:
    """Ranks of submissions in the given order, by patients drawn anew: the same draws for all, so they are paired."""
    patients = [name for item in submissions for name in item.l3_by_patient]
    draws = PatientBootstrap(patients, resamples=resamples, seed=seed)
    resampled = np.stack([_resampled(item, draws) for item in submissions])  # [models, R]
    resampled = np.nan_to_num(resampled, nan=-1.0)
    # 1 for the best; models with the same mean share the better rank.
    ranks = 1 + (resampled[None] > resampled[:, None]).sum(axis=1)
    found = []
    for place, own in enumerate(ranks):
        low, high = np.percentile(own, (2.5, 97.5), method="nearest")
        last = place + 1 == len(ranks)
        ahead = None if last else float((resampled[place] > resampled[place + 1]).mean())
        found.append(Standing(place + 1, int(low), int(high), ahead))
    return found


def _resampled(item: Submission, draws: PatientBootstrap) -> np.ndarray:
    counts = [patient.prompts for patient in item.l3_by_patient.values()]
    dice = np.repeat([patient.dice for patient in item.l3_by_patient.values()], counts)
    return draws.mean(dice, np.repeat(list(item.l3_by_patient), counts)).resampled


def markdown(submissions: list[Submission]) -> str:
    """The leaderboard in Markdown, in the given order: a table for each `Exposure`, ranks within it."""
    parts = []
    for kind, words in EXPOSURES.items():
        rows = [item for item in submissions if item.exposure == kind]
        if rows:
            parts.append(f"### {kind.capitalize()}: {words}\n\n{_table(rows)}\n")
    return "\n".join(parts)


def _table(submissions: list[Submission]) -> str:
    names = ("Rank", "Model", "Prompted by", "L1 Dice", "L3 Dice", "PSS", "Matched PSS", "Collapse rate", "Absent",
             "Missing", "Ahead of the next")  # fmt: skip
    rows = [
        (
            f"{stands.rank} [{stands.low}, {stands.high}]",
            item.model,
            item.prompting,
            _interval(item.core.l1),
            _interval(item.core.l3),
            _interval(item.core.pss, digits=3),
            number(item.matched.pss.value, digits=3),
            percent(item.collapse_rate.value),
            percent(item.absent_rate.value),
            item.missing,
            NONE if stands.ahead is None else f"{stands.ahead:.0%} of resamples",
        )
        for item, stands in zip(submissions, standings(submissions), strict=True)
    ]
    return "\n".join(markup.markdown_table(names, rows))


def _interval(found: Number, *, digits: int = 2) -> str:
    if found.value is None:
        return NONE
    value, low, high = (number(bound, digits=digits) for bound in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"
