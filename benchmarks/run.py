"""Run the benchmarks and write `results.json`: `make bench`, or `make bench ONLY="scoring verifier"`.

A module of this folder takes part with `BENCHMARKS`, functions of the repository root that yield rows of {name, value,
unit, target}. Lower values are better, unless a row says `better: higher`. Rows of modules that were not run stay as
they were.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semantiseg import files, measure
from semantiseg.errors import SemantiSegError

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.json"


def met(row: Mapping[str, Any]) -> bool:
    """Whether a row's value reaches its target."""
    higher = row.get("better", "lower") == "higher"
    return row["value"] >= row["target"] if higher else row["value"] <= row["target"]


def modules(names: Sequence[str]) -> list[str]:
    """The modules to run, sorted; all of the folder if no name is given.

    Raises:
        SystemExit: no such module.
    """
    known = sorted(path.stem for path in HERE.glob("*.py") if "\nBENCHMARKS = " in path.read_text(encoding="utf-8"))
    if unknown := sorted(set(names) - set(known)):
        raise SystemExit(f"expected benchmarks among {known}, got {unknown}.")
    return sorted(names) or known


def main(names: Sequence[str]) -> None:
    """Run benchmarks and merge their rows into `results.json`, sorted by name."""
    machine = measure.machine()
    rows = {row["name"]: row for row in json.loads(RESULTS.read_text(encoding="utf-8"))} if RESULTS.is_file() else {}
    for name in modules(names):
        for benchmark in importlib.import_module(name).BENCHMARKS:
            for row in benchmark(HERE.parent):
                made = row | {"met": met(row)} | {key: machine[key] for key in ("versions", "cores")}
                sign = ">=" if row.get("better") == "higher" else "<="
                verdict = "met" if made["met"] else "missed"
                print(f"{row['name']:<34} {row['value']:>9.3g} {row['unit']:<5} {sign} {row['target']:<6g} {verdict}")
                rows[row["name"]] = made
                files.write(RESULTS, json.dumps([rows[key] for key in sorted(rows)], indent=1) + "\n")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except SemantiSegError as error:
        raise SystemExit(str(error)) from None
