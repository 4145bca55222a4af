"""The table of composition: every text-reading model asked plainly and composed, on core prompts and on clinical
sentences; and what the readers made of the sentences.

The figure of composition: level 3 Dice of every text-reading model, asked plainly and composed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from semantiseg import markup
from semantiseg.bench.ask.clinical import sentences
from semantiseg.conventions import LEVELS, groups_of, records_of
from semantiseg.data.split import few_patients
from semantiseg.evaluation.bootstrap import Estimate, PatientBootstrap
from semantiseg.evaluation.sensitivity import by_level, collapse_rate
from semantiseg.paper import style
from semantiseg.paper.table_text import NONE, interval, number, percent
from semantiseg.recipes import recipe_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUITE_NAMES = {"core": "SemantiBench core, held-out words", "clinical": "clinical sentences"}
VARIANT_NAMES = {
    "plain": "sentence as it stands",
    "strict": "composed",
    "lenient": "composed, read as clinicians write",
    "learned": "composed, else by a reader that has learned",
    "stated": "composed, told the program",
}
_DIGITS = 6


def table(answers: pd.DataFrame, reading: pd.DataFrame, *, resamples: int, seed: int) -> pd.DataFrame:
    """One row a suite, model and variant; every estimate in three columns (`l1`, `l1_low`, `l1_high`).

    Args:
        answers: `evaluation.composition.answers`.
        reading: `evaluation.composition.reading`.
        resamples: bootstrap resamples over patients.
        seed: of the bootstrap.
    """
    shares = reading_shares(reading).set_index(["suite", "reader", "level"])
    draws = PatientBootstrap(answers["patient_id"].tolist(), resamples=resamples, seed=seed)
    rows = []
    for (suite, model, variant), asked in groups_of(answers, ["suite", "model", "variant"], sort=False):
        row: dict[str, Any] = {"suite": suite, "model": model, "variant": variant, "prompts": len(asked)}
        row["patients"] = asked["patient_id"].nunique()
        for name, found in {**by_level(asked, draws), "collapse_rate": collapse_rate(asked, draws)}.items():
            row |= _columns(name, found)
        known = (suite, variant, "3") in shares.index
        row |= {
            f"{name}_l3": shares.loc[(suite, variant, "3"), name] if known else None for name in ("read", "rightly")
        }
        rows.append(row)
    order = {suite: place for place, suite in enumerate(SUITE_NAMES)}
    return pd.DataFrame(rows).sort_values("suite", key=lambda names: names.map(order), kind="stable", ignore_index=True)


def reading_shares(reading: pd.DataFrame) -> pd.DataFrame:
    """Shares of the questions that each reader read, and read rightly: by suite, reader and level ("1" to "3",
    "all")."""
    levels = [*((str(level), reading[reading["level"] == level]) for level in LEVELS), ("all", reading)]
    parts = [
        rows.groupby(["suite", "reader"], sort=False)
        .agg(questions=("read", "size"), read=("read", "mean"), rightly=("rightly", "mean"))
        .reset_index()
        .assign(level=level)
        for level, rows in levels
    ]
    return pd.concat(parts, ignore_index=True).sort_values(["suite", "reader", "level"], ignore_index=True)


def _columns(name: str, found: Estimate) -> dict[str, float | None]:
    values = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
    return {key: None if value is None else round(value, _DIGITS) + 0.0 for key, value in values.items()}


def markdown(frame: pd.DataFrame, caption: str) -> str:
    """The table as Markdown below its caption."""
    head = (
        "Sentences", "Model", "Asked with", "L1 Dice", "L2 Dice", "L3 Dice", "PSS", "Collapse rate", "L3 read",
        "L3 read rightly", "Prompts / patients",
    )  # fmt: skip
    rows = map(_cells, records_of(frame))
    return "\n".join([f"**Composition.** {caption}", "", *markup.markdown_table(head, rows)]) + "\n"


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        SUITE_NAMES[row["suite"]],
        recipe_of(row["model"]).label,
        VARIANT_NAMES[row["variant"]],
        *(interval(row, f"l{level}") for level in LEVELS),
        interval(row, "pss", lambda value: number(value, digits=3)),
        interval(row, "collapse_rate", percent),
        percent(row["read_l3"]),
        percent(row["rightly_l3"]),
        f"{row['prompts']} / {row['patients']}",
    ]


def composition_caption(asked: pd.DataFrame, *, patients: int, resamples: int) -> str:
    """What the numbers are.

    Args:
        asked: `evaluation.composition.questions`.
        patients: who were asked about.
        resamples: of the bootstrap.
    """
    clinical = asked[asked["suite"] == "clinical"]
    return (
        f"Test patients, {style.origin_name(sorted(asked['origin'].unique()))}; mean Dice by level with 95% intervals "
        f"from {resamples} bootstrap resamples over patients. Clinical sentences: {clinical['text'].nunique()} of "
        f"{len(sentences())} hand-written sentences in report style, outside the grammar and never trained on, occur "
        f"here, in {len(clinical)} questions. Composed: the sentence is read to a program, the model is asked its "
        "nouns, their masks are combined; a sentence that is not read goes to the model as it stands. Told the "
        "program: what perfect reading would give. Read rightly: what was heard denotes the target. Collapse rate: "
        f"share of L3 answers closer to the parent structure than to the target. {NONE}: not applicable."
        f" {few_patients(patients)}".rstrip()
    )


def write(
    answers: pd.DataFrame, reading: pd.DataFrame, asked: pd.DataFrame, folder: Path, *, resamples: int, seed: int
) -> pd.DataFrame:
    """Write `composition.{csv,md}` into `folder`; equal answers give equal bytes.

    Returns:
        The table as numbers; empty if no model reads text, or no question was asked about a test patient.
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame = table(answers, reading, resamples=resamples, seed=seed) if len(answers) else pd.DataFrame()
    frame.to_csv(folder / "composition.csv", index=False, lineterminator="\n")
    text = f"{nothing(asked)}\n"
    if len(frame):
        text = markdown(frame, composition_caption(asked, patients=int(frame["patients"].max()), resamples=resamples))
    (folder / "composition.md").write_text(text, encoding="utf-8")
    return frame


def nothing(asked: pd.DataFrame) -> str:
    """Why there is no table."""
    if not len(asked):
        return "No test patient was asked about, so nothing was composed."
    return "No trained model reads text, so nothing was composed."


def finding(frame: pd.DataFrame, asked: pd.DataFrame) -> str:
    """What the table says in words, suite by suite, of the model that answers plain level 3 sentences best.

    Args:
        frame: `table`, or empty.
        asked: `evaluation.composition.questions`.
    """
    if not len(frame):
        return nothing(asked)
    by_suite = groups_of(frame, "suite", sort=False)
    return "\n\n".join(_suite_finding(SUITE_NAMES[suite], rows) for suite, rows in by_suite)


def _suite_finding(name: str, rows: pd.DataFrame) -> str:
    plain = rows[rows["variant"] == "plain"]
    if not plain["l3"].notna().any():
        return f"*{name}*: no question of level 3 could be asked."
    best = str(plain["model"].iloc[int(plain["l3"].argmax())])
    own = records_of(rows[rows["model"] == best])
    parts = []
    for row in own:
        read = "" if pd.isna(row["rightly_l3"]) else f" ({percent(row['rightly_l3'])} of the questions read rightly)"
        collapse = percent(row["collapse_rate"])
        parts.append(f"{VARIANT_NAMES[row['variant']]}, L3 Dice {number(row['l3'])} and collapse rate {collapse}{read}")
    words = f"*{name}*, {recipe_of(best).label}: {'; '.join(parts)}."
    if own[-1]["variant"] != "stated":
        return words
    return words + (
        " What a composed model lacks to the last of these is what the reading costs; what that one lacks to 1 is what "
        "the pictures cost."
    )


def draw(table: pd.DataFrame, answers: pd.DataFrame, *, images: str) -> Figure:
    """Points with 95% intervals, one panel a suite, one row a way of asking; pale, the mean of each patient.

    Args:
        table: as `table` makes it of `answers`; not empty.
        answers: `evaluation.composition.answers`.
        images: what the images are, such as "phantoms".
    """
    import matplotlib.pyplot as plt

    third = answers[answers["level"] == 3]
    means = third.groupby(["suite", "variant", "model", "patient_id"], as_index=False)["dice"].mean()
    suites = list(groups_of(table, "suite", sort=False))
    heights = [rows["variant"].nunique() for _, rows in suites]
    with style.applied():
        figure, panels = plt.subplots(
            len(suites), 1, figsize=(5.2, 0.9 + 0.62 * sum(heights)), sharex=True, squeeze=False,
            gridspec_kw={"height_ratios": heights}, layout="constrained",
        )  # fmt: skip
        for panel, (suite, rows) in zip(panels.flat, suites, strict=True):
            _draw(panel, rows, means[means["suite"] == suite])
            panel.set_title(SUITE_NAMES[suite], loc="left")
        panels.flat[-1].set(xlabel=f"L3 Dice, {images}", xlim=(0, 1))
        handles, labels = panels.flat[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=2)
        style.say_few_patients(figure, int(table["patients"].max()))
    return figure


def _draw(panel: Axes, rows: pd.DataFrame, means: pd.DataFrame) -> None:
    variants, models = (list(dict.fromkeys(rows[name])) for name in ("variant", "model"))
    style.patients(panel, means, x="dice", y="variant", order=variants, models=models)
    for (model, points), offset in zip(groups_of(rows, "model", sort=False), style.beside(len(models)), strict=True):
        recipe = recipe_of(model)
        panel.errorbar(
            points["l3"], [variants.index(name) + offset for name in points["variant"]],
            xerr=[points["l3"] - points["l3_low"], points["l3_high"] - points["l3"]],
            fmt=recipe.marker, markersize=3.5, elinewidth=0.8, color=style.colour(model), label=recipe.label,
        )  # fmt: skip
    panel.set_yticks(range(len(variants)), [VARIANT_NAMES[name] for name in variants])
    panel.set(xlabel="", ylabel="", ylim=(len(variants) - 0.5, -0.5))
    panel.grid(axis="x", linewidth=0.3)
