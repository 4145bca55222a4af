"""How accurate the default model of the demo is: unseen phrasings, unseen patients, phantoms.

Read from what `semantiseg reproduce` left, not trained anew. `seeds` holds the same numbers of the recorded ablation's
longest training of this model, 900 steps, seed by seed; composed numbers are in `by_reader`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.artifact.release import MODEL
from semantiseg.bench.ask.clinical import SUITE
from semantiseg.errors import StageError
from semantiseg.evaluation import ablation_record
from semantiseg.evaluation.sensitivity import HEADLINE

CORE_TARGETS = {"pss": 0.03, "l1": 0.90, "l3": 0.88}
SYNONYMS, CLINICAL = 0.80, 0.75
NECROTIC_CORE, NECROTIC_COLLAPSE = 0.75, 0.05
NECROTIC_PROGRAM = "part(necrotic_core)"


def core(root: Path) -> Iterator[dict[str, Any]]:
    """PSS and mean Dice of levels 1 and 3, core prompts; level 3 in unseen synonyms alone.

    Raises:
        StageError: there are no results.
    """
    measured = json.loads(_made(root, "figures/metrics.json").read_text(encoding="utf-8"))["models"][MODEL]
    runs, _ = ablation_record.read()
    longer = runs[runs["variant"] == "longer"].sort_values("seed")
    for name, target in CORE_TARGETS.items():
        row = _row(f"demo_{name}", measured["core"][name]["value"], target, higher=name != "pss")
        yield row | {
            "seeds": {str(seed): round(value, 4) for seed, value in zip(longer["seed"], longer[name], strict=True)}
        }
    yield _row("demo_unseen_synonyms_l3", measured["phrasing"]["unseen_synonym"]["l3"]["value"], SYNONYMS, higher=True)


def clinical(root: Path) -> Iterator[dict[str, Any]]:
    """Level 3 Dice of clinical sentences, composed; the value is that of the reader that reads most rightly.

    Raises:
        StageError: there are no results.
    """
    table = pd.read_csv(_made(root, "figures/composition.csv"))
    rows = table[(table["suite"] == SUITE) & (table["model"] == MODEL)].set_index("variant")
    best = rows["rightly_l3"].idxmax()
    by_reader = rows[["l3", "read_l3", "rightly_l3", "collapse_rate"]].round(4)
    yield _row("clinical_composed_l3", rows.loc[best, "l3"], CLINICAL, higher=True) | {
        "reader": best,
        "by_reader": json.loads(by_reader.to_json(orient="index")),
    }


def necrotic_core(root: Path) -> Iterator[dict[str, Any]]:
    """Prompts for the necrotic core in unseen phrasings: mean Dice, and the share answered with what holds it.

    Raises:
        StageError: there are no results.
    """
    prompts = pd.read_parquet(_made(root, "data/bench/prompts.parquet"))
    asked = prompts[(prompts["program"] == NECROTIC_PROGRAM) & (prompts["phrasing"] == HEADLINE)]
    results = pd.read_parquet(_made(root, f"data/results/{MODEL}/results.parquet"))
    found = results[results["prompt_id"].isin(asked["prompt_id"])]
    counted = {"prompts": len(found), "patients": int(found["patient_id"].nunique())}
    yield _row("necrotic_core_dice", found["dice"].mean(), NECROTIC_CORE, higher=True) | counted
    share = found.loc[found["parent_differs"], "collapsed"].mean()
    yield _row("necrotic_core_collapse_rate", share, NECROTIC_COLLAPSE, higher=False) | counted


def _row(name: str, value: float, target: float, *, higher: bool) -> dict[str, Any]:
    row = {"name": name, "value": round(float(value), 4), "unit": "", "target": target, "on": "phantoms"}
    return row | {"better": "higher"} if higher else row


def _made(root: Path, path: str) -> Path:
    if not (root / path).is_file():
        raise StageError(f"{root / path}: expected results of the demo, got nothing. Run `make reproduce` first.")
    return root / path


BENCHMARKS = (core, clinical, necrotic_core)
