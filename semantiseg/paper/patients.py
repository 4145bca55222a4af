"""Results on patients: a run on a real collection is recorded once, and every later run shows the records.

Real images cannot be shipped, and training on them takes longer than a demo, so the stage `patients` repeats nothing:
`semantiseg record WORKSPACE...` keeps what workspaces of profile `own` found (`paper/patients_record.py`), and the
stage turns all records into one table and one figure. Whoever has the collection repeats a row by the command in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from semantiseg import files, markup
from semantiseg.conventions import LEVELS, records_of
from semantiseg.data.split import few_patients
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import atom
from semantiseg.paper import style
from semantiseg.paper.patients_record import COMPOSED, LEVELS_SHOWN, PICTURES, PLAIN, RECORDS, Record
from semantiseg.paper.published import NAMES, read_published
from semantiseg.paper.table_text import interval, number, percent
from semantiseg.recipes import recipe_of

ASKED = {PLAIN: "sentence as it stands", COMPOSED: "composed"}
"""Variant of the stage `composition` -> how a row of the table says it."""

READS_CLINICAL = {PLAIN: PLAIN, COMPOSED: "lenient"}
"""Variant on the core prompts -> the variant on clinical sentences that stands in the same row: the reader of
`semantiseg read`, which refuses what it is not sure of."""

MEASURES_TOLD = {"l1": "L1 Dice", "l3": "L3 Dice", "collapse_rate": "collapse rate"}
"""Measures of `evaluation.comparison` that the paired test is told of."""

PUBLISHED = ("biomedparse", "medsam_oracle_box", "sam_oracle_box")
PROTOCOL = (
    "Beside what the baselines' authors published on the same nouns (mean 2D Dice, `published_dice.csv`). The "
    "protocols differ: theirs is over all slices of their own test images that show the noun, at 1024 x 1024 pixels, "
    "by models trained on many collections, two of them given a box cut from the true mask; here it is over the asked "
    "slices of patients held out from a training on this collection alone, on a grid of cubes, targets below "
    "`prompts.minimum_pixels` left out."
)


def table(records: Sequence[Record]) -> pd.DataFrame:
    """One row a collection, model and way of asking, as `side_by_side` has it."""
    parts = [
        side_by_side(item.rows).assign(
            collection=item.name, licence=item.licence, folds=item.folds, seeds=len(item.seeds), reads=item.reads
        )
        for item in records
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
            points = pd.read_csv(folder / f"{item.name}.csv")
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
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=len(LEVELS_SHOWN))
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
    seeds = f"Seed{'s' if len(item.seeds) > 1 else ''} {', '.join(map(str, item.seeds))}"
    times = f"{item.reads} time{'s' if item.reads > 1 else ''}"
    text = [
        f"**{item.name}** ({item.source}; {item.licence}). {_amounts(item)} {seeds}; {item.minutes:.0f} minutes of a "
        f"processor on {item.machine}; code {item.code}. Results on test patients of this collection were recorded "
        f"{times}. Repeat it with `{item.command}`.",
        "",
        *markup.markdown_table(head, rows),
        "",
        *_versus(item),
        *_published(item),
    ]
    return "\n".join(text)


def _amounts(item: Record) -> str:
    core, clinical = (item.sentences.get(suite, {}) for suite in ("core", "clinical"))
    split = "One split."
    if item.folds:
        run = len(item.tested_folds)
        split = f"Cross-validation in {item.folds} folds" + (f", {run} of them run." if run < item.folds else ".")
    return (
        f"{split} {item.patients['train']} patients trained with, {item.patients['validation']} to watch, "
        f"{item.patients['test']} tested; {core.get('3', 0)} distinct sentences at level 3, "
        f"{clinical.get('3', 0)} clinical ones. {few_patients(item.patients['test'])}"
    ).rstrip()


def _versus(item: Record) -> list[str]:
    """SemantiSeg against models without gate, both composed, in a sentence each."""
    told: dict[tuple[str, str], list[str]] = {}
    for row in item.versus:
        if row["measure"] in MEASURES_TOLD:
            words = (
                f"{MEASURES_TOLD[row['measure']]} {row['first_value']:.3f} and {row['second_value']:.3f} (difference "
                f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}], p = {row['p_holm']:.4f})"
            )
            told.setdefault((row["first"], row["second"]), []).append(words)
    lines = [
        f"Patient by patient, {recipe_of(ours).label} and {recipe_of(theirs).label}, both composed: "
        f"{'; '.join(words)}. p from exchanging the two names patient by patient, corrected for all measures (Holm)."
        for (ours, theirs), words in told.items()
    ]
    return [*lines, ""] if lines else []


def _published(item: Record) -> list[str]:
    """What the baselines' authors published about the same nouns, and what differs."""
    published = read_published()
    published = published[published["collection"] == item.name]
    nouns = {name: str(atom(key)) for key, entry in STRUCTURES.items() for name in entry.names}
    dice = {(row["model"], row["program"]): row["dice"] for row in item.nouns}
    models = list(dict.fromkeys(row["model"] for row in item.nouns))
    rows = [
        [row["target"], *(number(dice.get((model, nouns.get(row["target"])))) for model in models),
         *(number(row[f"{name}_mean"]) for name in PUBLISHED)]
        for row in records_of(published)
    ]  # fmt: skip
    if not rows or not models:
        return []
    head = (
        "Noun",
        *(f"{recipe_of(model).label}, here" for model in models),
        *(f"{NAMES[name]}, published" for name in PUBLISHED),
    )
    return [PROTOCOL, "", *markup.markdown_table(head, rows), ""]


def _label(row: Mapping[str, Any]) -> str:
    label = recipe_of(row["model"]).label
    return label if row["variant"] == PLAIN else f"{label}, composed"


def _means(axes: Axes, rows: pd.DataFrame, order: Sequence[str], colours: Mapping[str, str]) -> None:
    for row in records_of(rows):
        place = order.index(_label(row))
        for level, shift in zip(LEVELS_SHOWN, (-0.2, 0.2), strict=True):
            value, low, high = (row[f"l{level}{end}"] for end in ("", "_low", "_high"))
            axes.errorbar(
                value, place + shift, xerr=[[value - low], [high - value]], fmt="o", color=colours[f"L{level}"],
                markersize=4, elinewidth=1.2, label=f"L{level}" if place == 0 else None,
            )  # fmt: skip
