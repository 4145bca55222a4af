"""Records of runs on real collections: what was found on which patients, and all that it was made with.

A run is a workspace of profile `own`. Several runs of one collection make one record: the folds of a cross-validation,
in which every patient is tested once, and seeds. Their answers are put together before anything is averaged, so an
interval is over patients, each with all the answers about that patient.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import document, files
from semantiseg.conventions import SPLITS, groups_of, records_of
from semantiseg.errors import DataError
from semantiseg.evaluation.comparison import compare
from semantiseg.evaluation.metrics import MARKED
from semantiseg.files import read_table
from semantiseg.paper import composition
from semantiseg.recipes import GATED, NETWORK, SEMANTISEG

STAGE_LOG = Path("logs/stages.jsonl")
"""What every stage writes of itself (`pipeline.stage`), also where a run was cut off and gone on with."""

RECORDS = Path(__file__).with_name("patients_records")
PLAIN, COMPOSED = "plain", "strict"
PICTURES = ("png", "pdf", "svg")
LEVELS_SHOWN = (1, 3)
_OF_A_RUN = (("seed",), ("prepare", "fold"))
"""Parameters in which the runs of one record may differ."""


@dataclass(frozen=True)
class Record:
    """What the runs on one real collection found, and what they were made with."""

    name: str
    """Name of the collection's folder."""
    source: str
    """Who published the images, as they ask to be named."""
    licence: str
    command: str
    """Repeats a run for whoever has the images."""
    patients: dict[str, int]
    """Split -> patients: all that were tested; of the others, those of the smallest run."""
    sentences: dict[str, dict[str, int]]
    """Suite -> level -> distinct sentences asked about test patients."""
    reads: int
    """How often results on test patients of this collection were recorded, this time included."""
    seeds: list[int]
    folds: int
    """Of the cross-validation; 0: one split by shares."""
    tested_folds: list[int]
    """Those that were run, counted from 0."""
    code: str
    """Commit of the sources."""
    machine: str
    minutes: float
    """Of a processor, all stages of all runs together."""
    parameters: dict[str, Any]
    """Of every run, but for seed and fold."""
    inputs: dict[str, str]
    """File below the collection's folder -> SHA-256."""
    rows: list[dict[str, Any]]
    """Rows of `composition.csv`, over all runs."""
    nouns: list[dict[str, Any]]
    """Level 1 Dice by `model` and `program`, with the number of `prompts`; sentences as they stand."""
    versus: list[dict[str, Any]]
    """Rows of `evaluation.comparison.compare`: SemantiSeg and a model without gate, both composed; none without one."""


@dataclass(frozen=True)
class _Run:
    place: Path
    parameters: dict[str, Any]
    questions: pd.DataFrame
    answers: pd.DataFrame
    reading: pd.DataFrame
    splits: dict[str, set[str]]
    """Split -> patients."""
    inputs: dict[str, str]
    stages: dict[str, dict[str, Any]]
    """Stage -> what it wrote of itself when it ran last."""

    @property
    def fold(self) -> int:
        return int(self.parameters["prepare"]["fold"])

    @property
    def seed(self) -> int:
        return int(self.parameters["seed"])

    @property
    def common(self) -> dict[str, Any]:
        """The parameters that all runs of a record share."""
        found: dict[str, Any] = json.loads(json.dumps(self.parameters))
        for *sections, key in _OF_A_RUN:
            section = found
            for name in sections:
                section = section[name]
            section.pop(key, None)
        return found


def record(
    workspaces: Sequence[Path], *, source: str, licence: str, command: str, code: str, pictures: bool,
    folder: Path = RECORDS,
) -> Record:  # fmt: skip
    """Keep what workspaces of profile `own` found, as one record.

    Args:
        workspaces: where `semantiseg reproduce --profile own --data FOLDER` ran to its end: one, or the folds of a
            cross-validation and the seeds of one collection.
        source: who published the images, as they ask to be named.
        licence: of the images.
        command: what repeats a run.
        code: commit of the sources that ran.
        pictures: may a picture of these patients be published? Figure 1 of the first workspace is then kept, too.
        folder: of the records.

    Raises:
        DataError: a run is not complete, its images are phantoms, or the runs do not belong together.
    """
    runs = [_read_run(place, number) for number, place in enumerate(workspaces)]
    _require_together(runs)
    questions, answers, reading = (
        pd.concat([getattr(run, name) for run in runs], ignore_index=True)
        for name in ("questions", "answers", "reading")
    )
    first = runs[0]
    ran_on = first.stages["composition"]
    draws = {"resamples": int(first.parameters["table1"]["resamples"]), "seed": first.seed}
    name = "+".join(sorted(questions["collection"].unique()))
    earlier = folder / f"{name}.json"
    smallest: dict[str, int] = {split: min(len(run.splits[split]) for run in runs) for split in SPLITS}
    found = Record(
        name=name,
        source=source,
        licence=licence,
        command=command,
        patients=smallest | {"test": len(set().union(*(run.splits["test"] for run in runs)))},
        sentences=_sentences(questions),
        reads=(read_record(earlier).reads if earlier.is_file() else 0) + 1,
        seeds=sorted({run.seed for run in runs}),
        folds=int(first.parameters["prepare"]["folds"]),
        tested_folds=sorted({run.fold for run in runs}),
        code=code,
        machine=f"{ran_on['cpu']}, {ran_on['cores']} core{'s' if ran_on['cores'] > 1 else ''}, no GPU",
        minutes=round(sum(entry["cpu_seconds"] for run in runs for entry in run.stages.values()) / 60, 1),
        parameters=first.common,
        inputs=first.inputs,
        rows=_plain_records(composition.table(answers, reading, **draws)),
        nouns=_nouns(answers, questions),
        versus=_versus(answers, questions, **draws),
    )
    files.write(earlier, json.dumps(asdict(found), indent=1) + "\n")
    _points(answers).to_csv(earlier.with_suffix(".csv"), index=False, float_format="%.4f", lineterminator="\n")
    if pictures:
        for suffix in PICTURES:
            shutil.copyfile(first.place / f"data/report/fig1.{suffix}", earlier.with_name(f"{name}_fig1.{suffix}"))
    return found


def read_records(folder: Path = RECORDS) -> list[Record]:
    """All records, by name."""
    return [read_record(path) for path in sorted(folder.glob("*.json"))]


def read_record(path: Path) -> Record:
    """One record.

    Raises:
        DataError: the file is no record.
    """
    try:
        return Record(**_read_json(path))
    except TypeError as error:
        raise DataError(f"{path}: expected a record of patients, got {error}. Restore it from Git.") from None


def _read_run(place: Path, number: int) -> _Run:
    data = place / "data"
    tables = {name: _read_table(data / f"composition/{name}.parquet") for name in ("questions", "answers", "reading")}
    if set(tables["questions"]["origin"]) == {"phantom"}:
        raise DataError(f"{place}: expected a run on real images, got phantoms. Run it with --data FOLDER.")
    scores = tables["answers"]  # an earlier version called collapsed what did not mark the parent either
    scores["collapsed"] = scores["collapsed"] & (scores["parent_dice"] >= MARKED)
    if "text" not in tables["answers"]:  # of a run before answers told their sentence
        tables["answers"] = tables["answers"].merge(tables["questions"][["prompt_id", "text"]], on="prompt_id")
    for table in tables.values():  # other folds ask other patients by the same numbers
        table["prompt_id"] = f"{number}/" + table["prompt_id"].astype(str)
    manifest = _read_table(data / "volumes/manifest.parquet")
    return _Run(
        place=place,
        parameters=document.values(place / "params.yaml", error=DataError),
        splits={split: set(manifest.loc[manifest["split"] == split, "patient_id"]) for split in SPLITS},
        inputs=_fingerprints(data / "raw"),
        stages=_stages(place),
        **tables,
    )


def _require_together(runs: Sequence[_Run]) -> None:
    """One collection, one set of parameters, no fold twice with one seed, no patient in two folds."""
    first, seen = runs[0], set[tuple[int, int]]()
    for run in runs:
        if run.inputs != first.inputs:
            raise DataError(f"{run.place}: expected the images of {first.place}, got others. Record them apart.")
        differ = sorted(key for key, value in run.common.items() if value != first.common.get(key))
        if differ:
            raise DataError(
                f"{run.place}: expected the parameters of {first.place} but for seed and prepare.fold, got others in "
                f"{differ}. Run it again with the same, or record it apart."
            )
        if (run.seed, run.fold) in seen:
            raise DataError(f"{run.place}: expected another seed or fold, got {run.seed} and {run.fold} again.")
        seen.add((run.seed, run.fold))
        # Another seed deals patients to other folds, so only runs of one seed are compared.
        twice = [other for other in runs if other is not run and other.seed == run.seed
                 and other.splits["test"] & run.splits["test"]]  # fmt: skip
        if twice:
            raise DataError(f"{run.place}: expected patients that no other fold tests, got those of {twice[0].place}.")


def _plain_records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: None where there is no number."""
    return records_of(frame.astype(object).where(frame.notna(), None))


def _sentences(questions: pd.DataFrame) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (suite, level), asked in groups_of(questions, ["suite", "level"]):
        found.setdefault(str(suite), {})[str(level)] = asked["text"].nunique()
    return found


def _nouns(answers: pd.DataFrame, questions: pd.DataFrame) -> list[dict[str, Any]]:
    asked = answers[(answers["suite"] == "core") & (answers["level"] == 1) & (answers["variant"] == PLAIN)]
    asked = asked.merge(questions[["prompt_id", "program"]], on="prompt_id", validate="many_to_one")
    by_noun = asked.groupby(["model", "program"], sort=False)["dice"].agg(dice="mean", prompts="size")
    return _plain_records(by_noun.round(6).reset_index())


def _versus(answers: pd.DataFrame, questions: pd.DataFrame, *, resamples: int, seed: int) -> list[dict[str, Any]]:
    """SemantiSeg (its network composed, in a run before it had a row of its own) against every composed model without
    gate, patient by patient."""
    core = answers[answers["suite"] == "core"]
    composed = core[core["variant"] == COMPOSED]
    rivals = [model for model in dict.fromkeys(composed["model"]) if model not in GATED]
    ours = core[core["model"] == SEMANTISEG]
    ours = ours if len(ours) else composed[composed["model"] == NETWORK]
    if not len(ours) or not rivals:
        return []
    results = {SEMANTISEG: ours} | {model: composed[composed["model"] == model] for model in rivals}
    prompts = questions[questions["suite"] == "core"].assign(split="test")
    found = compare(results, prompts, resamples=resamples, seed=seed)
    return _plain_records(found[found["first"] == SEMANTISEG])


def _points(answers: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice of every test patient by model, way of asking and level, on the core prompts."""
    shown = answers[
        (answers["suite"] == "core") & answers["variant"].isin((PLAIN, COMPOSED)) & answers["level"].isin(LEVELS_SHOWN)
    ]
    return shown.groupby(["model", "variant", "patient_id", "level"], sort=False)["dice"].mean().reset_index()


def _fingerprints(raw: Path) -> dict[str, str]:
    found = {path.relative_to(raw).as_posix(): files.fingerprint(path) for path in sorted(raw.rglob("*"))}
    return {name: value for name, value in found.items() if value and (raw / name).is_file()}


def _stages(place: Path) -> dict[str, dict[str, Any]]:
    """What each stage wrote of itself when it ran last."""
    found: dict[str, dict[str, Any]] = {}
    try:
        for line in (place / STAGE_LOG).read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["status"] == "done":
                found[entry["stage"]] = {key: entry[key] for key in ("cpu", "cores", "cpu_seconds")}
    except (OSError, ValueError, LookupError, TypeError) as error:
        problem = f"{type(error).__name__} {error}"
        raise DataError(f"{place / STAGE_LOG}: expected what stages cost, got {problem}. Run it again.") from None
    if "composition" not in found:
        raise DataError(f"{place / STAGE_LOG}: expected a finished stage composition, got none. Run it to its end.")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected JSON that a finished run wrote, got {error}. Run it to its end.") from None


def _read_table(path: Path) -> pd.DataFrame:
    return read_table(path, what="a table of a finished run", remedy="Run it to its end.")
