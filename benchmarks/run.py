"""Measure speed and memory (`make bench`), print a table, write benchmarks/results.json. Records, never asserts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pipeline_cost
import score_108k
import scoring

from semantiseg import files, measure
from semantiseg.errors import SemantiSegError

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
BENCHMARKS = (pipeline_cost.demo, pipeline_cost.smoke, scoring.speed, score_108k.recorded)
"""Functions of the repository root that return rows of {name, value, unit, target}; lower values are better, unless a
row says `better: higher`."""


def met(row: Mapping[str, Any]) -> bool:
    """Whether a row's value reaches its target."""
    higher = row.get("better", "lower") == "higher"
    return row["value"] >= row["target"] if higher else row["value"] <= row["target"]


def main() -> None:
    """Run every benchmark."""
    machine = measure.machine()
    rows = []
    for benchmark in BENCHMARKS:
        for row in benchmark(ROOT):
            rows.append(row | {"met": met(row)} | {key: machine[key] for key in ("versions", "cores")})
            verdict = "met" if rows[-1]["met"] else "missed"
            print(f"{row['name']:<22} {row['value']:>8.1f} {row['unit']:<4} target {row['target']:>5.0f}  {verdict}")
    files.write(RESULTS, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except SemantiSegError as error:
        raise SystemExit(str(error)) from None
