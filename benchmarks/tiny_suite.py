"""How well the tiny suite of 100 prompts foretells the whole: ranks and Dice of every model answered here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import kendalltau

from semantiseg.evaluation.sensitivity import HEADLINE, suite_of
from semantiseg.files import read_table
from semantiseg.scoring.benchmark import tiny_suite

TAU, DICE = 0.8, 0.05


def answered(data: Path) -> dict[str, pd.Series]:
    """Dice by prompt id of every model of `data/results`, and of every composed one of `data/composition`."""
    found = {
        path.parent.name: read_table(path, what="results", remedy="Evaluate again.").set_index("prompt_id")["dice"]
        for path in sorted((data / "results").glob("*/results.parquet"))
    }
    composed = read_table(data / "composition/answers.parquet", what="answers", remedy="Run the stage composition.")
    composed = composed[(composed["suite"] == "core") & (composed["variant"] != "plain")]
    for (model, variant), rows in composed.groupby(["model", "variant"]):
        found[f"{model}+{variant}"] = rows.set_index("prompt_id")["dice"]
    return found


def foretold(prompts: pd.DataFrame, answers: dict[str, pd.Series]) -> pd.DataFrame:
    """One row a model: mean Dice of the core at level 1 and 3 on the `whole` and on the `tiny` suite."""
    core = suite_of(prompts[prompts["split"] == "test"], "core", phrasing=HEADLINE)
    chosen = core["prompt_id"].isin(tiny_suite(prompts))
    rows = {}
    for model, dice in answers.items():
        given = core.assign(dice=core["prompt_id"].map(dice))
        rows[model] = {
            f"{name}_l{level}": part.loc[part["level"] == level, "dice"].mean()
            for name, part in (("whole", given), ("tiny", given[chosen])) for level in (1, 3)
        }  # fmt: skip
    return pd.DataFrame.from_dict(rows, orient="index")


def ranking(root: Path) -> Iterator[dict[str, Any]]:
    """Kendall's tau between the two orders by Dice at level 3, and how far Dice at level 3 lies off on average."""
    prompts = read_table(root / "data/bench/prompts.parquet", what="prompts", remedy="Run `make reproduce`.")
    found = foretold(prompts, answered(root / "data"))
    tau = float(kendalltau(found["whole_l3"], found["tiny_l3"]).statistic)
    error = float((found["whole_l3"] - found["tiny_l3"]).abs().mean())
    yield {"name": "tiny_suite_models", "value": len(found), "unit": "", "target": 9, "better": "higher"}
    yield {"name": "tiny_suite_rank_tau", "value": round(tau, 3), "unit": "", "target": TAU, "better": "higher"}
    yield {"name": "tiny_suite_l3_error", "value": round(error, 4), "unit": "Dice", "target": DICE}


BENCHMARKS = (ranking,)
