"""Table 1 with the baselines: rows of those that were asked, rows that say so for those whose weights are absent."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

import pandas as pd

from semantiseg.baselines import catalogue
from semantiseg.baselines.contamination import clean as clean_prompts
from semantiseg.baselines.contamination import contamination_label, members, prompting
from semantiseg.errors import DataError
from semantiseg.evaluation.baseline import read_prompts
from semantiseg.files import check_folder, mark
from semantiseg.paper import style, table1

RESAMPLES = 2000
"""Of the bootstrap, as in the pipeline's Table 1."""

_SEEN = {
    "training": "of its prompts come from cases it was trained on",
    "unknown": "of its prompts come from cases it may have seen",
}
"""A flag of `contamination.seen` -> its words."""

VERB, OWN = "baselines table", ("table1.*", "metrics.json")


def absent_rows(weights: Path, *, asked: Iterable[str] = ()) -> list[dict[str, str]]:
    """One row for each baseline whose weights are absent and that has no results: no number, and why.

    Args:
        weights: folder of all weights.
        asked: names of rows with results.
    """
    done = {members(row)[0] for row in asked}
    statuses = [catalogue.look(name, weights) for name in catalogue.CATALOGUE if name not in done]
    return [
        {
            "model": status.name,
            "label": status.card.label,
            "origin": status.absence if status.present is None else "not run: weights present, not asked yet",
            "prompting": " or ".join(status.card.reads),
        }
        for status in statuses
    ]


def describe_row(row: str, results: pd.DataFrame, *, origins: Collection[str]) -> dict[str, str]:
    """What Table 1 says of a row of a model that was not trained here.

    Args:
        row: its name.
        results: its results, with the column `contamination`.
        origins: of the images asked about, as in the prompts.
    """
    shares = results["contamination"].value_counts(normalize=True)
    seen = [f"{shares[flag]:.0%} {words}" for flag, words in _SEEN.items() if flag in shares]
    weights = "installed model" if contamination_label(row) is None else "official weights"
    return {
        "label": contamination_label(row) or members(row)[0],
        "origin": "; ".join([f"{weights}, asked about {style.origin_name(sorted(origins))}", *seen]),
        "prompting": prompting(row),
    }


def on_clean_cases(
    prompts: pd.DataFrame, results: Mapping[str, pd.DataFrame], *, private: Iterable[str] = ()
) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Prompts and results restricted to cases that are clean for every model among the results.

    Raises:
        DataError: no test prompt is left.
    """
    kept = clean_prompts(prompts, results, private=private)
    if not (kept["split"] == "test").any():
        raise DataError(
            f"clean cases: expected some that none of {[name for name in results if contamination_label(name)]} was or "
            "may have been trained on, got none. Leave one out, or name collections that were never published."
        )
    return kept, {name: rows[rows["prompt_id"].isin(kept["prompt_id"])] for name, rows in results.items()}


def read_rows(folder: Path) -> dict[str, pd.DataFrame]:
    """Results of all rows in a folder, by name."""
    return table1.read_results(folder, sorted(path.parent.name for path in folder.glob("*/results.parquet")))


def write_baseline_table(root: Path, output: Path, *, weights: Path, clean: bool, private: Iterable[str] = ()) -> str:
    """Write `table1.{md,csv,tex}` and `metrics.json` of all that was asked here, trained models and baselines.

    Args:
        root: the project's folder.
        output: folder to write into.
        weights: folder of all weights.
        clean: restrict to cases that are clean for every row.
        private: see `contamination.clean`.

    Returns:
        The table in Markdown.

    Raises:
        OutputError: `output` is a folder of something else.
        DataError: nothing was evaluated yet, or no clean case is left.
    """
    check_folder(output, verb=VERB, inputs=[root], own=OWN)
    prompts = read_prompts(root / "data")
    trained, asked = read_rows(root / "data" / "results"), read_rows(root / "data" / "baselines")
    results = trained | asked
    if not results or trained.keys() & asked.keys():
        raise DataError(
            f"{root / 'data'}: expected results of trained models and of baselines under names of their own, got "
            f"{sorted(trained)} and {sorted(asked)}. Run the pipeline or `semantiseg baselines run`; rename a twin."
        )
    note = ""
    if clean:
        before = prompts.loc[prompts["split"] == "test", "case_id"].nunique()
        prompts, results = on_clean_cases(prompts, results, private=private)
        after = prompts.loc[prompts["split"] == "test", "case_id"].nunique()
        note = (
            f" Clean cases alone: {after} of {before} test cases that no model of the table is known or suspected to "
        )
        note += "have been trained on."
    origins = prompts.loc[prompts["split"] == "test", "origin"].unique()
    mark(output, verb=VERB)
    table1.write(
        table1.summarise(prompts, results, resamples=RESAMPLES, seed=0, profile="baselines"),
        output,
        described={name: describe_row(name, results[name], origins=origins) for name in asked},
        absent=absent_rows(weights, asked=results),
        note=note,
    )
    return (output / "table1.md").read_text(encoding="utf-8")
