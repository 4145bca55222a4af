"""Table 1: what was measured here, beside what the paper prints, every row's origin named."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.conventions import records_of
from semantiseg.data.split import few_patients
from semantiseg.evaluation.bootstrap import PatientBootstrap
from semantiseg.evaluation.comparison import compare
from semantiseg.evaluation.metrics import METRICS
from semantiseg.evaluation.sensitivity import HEADLINE, join
from semantiseg.evaluation.summary import bench_summary, model_summary
from semantiseg.files import read_table
from semantiseg.paper import style
from semantiseg.paper.table_text import latex, markdown
from semantiseg.recipes import recipe_of

ORACLE_BOX = "oracle box of the parent structure"
_DIGITS = 6


@dataclass(frozen=True)
class PrintedRow:
    """One row of the paper's Table 1 and why its numbers are not recomputed here."""

    model: str
    l1: float
    l3: float
    pss: float
    prompting: str
    remark: str


PRINTED = (
    PrintedRow("BiomedParse", 0.85, 0.60, 0.29, "text", "not run here: official weights absent"),
    PrintedRow(
        "SAM-Med2D", 0.82, 0.55, 0.33, "not stated; the model reads no text", "not run here: official weights absent"
    ),
    PrintedRow(
        "SemantiSeg (Ours)", 0.86, 0.81, 0.05, "text", "no weights published; trained here as token and scalar gate"
    ),
)

_ESTIMATES: Mapping[str, tuple[str, ...]] = {
    "l1": ("core", "l1"),
    "l2": ("core", "l2"),
    "l3": ("core", "l3"),
    "pss": ("core", "pss"),
    "difference": ("core", "difference"),
    "collapse_rate": ("collapse_rate",),
    "matched_l1": ("matched", "l1"),
    "matched_l3": ("matched", "l3"),
    "matched_pss": ("matched", "pss"),
    "seen_l1": ("phrasing", "seen", "l1"),
    "seen_l3": ("phrasing", "seen", "l3"),
    "seen_pss": ("phrasing", "seen", "pss"),
    "unseen_template_l1": ("phrasing", "unseen_template", "l1"),
    "unseen_template_l3": ("phrasing", "unseen_template", "l3"),
    "unseen_template_pss": ("phrasing", "unseen_template", "pss"),
    "unseen_synonym_l1": ("phrasing", "unseen_synonym", "l1"),
    "unseen_synonym_l3": ("phrasing", "unseen_synonym", "l3"),
    "unseen_synonym_pss": ("phrasing", "unseen_synonym", "pss"),
    "paraphrase_mean": ("paraphrase", "mean"),
    "paraphrase_worst": ("paraphrase", "worst"),
    "paraphrase_spread": ("paraphrase", "spread"),
    "counterfactual_dice": ("counterfactual", "mean"),
    "counterfactual_response": ("counterfactual", "response"),
    "absent_rate": ("absent", "rate"),
    "absent_area_mm2": ("absent", "area_mm2"),
    "level_delta": ("fairness", "level", "delta"),
    "level_skewness": ("fairness", "level", "skewness"),
    "level_std": ("fairness", "level", "std"),
    "level_es": ("fairness", "level", "es"),
    **{metric.key: ("core", metric.key) for metric in METRICS if metric.tabled},
}
"""Column of the table -> where its estimate stands in a model's summary."""


def read_results(folder: Path, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    """`results.parquet` of each model below `folder`.

    Raises:
        DataError: a model was not evaluated.
    """
    results = {}
    for model in models:
        path = folder / model / "results.parquet"
        results[model] = read_table(
            path, what=f"the results of model {model!r}", remedy=f"Run the stage 'evaluate@{model}'."
        )
    return results


def summarise(
    prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame], *, resamples: int, seed: int, profile: str
) -> dict[str, Any]:
    """All numbers of the report.

    Args:
        prompts: `prompts.parquet`.
        results: model name -> `results.parquet`.
        resamples: bootstrap resamples over patients.
        seed: of the bootstrap.
        profile: name of the profile, recorded.

    Returns:
        The content of `metrics.json`; numbers where no prompt asks are None.
    """
    patients = prompts.loc[prompts["split"] == "test", "patient_id"]
    draws = PatientBootstrap(patients.tolist(), resamples=resamples, seed=seed)
    return {
        "profile": profile,
        "seed": seed,
        "resamples": resamples,
        "interval": "95% percentile bootstrap over patients",
        "headline_phrasing": HEADLINE,
        "bench": bench_summary(prompts),
        "models": {
            model: model_summary(join(prompts, rows, origin=f"results of {model}"), draws)
            for model, rows in results.items()
        },
        "comparisons": _comparisons(prompts, results, resamples=resamples, seed=seed),
        "printed": {row.model: {"l1": row.l1, "l3": row.l3, "pss": row.pss} for row in PRINTED},
    }


def _comparisons(
    prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame], *, resamples: int, seed: int
) -> list[dict[str, Any]]:
    """Every pair of models, a record each (columns: `comparison.compare`); undefined numbers are None."""
    if len(results) < 2:
        return []
    found = compare(results, prompts, resamples=resamples, seed=seed)
    return records_of(found.astype(object).where(found.notna(), None))


def rounded(value: Any) -> Any:
    """Floats to six digits, in any nesting: below that, only the order of sums speaks."""
    if isinstance(value, float):
        return round(value, _DIGITS) + 0.0
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value


def _estimate(summary: Mapping[str, Any], path: tuple[str, ...]) -> Mapping[str, Any]:
    for key in path:
        summary = summary[key]
    return summary


def table(
    metrics: Mapping[str, Any],
    *,
    described: Mapping[str, Mapping[str, str]] | None = None,
    absent: Sequence[Mapping[str, str]] = (),
) -> pd.DataFrame:
    """Table 1 as numbers: one row per model, then the paper's rows; one number a cell, empty where there is none.

    Every estimate has three columns, `name`, `name_low`, `name_high`; the paper's numbers have columns of their own.

    Args:
        metrics: see `summarise`.
        described: `label`, `origin` and `prompting` of models that were not trained here (`baseline_rows.py`).
        absent: rows without numbers, which say why.
    """
    origin = style.origin_name(metrics["bench"]["origins"])
    rows: list[dict[str, Any]] = []
    for model, summary in metrics["models"].items():
        row: dict[str, Any] = {
            "model": model,
            "label": recipe_of(model).label,
            "origin": f"trained here on {origin}",
            "prompting": ORACLE_BOX if recipe_of(model).needs_box else "text",
            "prompts": summary["prompts"],
            "patients": summary["patients"],
        }
        row |= (described or {}).get(model, {})
        for name, path in _ESTIMATES.items():
            found = _estimate(summary, path)
            row |= {name: found["value"], f"{name}_low": found["low"], f"{name}_high": found["high"]}
        row |= {f"{level}_median": value for level, value in summary["median"].items()}
        rows.append(row)
    rows += [dict(row) for row in absent]
    asked = [words["label"] for words in (described or {}).values()]
    for printed in PRINTED:
        here = any(label.startswith(printed.model) for label in asked)
        remark = "asked here in rows of its own" if here else printed.remark
        rows.append(
            {
                "model": printed.model,
                "label": printed.model,
                "origin": f"printed in the paper; {remark}",
                "prompting": printed.prompting,
                "printed_l1": printed.l1,
                "printed_l3": printed.l3,
                "printed_pss": printed.pss,
            }
        )
    frame = pd.DataFrame.from_records(rows)
    return frame.astype({"prompts": "Int64", "patients": "Int64"})


def tested(metrics: Mapping[str, Any]) -> int:
    """Test patients that models were asked about."""
    return max((summary["patients"] for summary in metrics["models"].values()), default=0)


def caption(metrics: Mapping[str, Any]) -> str:
    """What the numbers are, in words that go with every form of the table."""
    origin = style.origin_name(metrics["bench"]["origins"])
    phantom = (
        " Every measured number comes from phantoms (synthetic anatomy and image): it shows how the models compare "
        "with one another "
        "and says nothing about patients; the paper's numbers stand in columns of their own and are not comparable."
        if "phantom" in metrics["bench"]["origins"]
        else ""
    )
    if not any(summary["patients"] for summary in metrics["models"].values()):
        phantom += (
            " **No test patient was asked about, so nothing was measured**: give more patients, or raise "
            "prepare.test_share."
        )
    return (
        f"SemantiBench on {origin}, test patients, templates and synonyms held out from training (core suite). Mean "
        "Dice by level with "
        f"95% intervals from {metrics['resamples']} bootstrap resamples over patients. PSS = (L1 - L3) / L1. Matched: "
        "the same masks asked "
        "for at all three levels. Collapse rate: share of L3 answers closer to the parent structure than to the "
        "target. Seen: the "
        "core programs in phrasings met in training. Worst paraphrase: mean over groups of the lowest Dice among "
        "sentences of one "
        "meaning. Counterfactual: share of pairs, one word apart, whose answers both follow their own sentence. "
        "Absent: share of "
        "prompts for absent targets that mark anything. Empty masks: both empty Dice 1, one empty 0. "
        f"An en dash means that there are no such prompts or that the number is undefined.{phantom}"
        f" {few_patients(tested(metrics))}".rstrip()
    )


def write(
    metrics: Mapping[str, Any],
    folder: Path,
    *,
    described: Mapping[str, Mapping[str, str]] | None = None,
    absent: Sequence[Mapping[str, str]] = (),
    note: str = "",
) -> pd.DataFrame:
    """Write `metrics.json` and `table1.{csv,md,tex}` into `folder`; equal metrics give equal bytes.

    Args:
        metrics: see `summarise`.
        folder: made if need be.
        described, absent: see `table`.
        note: ends the caption.

    Returns:
        The table as numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    metrics = rounded(metrics)
    frame, words = table(metrics, described=described, absent=absent), caption(metrics) + note
    (folder / "metrics.json").write_text(
        json.dumps(metrics, indent=1, sort_keys=True, allow_nan=False) + "\n", encoding="utf-8"
    )
    frame.to_csv(folder / "table1.csv", index=False, lineterminator="\n")
    (folder / "table1.md").write_text(markdown(frame, words), encoding="utf-8")
    (folder / "table1.tex").write_text(latex(frame, words), encoding="utf-8")
    return frame
