"""Results on patients: a run on a real collection is recorded once, and every later run shows the records.

Real images cannot be shipped, and training on them takes longer than a demo, so the stage `patients` repeats nothing:
`semantiseg record WORKSPACE` keeps what a workspace of profile `own` found (fingerprint of every input file,
parameters, code, hardware, seed), and the stage turns all records into one table and one figure. Whoever has the
collection repeats a row by the command in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg import document, files, markup
from semantiseg.conventions import LEVELS, SPLITS, groups_of, records_of
from semantiseg.data.split import few_patients
from semantiseg.errors import DataError
from semantiseg.files import read_table
from semantiseg.paper import style
from semantiseg.paper.table_text import interval, number, percent
from semantiseg.recipes import recipe_of

RUN_RECORD = Path("logs/demo_run.json")
"""What a run writes of itself, in a workspace too (`pipeline.runner`)."""

RECORDS = Path(__file__).with_name("patients_records")
PLAIN, COMPOSED = "plain", "strict"
ASKED = {PLAIN: "sentence as it stands", COMPOSED: "composed"}
"""Variant of the stage `composition` -> how a row of the table says it."""

READS_CLINICAL = {PLAIN: PLAIN, COMPOSED: "lenient"}
"""Variant on the core prompts -> the variant on clinical sentences that stands in the same row: the reader of
`semantiseg read`, which refuses what it is not sure of."""

_LEVELS_SHOWN = (1, 3)
PICTURES = ("png", "pdf", "svg")


@dataclass(frozen=True)
class Record:
    """What one run on one real collection found, and what it was made with."""

    name: str
    """Name of the collection's folder."""
    source: str
    """Who published the images, as they ask to be named."""
    licence: str
    command: str
    """Repeats the run for whoever has the images."""
    patients: dict[str, int]
    """Split -> patients."""
    sentences: dict[str, dict[str, int]]
    """Suite -> level -> distinct sentences asked about test patients."""
    reads: int
    """How often results on these test patients were recorded, this one included."""
    seed: int
    code: str
    """Commit of the sources."""
    machine: str
    minutes: float
    parameters: dict[str, Any]
    inputs: dict[str, str]
    """File below the collection's folder -> SHA-256."""
    rows: list[dict[str, Any]]
    """Rows of `composition.csv`."""


def record(
    workspace: Path, *, source: str, licence: str, command: str, code: str, pictures: bool, folder: Path = RECORDS
) -> Record:
    """Keep what a workspace of profile `own` found.

    Args:
        workspace: where `semantiseg reproduce --profile own --data FOLDER` ran to its end.
        source: who published the images, as they ask to be named.
        licence: of the images.
        command: what repeats the run.
        code: commit of the sources that ran.
        pictures: may a picture of these patients be published? Figure 1 is then kept, too.
        folder: of the records.

    Raises:
        DataError: the run is not complete, or its images are phantoms.
    """
    data, run = workspace / "data", _read_json(workspace / RUN_RECORD)
    parameters = document.values(workspace / "params.yaml", error=DataError)
    questions = _read_table(data / "composition/questions.parquet")
    if set(questions["origin"]) == {"phantom"}:
        raise DataError(f"{workspace}: expected a run on real images, got phantoms. Run it with --data FOLDER.")
    manifest, prompts = (_read_table(data / name) for name in ("volumes/manifest.parquet", "bench/prompts.parquet"))
    name = "+".join(sorted(prompts["collection"].unique()))
    earlier = _path(name, folder)
    found = Record(
        name=name,
        source=source,
        licence=licence,
        command=command,
        patients={split: int(manifest[manifest["split"] == split]["patient_id"].nunique()) for split in SPLITS},
        sentences=_sentences(questions),
        reads=(read_record(earlier).reads if earlier.is_file() else 0) + 1,
        seed=parameters["seed"],
        code=code,
        machine=f"{run['cpu']}, {run['cores']} cores, no GPU",
        minutes=round(run["seconds"] / 60, 1),
        parameters=parameters,
        inputs=_fingerprints(data / "raw"),
        rows=records_of(
            pd.read_csv(data / "report/composition.csv").astype(object).where(lambda frame: frame.notna(), None)
        ),
    )  # fmt: skip
    files.write(earlier, json.dumps(asdict(found), indent=1) + "\n")
    _points(_read_table(data / "composition/answers.parquet")).to_csv(
        earlier.with_suffix(".csv"), index=False, float_format="%.4f", lineterminator="\n"
    )
    if pictures:
        for suffix in PICTURES:
            shutil.copyfile(data / f"report/fig1.{suffix}", earlier.with_name(f"{name}_fig1.{suffix}"))
    return found


def read(folder: Path = RECORDS) -> list[Record]:
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


def table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a collection, model and way of asking, as `side_by_side` has it."""
    parts = [
        side_by_side(item.rows).assign(collection=item.name, licence=item.licence, seed=item.seed) for item in records
    ]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def side_by_side(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of `composition.csv` about the core prompts, as they stand and composed, with what the same model makes of
    clinical sentences beside them: `clinical_l3` with its interval; `clinical_rightly_l3`, the share read rightly."""
    of = {(row["suite"], row["model"], row["variant"]): row for row in rows}
    found = []
    for (suite, model, variant), row in of.items():
        if suite != "core" or variant not in ASKED:
            continue
        clinical: Mapping[str, Any] = of.get(("clinical", model, READS_CLINICAL[variant]), {})
        keys = ("l3", "l3_low", "l3_high", "rightly_l3")
        found.append({**row, **{f"clinical_{key}": clinical.get(key) for key in keys}})
    return pd.DataFrame(found)


def markdown(records: Sequence[Record]) -> str:
    """The whole table, a block a collection with what it was made of and the command that repeats it."""
    if not records:
        return "No run on a real collection is recorded. `semantiseg record WORKSPACE` records one.\n"
    return "\n".join(_block(item) for item in records)


def short(records: Sequence[Record]) -> str:
    """The README's block: a table of `short_table` for every collection."""
    blocks = []
    for item in records:
        blocks += [f"**{item.name}** ({item.source}; {item.licence}). {_amounts(item)}", ""]
        blocks += [*short_table(table([item])), ""]
    return "\n".join(blocks).rstrip() or "No run on a real collection is recorded yet."


def short_table(rows: pd.DataFrame) -> list[str]:
    """Six columns: model, test patients, levels 1 and 3, collapse, clinical sentences; rows of `side_by_side`."""
    head = ("Model", "Test patients", "L1 Dice", "L3 Dice", "Collapse", "Clinical L3")
    return markup.markdown_table(
        head,
        [
            [_label(row), str(row["patients"]), number(row["l1"]), number(row["l3"]), percent(row["collapse_rate"]),
             number(row["clinical_l3"])]
            for row in records_of(rows)
        ],
    )  # fmt: skip


def draw(records: Sequence[Record], *, folder: Path = RECORDS) -> Figure:
    """A panel a collection: mean Dice at levels 1 and 3 with 95% intervals, every test patient a point."""
    import seaborn

    with style.applied():
        figure = Figure(figsize=(7.0, 0.8 + 2.4 * len(records)), layout="constrained")
        panels = figure.subplots(max(1, len(records)), 1, squeeze=False)[:, 0]
        for axes, item in zip(panels, records, strict=False):
            points = pd.read_csv(_path(item.name, folder).with_suffix(".csv"))
            points["asked"] = [_label(row) for row in records_of(points)]
            points["level"] = "L" + points["level"].astype(str)
            order, colours = list(dict.fromkeys(points["asked"])), {"L1": style.GREY, "L3": style.BLUE}
            seaborn.stripplot(
                points, x="dice", y="asked", hue="level", order=order, palette=colours, dodge=True, jitter=False,
                size=2.5, alpha=0.35, ax=axes, legend=False,
            )  # fmt: skip
            _means(axes, table([item]), order, colours)
            title = f"{item.name}: {item.patients['test']} test patients"
            axes.set(xlabel="Dice of a test patient", ylabel="", xlim=(0, 1), title=title)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(_LEVELS_SHOWN))
    return figure


def write(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write `patients.{csv,md,png,pdf,svg}`, and `patients_fig1.*` of the first record that may show its patients."""
    folder.mkdir(parents=True, exist_ok=True)
    table(records).to_csv(folder / "patients.csv", index=False, float_format="%.6f", lineterminator="\n")
    files.write(folder / "patients.md", markdown(records))
    written = [folder / "patients.csv", folder / "patients.md", *style.save(draw(records), folder / "patients")]
    shown = next((item.name for item in records if (RECORDS / f"{item.name}_fig1.png").is_file()), None)
    if shown is None:
        return written + style.save(_no_picture(), folder / "patients_fig1")
    for suffix in PICTURES:
        target = folder / f"patients_fig1.{suffix}"
        shutil.copyfile(RECORDS / f"{shown}_fig1.{suffix}", target)
        written.append(target)
    return written


def _no_picture() -> Figure:
    figure = Figure(figsize=(7.0, 0.5))
    figure.text(0.5, 0.5, "No recorded collection allows pictures of its patients.", ha="center", va="center")
    return figure


def _block(item: Record) -> str:
    head = ("Model", "Asked with", "L1 Dice", "L2 Dice", "L3 Dice", "PSS", "Collapse rate", "Clinical L3")
    rows = [
        [
            recipe_of(row["model"]).label, ASKED[row["variant"]],
            *(interval(row, f"l{level}") for level in LEVELS),
            interval(row, "pss", lambda value: number(value, digits=3)), interval(row, "collapse_rate", percent),
            interval(row, "clinical_l3"),
        ]
        for row in records_of(table([item]))
    ]  # fmt: skip
    text = [
        f"**{item.name}** ({item.source}; {item.licence}). {_amounts(item)} Seed {item.seed}; "
        f"{item.minutes:.0f} minutes on {item.machine}; code {item.code}. Results on these test patients were "
        f"recorded {item.reads} time{'s' if item.reads > 1 else ''}. Repeat it with `{item.command}`.",
        "",
        *markup.markdown_table(head, rows),
        "",
    ]
    return "\n".join(text)


def _amounts(item: Record) -> str:
    core, clinical = (item.sentences.get(suite, {}) for suite in ("core", "clinical"))
    few = few_patients(item.patients["test"])
    return (
        f"{item.patients['train']} patients trained with, {item.patients['validation']} to watch, "
        f"{item.patients['test']} tested; {core.get('3', 0)} distinct sentences at level 3, "
        f"{clinical.get('3', 0)} clinical ones. {few}"
    ).rstrip()


def _label(row: Mapping[str, Any]) -> str:
    label = recipe_of(row["model"]).label
    return label if row["variant"] == PLAIN else f"{label}, composed"


def _means(axes: Axes, rows: pd.DataFrame, order: Sequence[str], colours: Mapping[str, str]) -> None:
    for row in records_of(rows):
        place = order.index(_label(row))
        for level, shift in zip(_LEVELS_SHOWN, (-0.2, 0.2), strict=True):
            value, low, high = (row[f"l{level}{end}"] for end in ("", "_low", "_high"))
            axes.errorbar(
                value, place + shift, xerr=[[value - low], [high - value]], fmt="o", color=colours[f"L{level}"],
                markersize=4, elinewidth=1.2, label=f"L{level}" if place == 0 else None,
            )  # fmt: skip


def _sentences(questions: pd.DataFrame) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for (suite, level), asked in groups_of(questions, ["suite", "level"]):
        found.setdefault(str(suite), {})[str(level)] = asked["text"].nunique()
    return found


def _points(answers: pd.DataFrame) -> pd.DataFrame:
    """Mean Dice of every test patient by model, way of asking and level, on the core prompts."""
    shown = answers[
        (answers["suite"] == "core") & answers["variant"].isin(ASKED) & answers["level"].isin(_LEVELS_SHOWN)
    ]
    return shown.groupby(["model", "variant", "patient_id", "level"], sort=False)["dice"].mean().reset_index()


def _fingerprints(raw: Path) -> dict[str, str]:
    found = {path.relative_to(raw).as_posix(): files.fingerprint(path) for path in sorted(raw.rglob("*"))}
    return {name: value for name, value in found.items() if value and (raw / name).is_file()}


def _path(name: str, folder: Path) -> Path:
    return folder / f"{name}.json"


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected JSON that a finished run wrote, got {error}. Run it to its end.") from None


def _read_table(path: Path) -> pd.DataFrame:
    return read_table(path, what="a table of a finished run", remedy="Run it to its end.")
