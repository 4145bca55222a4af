r"""The tables and figure of notebook 07_breakdown, from `metrics.json`, and single patients from their answers.

Table 2: Dice by structure and by kind of clause, one column a model. The collapse figure: mean Dice against level of
language, one line a model, with intervals. Variables: every number that a manuscript would quote, by name, in
`variables.json` for programs and `variables.tex` for LaTeX. A name is made of the number's place in `metrics.json`, so
that `\TokenCoreLOne` is `models.token.core.l1`. LaTeX allows letters alone in a command's name: digits are spelled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from semantiseg import markup
from semantiseg.conventions import LEVELS, groups_of
from semantiseg.data.split import few_patients
from semantiseg.evaluation.sensitivity import HEADLINE, join, suite_of
from semantiseg.files import read_table
from semantiseg.paper import style
from semantiseg.paper.table1 import read_results, tested
from semantiseg.paper.table_text import interval, number
from semantiseg.recipes import recipe_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BREAKDOWNS = {"modality": "Modality", "structure": "Structure", "kind": "Kind of prompt"}


def table(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """One row a value of a breakdown and model: breakdown, name, model, dice, dice_low, dice_high, prompts, patients.

    Core prompts in unseen words, all levels together.
    """
    rows = [
        {
            "breakdown": breakdown, "name": name, "model": model, "dice": found["value"], "dice_low": found["low"],
            "dice_high": found["high"], "prompts": found["prompts"], "patients": found["patients"],
        }
        for breakdown in BREAKDOWNS
        for model, summary in style.ordered(metrics["models"]).items()
        for name, found in summary["by"][breakdown].items()
    ]  # fmt: skip
    columns = ["breakdown", "name", "model", "dice", "dice_low", "dice_high", "prompts", "patients"]
    return pd.DataFrame.from_records(rows, columns=columns)


def _cells(frame: pd.DataFrame) -> tuple[list[str], list[list[str]]]:
    models = list(dict.fromkeys(frame["model"]))
    header = ["", "Prompts / patients", *(recipe_of(model).label for model in models)]
    body = []
    for (breakdown, name), rows in groups_of(frame, ["breakdown", "name"], sort=False):
        by_model = rows.set_index("model")
        cells = [interval(by_model.loc[model], "dice") if model in by_model.index else "–" for model in models]
        size = f"{rows['prompts'].iloc[0]} / {rows['patients'].iloc[0]}"
        body.append([f"{BREAKDOWNS[breakdown]}: {name.replace('_', ' ')}", size, *cells])
    return header, body


def markdown(frame: pd.DataFrame, caption: str) -> str:
    """The table as a Markdown pipe table below its caption."""
    header, body = _cells(frame)
    return "\n".join([f"**Table 2.** {caption}", "", *markup.markdown_table(header, body)]) + "\n"


def latex(frame: pd.DataFrame, caption: str) -> str:
    """The table as a LaTeX float; needs the packages booktabs and graphicx."""
    header, body = _cells(frame)
    lines = [
        r"\begin{table}", rf"\caption{{{markup.latex(caption)}}}", r"\label{tab:structures}", r"\centering",
        r"\resizebox{\textwidth}{!}{%", rf"\begin{{tabular}}{{l{'c' * (len(header) - 1)}}}", r"\toprule",
        " & ".join(map(markup.latex, header)) + r" \\", r"\midrule",
        *(" & ".join(map(markup.latex, cells)) + r" \\" for cells in body), r"\bottomrule", r"\end{tabular}}",
        r"\end{table}",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def write_table2(metrics: Mapping[str, Any], folder: Path) -> pd.DataFrame:
    """Write `table2.csv`, `table2.md` and `table2.tex` into `folder`."""
    frame = table(metrics)
    caption = (
        f"Dice by modality, structure and kind of prompt on {style.origin_name(metrics['bench']['origins'])}: core "
        f"prompts in words that training never met, all levels. In brackets: {metrics['interval']}."
        f" {few_patients(tested(metrics))}".rstrip()
    )
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / "table2.csv", index=False, lineterminator="\n")
    (folder / "table2.md").write_text(markdown(frame, caption), encoding="utf-8")
    (folder / "table2.tex").write_text(latex(frame, caption), encoding="utf-8")
    return frame


PARTS = {"core": "all core prompts, unseen words", "matched": "the same mask at three levels"}


def by_patient(answers: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """One row a part of the figure, model, level and patient: part, model, level, patient_id, dice (their mean).

    Args:
        answers: model -> `sensitivity.join` of the prompts with its results.
    """
    parts = [
        rows.groupby(["level", "patient_id"], as_index=False)["dice"].mean().assign(part=part, model=model)
        for model, asked in answers.items()
        for part, rows in (
            ("core", suite_of(asked, "core", phrasing=HEADLINE)), ("matched", suite_of(asked, "triple")),
        )
    ]  # fmt: skip
    columns = pd.DataFrame(columns=["part", "model", "level", "patient_id", "dice"])
    return pd.concat(parts, ignore_index=True) if parts else columns


def read_patients(data: Path, models: Sequence[str]) -> pd.DataFrame:
    """`by_patient` of some models, from the folder of the stages' files."""
    prompts = read_table(data / "bench/prompts.parquet", what="prompts", remedy="Run the stage 'verify' again.")
    results = read_results(data / "results", models)
    return by_patient({name: join(prompts, rows, origin=f"results of {name}") for name, rows in results.items()})


def draw(metrics: Mapping[str, Any], patients: pd.DataFrame) -> Figure:
    """Left: core prompts in unseen words. Right: matched triples, where the very same mask is asked at every level.

    Pale: the mean of each patient. Full: the estimate with its interval.

    Args:
        metrics: the content of `metrics.json`. A level without prompts has no point.
        patients: `by_patient` of the same models.
    """
    from matplotlib.figure import Figure

    models = style.ordered(metrics["models"])
    with style.applied():
        figure = Figure(figsize=(7.0, 2.7), layout="constrained")
        panels = figure.subplots(1, len(PARTS), sharey=True)
        for axes, (part, title) in zip(panels, PARTS.items(), strict=True):
            style.patients(axes, patients[patients["part"] == part], x="level", y="dice", order=LEVELS, models=models)
            for (model, summary), offset in zip(models.items(), style.beside(len(models)), strict=True):
                _line(axes, summary[part], model, offset=offset)
            axes.set(title=title, xlabel="level of language", ylabel="", xlim=(-0.5, len(LEVELS) - 0.5), ylim=(0, 1))
            axes.set_xticks(range(len(LEVELS)), [f"L{level}" for level in LEVELS])
            axes.grid(axis="y", linewidth=0.3, color="0.85")
        panels[0].set_ylabel(f"Dice, {style.origin_name(metrics['bench']['origins'])}")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
        style.say_few_patients(figure, tested(metrics))
    return figure


def _line(axes: Axes, estimates: Mapping[str, Any], model: str, *, offset: float) -> None:
    of_levels = [estimates[f"l{level}"] for level in LEVELS]
    points = [(place, found) for place, found in enumerate(of_levels) if found["value"] is not None]
    if not points:
        return
    recipe = recipe_of(model)
    values = [point["value"] for _, point in points]
    # Rounding in metrics.json may put a bound past its value by the last digit.
    errors = [
        [max(0.0, value - point["low"]) for value, (_, point) in zip(values, points, strict=True)],
        [max(0.0, point["high"] - value) for value, (_, point) in zip(values, points, strict=True)],
    ]
    axes.errorbar(
        [place + offset for place, _ in points], values, yerr=errors, marker=recipe.marker, linestyle=recipe.line,
        markersize=3.5, capsize=1.5, elinewidth=0.6, color=style.colour(model), label=recipe.label,
    )  # fmt: skip


_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_PERCENT = ("collapse_rate", "counterfactual.response", "absent.rate")
_BOUNDS = {"value": "", "low": "Low", "high": "High"}


def command(place: str) -> str:
    """The name of a LaTeX command for a place such as `models.token.core.l1.low`."""
    words = re.findall(r"[A-Za-z]+|\d", place.removeprefix("models."))
    if words and words[-1] in _BOUNDS:
        words[-1] = _BOUNDS[words[-1]]
    return "".join(_DIGITS[int(word)] if word.isdigit() else word[:1].upper() + word[1:] for word in words)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, float | int]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        # A row of a list is named by its words, as its place may change; lists of words hold no numbers.
        for row in (item for item in value if isinstance(item, Mapping)):
            name = "_".join(item for _, item in sorted(row.items()) if isinstance(item, str))
            yield from _leaves(row, f"{place}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, value


def as_quoted(place: str, value: float | int) -> str:
    """A number as it is quoted: counts whole with thousands, shares in per cent, PSS with three digits, p values
    with four, others two."""
    if isinstance(value, int):
        return f"{value:,}"
    if any(f".{name}" in place for name in _PERCENT):
        return f"{number(100 * value, digits=1)}%"
    if place.endswith((".p", ".p_holm")):
        return number(value, digits=4)
    return number(value, digits=3 if ".pss" in place else 2)


def variables(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> {value, text, place}, sorted by name.

    Args:
        metrics: the content of `metrics.json`; undefined numbers (None) have no name.

    Raises:
        ValueError: two places give one name; rename a model.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, value in _leaves(metrics, ""):
        name = command(place)
        if name in found:
            raise ValueError(
                f"expected one place for \\{name}, got {found[name]['place']} and {place}. Rename a model."
            )
        found[name] = {"value": value, "text": as_quoted(place, value), "place": place}
    return dict(sorted(found.items()))


def write_variables(metrics: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Write `variables.json` and `variables.tex` into `folder`."""
    found = variables(metrics)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "variables.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"\\newcommand{{\\{name}}}{{{item['text'].replace('%', chr(92) + '%')}}} % {item['place']}"
        for name, item in found.items()
    ]
    (folder / "variables.tex").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found
