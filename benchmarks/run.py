"""Measure speed and memory (`make bench`), print a table, write benchmarks/results.json. Records, never asserts."""

from __future__ import annotations

import json
from pathlib import Path

import pipeline_cost
import prepare_speed

from semantiseg import files, measure
from semantiseg.errors import SemantiSegError

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
BENCHMARKS = (pipeline_cost.demo, pipeline_cost.smoke, prepare_speed.against_monai, prepare_speed.attributes)
"""Functions of the repository root that return rows of {name, value, unit, target}; lower values are better,
unless a row brings its own `met`."""


def main() -> None:
    """Run every benchmark."""
    machine = measure.machine()
    rows = []
    for benchmark in BENCHMARKS:
        for row in benchmark(ROOT):
            rows.append(
                {"met": row["value"] <= row["target"]} | row | {key: machine[key] for key in ("versions", "cores")}
            )
            verdict = "met" if rows[-1]["met"] else "missed"
            print(f"{row['name']:<22} {row['value']:>8.1f} {row['unit']:<4} target {row['target']:>5.0f}  {verdict}")
    files.write(RESULTS, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    try:
        main()
    except SemantiSegError as error:
        raise SystemExit(str(error)) from None
