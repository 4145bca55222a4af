"""Submissions to the leaderboard: one JSON file each (`results/*.json`), one schema, checked when written and read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from semantiseg import markup
from semantiseg.errors import DataError
from semantiseg.evaluation.metrics import METRICS
from semantiseg.paper.table_text import NONE, number, percent

SCHEMA = 1
_ROUNDING = 2e-5
"""How far a ratio may lie from that of its parts: numbers are written with six digits."""


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


_MEANS = {metric.key: Share if metric.better == "higher" else Number for metric in METRICS if metric.tabled}
"""Fields of a submission: the metrics beside Dice."""


class Submission(_Strict):
    """One model's measured numbers and what they were measured on."""

    schema_version: Literal[1]
    model: Annotated[str, Field(min_length=1, max_length=80)]
    prompting: str = Field(min_length=1, description="text, or what else the model was given, such as an oracle box")
    link: str = Field(description="paper, code or weights; may be empty")
    benchmark: str = Field(pattern=r"^[0-9a-f]{12}$", description="version of the prompts answered")
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
    """All submissions below `folder`, best L3 Dice first.

    Raises:
        DataError: there are none, one is not valid, a model is there twice, or they answer different benchmarks.
    """
    paths = sorted(folder.glob("*.json"))
    found = [read(path) for path in paths]
    names, versions = [item.model for item in found], sorted({item.benchmark for item in found})
    twice = sorted({name for name in names if names.count(name) > 1})
    if not found or twice or len(versions) > 1:
        raise DataError(
            f"{folder}: expected submissions (*.json) of different models to one benchmark version, got {len(found)}, "
            f"repeated {twice}, versions {versions}. Keep one folder a version."
        )
    return sorted(found, key=lambda item: (-(item.core.l3.value or 0.0), item.model))


def markdown(submissions: list[Submission]) -> str:
    """The leaderboard as a Markdown table, in the given order."""
    names = ("Model", "Prompted by", "L1 Dice", "L3 Dice", "PSS", "Matched PSS", "Collapse rate", "Absent", "Missing")
    rows = [
        (
            item.model,
            item.prompting,
            _interval(item.core.l1),
            _interval(item.core.l3),
            _interval(item.core.pss, digits=3),
            number(item.matched.pss.value, digits=3),
            percent(item.collapse_rate.value),
            percent(item.absent_rate.value),
            item.missing,
        )
        for item in submissions
    ]
    return "\n".join(markup.markdown_table(names, rows)) + "\n"


def _interval(found: Number, *, digits: int = 2) -> str:
    if found.value is None:
        return NONE
    value, low, high = (number(bound, digits=digits) for bound in (found.value, found.low, found.high))
    return f"{value} [{low}, {high}]"
