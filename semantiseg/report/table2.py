"""Table 2: Dice by structure and by kind of clause, one column a model, from `metrics.json` alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import markup
from semantiseg.data.split import few_patients
from semantiseg.report import style
from semantiseg.report.table1 import tested
from semantiseg.report.table_text import interval

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
    header = ["", "Prompts / patients", *(style.MODEL_LABELS.get(model, model) for model in models)]
    body = []
    for (breakdown, name), rows in frame.groupby(["breakdown", "name"], sort=False):
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


def write(metrics: Mapping[str, Any], folder: Path) -> pd.DataFrame:
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
