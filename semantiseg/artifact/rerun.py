"""Do re-run numbers agree with the committed ones, and within which tolerance?"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semantiseg.errors import DataError
from semantiseg.params import read_yaml
from semantiseg.pipeline import RUN_RECORD
from semantiseg.report import compare
from semantiseg.workspace import WORKSPACES

TABLE = Path("figures/table1.csv")
COMMITTED_RUN = Path("benchmarks/demo_run.json")
TOLERANCE = 0.05
"""Largest absolute difference of a number on another machine; on the one that made the committed results it is 0."""


def reruns(root: Path, *, against: Sequence[Path] = ()) -> list[Path]:
    """Folders that hold a run of the committed parameters: this one if a run was made here, workspaces, and `against`.

    Raises:
        DataError: a folder of `against` holds no Table 1.
    """
    for folder in against:
        if not (folder / TABLE).is_file():
            raise DataError(f"{folder}: expected {TABLE} of a run, got none. Run `semantiseg reproduce` there first.")
    here = [root] if (root / RUN_RECORD).is_file() else []
    asked = read_yaml(root / "params.yaml")
    workspaces = [
        path.parent
        for path in sorted((root / WORKSPACES).glob("*/params.yaml"))
        if (path.parent / TABLE).is_file() and read_yaml(path) == asked
    ]
    return [*here, *workspaces, *against]


def agreement(root: Path, *, tolerance: float, against: Sequence[Path] = ()) -> tuple[bool | None, str, list[str], Any]:
    """Compare the Table 1 of every re-run found with the committed one, number by number."""
    folders = reruns(root, against=against)
    if not folders:
        return None, "no re-run here; make one with `make reproduce`, or name one with --against FOLDER", [], []
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        committed = _committed(root, Path(scratch))
        for folder in folders:
            allowed = 0.0 if _same_machine(root, folder) else tolerance
            found = compare.differences(committed, folder / TABLE, tolerance=allowed)
            largest = compare.largest_difference(committed, folder / TABLE)
            name = "this folder" if folder == root else folder.as_posix()
            shown = "other rows or words" if largest == float("inf") else f"largest difference {largest:g}"
            lines += [f"{name}: {shown}, tolerance {allowed:g}", *(f"  {line}" for line in found[:5])]
            rows.append(
                {
                    "folder": name,
                    "tolerance": allowed,
                    "largest_difference": None if largest == float("inf") else largest,
                    "differences": found,
                }
            )
    bad = sum(bool(row["differences"]) for row in rows)
    return not bad, f"{len(rows) - bad} of {len(rows)} re-runs agree with the committed Table 1", lines, rows


def _committed(root: Path, scratch: Path) -> Path:
    """Table 1 as Git's HEAD has it: a re-run in this folder has replaced the file. Without Git, the file itself."""
    shown = subprocess.run(["git", "show", f"HEAD:./{TABLE}"], cwd=root, capture_output=True, check=False)
    if shown.returncode:
        return root / TABLE
    path = scratch / "committed.csv"
    path.write_bytes(shown.stdout)
    return path


def _same_machine(root: Path, folder: Path) -> bool:
    record = folder / RUN_RECORD
    if not record.is_file():
        return False
    return compare.same_machine(root / COMMITTED_RUN, json.loads(record.read_text(encoding="utf-8")))
