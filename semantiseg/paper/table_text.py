"""Table 1 as text: Markdown for people, LaTeX for the paper. Rounding happens here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from semantiseg import markup
from semantiseg.conventions import records_of

NONE = "–"
"""What a cell shows where there are no such prompts, or the number is undefined."""


def number(value: Any, *, digits: int = 2) -> str:
    """A number with fixed digits, or the sign for none; never "-0.00"."""
    if value is None or pd.isna(value):
        return NONE
    return f"{round(float(value), digits) + 0.0:.{digits}f}"


def percent(value: Any) -> str:
    """A share in per cent with one digit, or the sign for none."""
    return NONE if value is None or pd.isna(value) else f"{number(100 * value, digits=1)}%"


def interval(row: Mapping[str, Any], name: str, form: Callable[[Any], str] = number) -> str:
    """`value [low, high]` of one estimate."""
    value = form(row.get(name))
    return value if value == NONE else f"{value} [{form(row[f'{name}_low'])}, {form(row[f'{name}_high'])}]"


def _together(row: Mapping[str, Any], *names: str) -> str:
    cells = [number(row.get(name)) for name in names]
    return NONE if set(cells) == {NONE} else " / ".join(cells)


def _size(row: Mapping[str, Any]) -> str:
    return NONE if pd.isna(row["prompts"]) else f"{row['prompts']} / {row['patients']}"


_COLUMNS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "Model": lambda row: row["label"],
    "Origin": lambda row: row["origin"],
    "Prompted by": lambda row: row["prompting"],
    "L1 Dice": lambda row: interval(row, "l1"),
    "L2 Dice": lambda row: interval(row, "l2"),
    "L3 Dice": lambda row: interval(row, "l3"),
    # A third digit: the paper's bound of 0.05 lies within rounding of what two digits show.
    "PSS": lambda row: interval(row, "pss", lambda value: number(value, digits=3)),
    "Matched L1 / L3 / PSS": lambda row: _together(row, "matched_l1", "matched_l3", "matched_pss"),
    "Collapse rate": lambda row: interval(row, "collapse_rate", percent),
    "Seen L1 / L3 / PSS": lambda row: _together(row, "seen_l1", "seen_l3", "seen_pss"),
    "Worst paraphrase": lambda row: interval(row, "paraphrase_worst"),
    "Counterfactual": lambda row: percent(row.get("counterfactual_response")),
    "Absent": lambda row: interval(row, "absent_rate", percent),
    "Prompts / patients": _size,
    "Printed L1": lambda row: number(row.get("printed_l1")),
    "Printed L3": lambda row: number(row.get("printed_l3")),
    "Printed PSS": lambda row: number(row.get("printed_pss")),
}

_LATEX_COLUMNS = (
    "Model", "Origin", "L1 Dice", "L2 Dice", "L3 Dice", "PSS", "Matched L1 / L3 / PSS", "Collapse rate", "Seen L1 / L3 "
    "/ PSS",
    "Absent", "Printed L1", "Printed L3", "Printed PSS",
)  # fmt: skip

def _cells(frame: pd.DataFrame) -> list[dict[str, str]]:
    return [{name: form(row) for name, form in _COLUMNS.items()} for row in records_of(frame)]


def markdown(frame: pd.DataFrame, caption: str) -> str:
    """The table as a Markdown pipe table below its caption."""
    names = list(_COLUMNS)
    rows = ([cells[name] for name in names] for cells in _cells(frame))
    return "\n".join([f"**Table 1.** {caption}", "", *markup.markdown_table(names, rows)]) + "\n"


def latex(frame: pd.DataFrame, caption: str) -> str:
    """The table as a LaTeX float; needs the packages booktabs and graphicx."""
    lines = [
        r"\begin{table}", rf"\caption{{{markup.latex(caption)}}}", r"\label{tab:semantibench}", r"\centering",
        r"\resizebox{\textwidth}{!}{%", rf"\begin{{tabular}}{{{'l' * 2}{'c' * (len(_LATEX_COLUMNS) - 2)}}}",
        r"\toprule", " & ".join(markup.latex(name) for name in _LATEX_COLUMNS) + r" \\", r"\midrule",
    ]  # fmt: skip
    lines += [" & ".join(markup.latex(cells[name]) for name in _LATEX_COLUMNS) + r" \\" for cells in _cells(frame)]
    lines += [r"\bottomrule", r"\end{tabular}}", r"\end{table}"]
    return "\n".join(lines) + "\n"
