"""The kept record of an ablation: its runs, and what they were made with (schema: `report/ablation.py`)."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from semantiseg import files
from semantiseg.errors import DataError


def read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`runs.csv` and `curves.csv`.

    Raises:
        DataError: one of them is absent or no table.
    """
    try:
        return pd.read_csv(folder / "runs.csv"), pd.read_csv(folder / "curves.csv")
    except (OSError, ValueError) as error:
        raise DataError(
            f"{folder}: expected the record of an ablation, got {error}. Run `semantiseg ablation`."
        ) from None


def provenance(folder: Path, *, data: Path) -> str:
    """In words: what the runs were made with, and whether on the data that lie in `data` now."""
    record = json.loads((folder / "record.json").read_text(encoding="utf-8"))
    runs, _ = read(folder)
    other = [name for name, value in record["inputs"].items() if files.fingerprint(data / name) != value]
    same = f"other data than those here ({', '.join(other)})" if other else "the data of this pipeline, byte by byte"
    steps, hours = record["parameters"]["train"]["steps"], runs["seconds"].sum() / 3600
    return (
        f"{len(runs)} trainings, of {steps} steps where the table says no other number: {hours:.1f} hours of training "
        f"on {record['cpu']}, on {same}. To repeat them: "
        f"`semantiseg ablation --steps {steps} --lanes {record['cores']}`."
    )
