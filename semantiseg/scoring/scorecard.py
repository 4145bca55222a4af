"""Anybody's predictions in, the project's tables out: per-prompt scores, summary, a row of Table 1, a submission; see
docs/score_your_model.md."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from semantiseg import files
from semantiseg.errors import ParameterError, SemantiSegError
from semantiseg.evaluation.sensitivity import HEADLINE, join, suite_of
from semantiseg.extras import extras_named, lacking
from semantiseg.files import check_folder, mark
from semantiseg.paper import breakdown, style, table1
from semantiseg.paper.table_text import latex, markdown
from semantiseg.scoring import leaderboard
from semantiseg.scoring.benchmark import Benchmark
from semantiseg.scoring.predictions import Order
from semantiseg.scoring.score import Missing, score_predictions

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLUMNS_FIRST = ("prompt_id", "volume_id", "patient_id", "slice", "model")


@dataclass(frozen=True)
class Entrant:
    """Who made the predictions.

    Attributes:
        model: the model's name, in every table.
        prompting: "text", or what else the model was given with it.
        link: paper, code or weights.
        trained_on: collections that the model was trained on, by the benchmark's names, `NAME:train` where only its
            training split was used; an empty tuple for none. None where it is not declared.
    """

    model: str
    prompting: str = "text"
    link: str = ""
    trained_on: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Scorecard:
    """What was measured.

    Attributes:
        results: one row a test prompt (columns of `results.parquet`, docs/architecture.md).
        metrics: the content of `summary.json`.
        table: Table 1 with this model's row, then the paper's.
        missing: prompts without an answer, each counted as the worst possible.
        patients: `paper.breakdown.by_patient` of this model.
        l3_by_patient: patient -> mean Dice of the core prompts of level 3, and their number.
    """

    entry: Entrant
    results: pd.DataFrame
    metrics: dict[str, Any]
    table: pd.DataFrame
    missing: list[str]
    patients: pd.DataFrame
    l3_by_patient: dict[str, dict[str, float | int]]

    @extras_named()
    def plot(self) -> Figure:
        """Dice against level with its interval and every patient; a notebook shows it.

        Raises:
            ExtraError: the extra `paper`, which draws, is not installed.
        """
        return breakdown.draw(self.metrics, self.patients)


def score(
    predictions: str | Path,
    bench: str | Path | Benchmark,
    *,
    out: str | Path | None = None,
    entry: Entrant | None = None,
    nsd_tolerance_mm: float = 2.0,
    resamples: int = 20000,
    seed: int = 0,
    missing: Missing = "refuse",
    resume: bool = False,
    workers: int = 1,
    order: Order = "row",
    as_is: bool = False,
) -> Scorecard:
    """Score masks named by prompt id: a folder of PNG or NIfTI files, or a Parquet table of run lengths.

    Args:
        predictions: the folder or file.
        bench: a benchmark, or the folder of one: a release that images were attached to, or the project's `data`.
        out: folder to write; it appears when all is done, and not at all if anything is wrong. None writes nothing.
        entry: who made the predictions; by default a model named as the folder or file is.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        resamples, seed: of the bootstrap over patients.
        missing: "refuse" to go on without all answers, or count each missing one as the "worst" possible.
        resume: go on where an earlier run with this `out` was stopped, and keep what is scored if this one fails.
        workers: processes.
        order: of run lengths: "row", or "column" (COCO, MATLAB).
        as_is: score masks that look turned, flipped or inverted, too.

    Raises:
        OutputError: `out` is or holds what is read, or a folder of something else.
        DataError: something is wrong with the predictions; the message names the file or prompt and the remedy.
        ParameterError: a setting is out of range.
    """
    entry = entry or Entrant(Path(predictions).name.split(".")[0])
    if not 1 <= len(entry.model) <= 80 or not entry.prompting:
        raise ParameterError(f"entry: expected a name of 1 to 80 letters and what the model was given, got {entry}.")
    _check(nsd_tolerance_mm=nsd_tolerance_mm, resamples=resamples, workers=workers, resume=resume, out=out)
    predictions, place = Path(predictions), None if out is None else Path(out)
    benchmark = bench if isinstance(bench, Benchmark) else None
    folder = bench.folder if isinstance(bench, Benchmark) else Path(bench)
    if place is not None:
        check_folder(place, verb="score", inputs=[predictions, folder])
    benchmark = benchmark or Benchmark(folder)
    with tempfile.TemporaryDirectory(prefix="semantiseg-score-") as scratch:
        progress = Path(scratch) if place is None else place.with_name(f".{place.name}.partial")
        try:
            rows, absent = score_predictions(
                predictions, benchmark, progress=progress, nsd_tolerance_mm=nsd_tolerance_mm, missing=missing,
                resume=resume, workers=workers, order=order, as_is=as_is,
            )  # fmt: skip
        except SemantiSegError:
            if not resume:
                files.remove(progress)
            raise
        card = _card(entry, rows, absent, benchmark, tolerance_mm=nsd_tolerance_mm, resamples=resamples, seed=seed)
        if place is not None:
            _write(card, place, progress)
    return card


def _check(*, nsd_tolerance_mm: float, resamples: int, workers: int, resume: bool, out: object) -> None:
    for name, value, least in (("nsd_tolerance_mm", nsd_tolerance_mm, 0), ("resamples", resamples, 1)):
        if not least <= value < float("inf"):
            raise ParameterError(f"{name}: expected at least {least}, got {value}. Give another.")
    if workers < 1:
        raise ParameterError(f"workers: expected at least 1, got {workers}. Give the number of cores to use.")
    if resume and out is None:
        raise ParameterError("resume: expected an output folder to resume, got none. Give out.")


def _card(
    entry: Entrant, rows: pd.DataFrame, absent: list[str], benchmark: Benchmark, *, tolerance_mm: float, resamples: int,
    seed: int,
) -> Scorecard:  # fmt: skip
    results = rows.assign(model=entry.model)
    results = results[[*_COLUMNS_FIRST, *(name for name in results.columns if name not in _COLUMNS_FIRST)]]
    metrics = table1.summarise(
        benchmark.prompts, {entry.model: results}, resamples=resamples, seed=seed, profile="score"
    )
    metrics |= {
        "benchmark": benchmark.version,
        "tiny": benchmark.tiny,
        "collections": benchmark.collections,
        "exposure": leaderboard.exposure(entry.trained_on, benchmark.collections),
        "nsd_tolerance_mm": tolerance_mm,
        "missing": absent,
        "missing_count_as": "the worst answer possible",
    }
    metrics = table1.rounded(metrics)
    answers = join(benchmark.prompts, results, origin=entry.model)
    patients = breakdown.by_patient({entry.model: answers})
    core = suite_of(answers, "core", phrasing=HEADLINE)
    hardest = core[core["level"] == 3].groupby("patient_id")["dice"].agg(dice="mean", prompts="size")
    by_patient = {
        str(patient): {"dice": float(dice), "prompts": int(prompts)}
        for patient, dice, prompts in zip(hardest.index, hardest["dice"], hardest["prompts"], strict=True)
    }
    return Scorecard(entry, results, metrics, _table(metrics, entry), absent, patients, by_patient)


def _table(metrics: Mapping[str, Any], entry: Entrant) -> pd.DataFrame:
    table = table1.table(metrics)
    mine = table["model"] == entry.model
    mine &= ~mine.cumsum().gt(1)  # the paper's rows may bear the same name
    origin = f"scored here on {style.origin_name(metrics['bench']['origins'])}, {metrics['exposure']}"
    table.loc[mine, ["label", "origin", "prompting"]] = (entry.model, origin, entry.prompting)
    return table


def _write(card: Scorecard, place: Path, progress: Path) -> None:
    """All files below a folder beside `place`, then that folder to its name; progress is not needed any more."""
    staged = progress / "finished"
    files.remove(staged)
    staged.mkdir(parents=True)
    words = table1.caption(card.metrics)
    card.results.to_parquet(staged / "results.parquet", index=False)
    card.results.to_csv(staged / "results.csv", index=False, lineterminator="\n")
    files.write(staged / "summary.json", json.dumps(card.metrics, indent=1, sort_keys=True, allow_nan=False) + "\n")
    card.table.to_csv(staged / "table1.csv", index=False, lineterminator="\n")
    files.write(staged / "table1.md", markdown(card.table, words))
    files.write(staged / "table1.tex", latex(card.table, words))
    if lacking("paper") is None:
        style.save(card.plot(), staged / "levels")
    mark(staged, verb="score")
    submission = _submission(card, str(files.fingerprint(staged / "results.parquet")))
    files.write(staged / leaderboard.SUBMISSION, submission.model_dump_json(indent=1) + "\n")
    files.replace(staged, place)
    files.remove(progress)


def _submission(card: Scorecard, fingerprint: str) -> leaderboard.Submission:
    metrics, summary = card.metrics, card.metrics["models"][card.entry.model]
    return leaderboard.Submission.model_validate(
        {
            "schema_version": leaderboard.SCHEMA,
            "model": card.entry.model,
            "prompting": card.entry.prompting,
            "link": card.entry.link,
            "trained_on": None if card.entry.trained_on is None else sorted(card.entry.trained_on),
            "benchmark": metrics["benchmark"],
            "tiny": metrics["tiny"],
            "collections": metrics["collections"],
            "origins": metrics["bench"]["origins"],
            "prompts": summary["prompts"],
            "patients": summary["patients"],
            "missing": len(card.missing),
            "nsd_tolerance_mm": metrics["nsd_tolerance_mm"],
            "resamples": metrics["resamples"],
            "seed": metrics["seed"],
            "results_sha256": fingerprint,
            "l3_by_patient": card.l3_by_patient,
        }
        | leaderboard.submitted_numbers(summary)
    )
