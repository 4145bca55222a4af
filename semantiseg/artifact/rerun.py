"""Do re-run numbers agree with the committed ones, quantity by quantity, within what honest runs differ by?"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.artifact import compare, published
from semantiseg.artifact.compare import Spread
from semantiseg.errors import DataError
from semantiseg.params import read_yaml
from semantiseg.pipeline.runner import RUN_RECORD, WORKSPACES

TABLE = Path("figures/table1.csv")
VERDICTS = Path("figures/claims.csv")
COMMITTED_RUN = Path("benchmarks/demo_run.json")
HEADLINE = ("l1", "l2", "l3", "pss", "collapse_rate")
"""Quantities that the page shows one by one even where they agree."""


@dataclass(frozen=True)
class Agreement:
    """One quantity of a rerun beside the committed one.

    Attributes:
        quantity: column of Table 1.
        models: how many have it.
        largest: largest absolute difference over the models.
        model: where that is.
        allowed: what honest runs may differ by, at that model.
        beyond: models whose difference is larger than allowed.
    """

    quantity: str
    models: int
    largest: float
    model: str
    allowed: float
    beyond: tuple[str, ...]

    def words(self) -> str:
        """The same in one line."""
        found = f"off by at most {self.largest:.4g} ({self.model}), allowed {self.allowed:.4g}"
        return f"{self.quantity}: {found}" + (f"; BEYOND in {', '.join(self.beyond)}" if self.beyond else "")


def reruns(root: Path, *, against: Sequence[Path] = ()) -> list[Path]:
    """Folders that hold a run of the committed parameters: this one if a run was made here, workspaces, and `against`.

    Raises:
        DataError: a folder of `against` holds no Table 1.
    """
    for folder in against:
        if not (folder / TABLE).is_file():
            raise DataError(f"{folder}: expected {TABLE} of a run, got none. Run `semantiseg reproduce` there first.")
    here = [root] if (root / RUN_RECORD).is_file() or published.is_rerun(root) else []
    asked = read_yaml(root / "params.yaml")
    workspaces = [
        path.parent
        for path in sorted((root / WORKSPACES).glob("*/params.yaml"))
        if (path.parent / TABLE).is_file() and read_yaml(path) == asked
    ]
    return [*here, *workspaces, *against]


def agreement(root: Path, *, against: Sequence[Path] = ()) -> tuple[bool | None, str, list[str], Any]:
    """Compare Table 1 and the verdicts of every re-run found with the committed ones."""
    folders = reruns(root, against=against)
    if not folders:
        return None, "no re-run here; make one with `make reproduce`, or name one with --against FOLDER", [], []
    spreads = compare.measured_spread(root)
    rows, lines = [], []
    for folder in folders:
        found, problems = _folder(root, folder, spreads)
        name = "this folder" if folder == root else folder.as_posix()
        lines += [f"{name}: {_tally(found, problems)}", *(f"  {line}" for line in problems)]
        lines += [f"  {entry.words()}" for entry in found if entry.beyond or entry.quantity in HEADLINE]
        agrees = not problems and not any(entry.beyond for entry in found)
        rows.append(
            {"folder": name, "agrees": agrees, "problems": problems, "quantities": [asdict(entry) for entry in found]}
        )
    good = sum(bool(row["agrees"]) for row in rows)
    return good == len(rows), f"{good} of {len(rows)} re-runs agree with the committed Table 1", lines, rows


def _folder(root: Path, folder: Path, spreads: Mapping[str, Spread]) -> tuple[list[Agreement], list[str]]:
    old, problems = committed_table(root, TABLE), []
    exact = rerun_on_same_machine(root, folder)
    found, words = quantities(old, compare.read_table1(folder / TABLE), {} if exact else spreads)
    problems += words
    if (folder / VERDICTS).is_file():
        problems += flipped(committed_table(root, VERDICTS, key="id"), pd.read_csv(folder / VERDICTS).set_index("id"))
    if folder == root and published.is_rerun(root):
        # What was made here is what its own lock records: a digit changed after the run is seen.
        passed, _, details, _ = published.check_published(root)
        problems += [] if passed else details
    return found, problems


def committed_table(root: Path, path: Path, *, key: str = "model") -> pd.DataFrame:
    """A table as Git's HEAD has it, as a re-run in this folder has replaced the file; without Git, the file itself."""
    content = published.committed_content(root, path)
    return pd.read_csv(root / path if content is None else io.BytesIO(content)).set_index(key)


def quantities(
    old: pd.DataFrame, new: pd.DataFrame, spreads: Mapping[str, Spread]
) -> tuple[list[Agreement], list[str]]:
    """Every measured number of two Tables 1 (a row a model), and where rows, columns, words or counts differ.

    A quantity without a spread must be the same: no `spreads` asks for the same numbers throughout.
    """
    if set(old.columns) != set(new.columns) or list(old.index) != list(new.index):
        wanted = f"{len(old)} rows ({', '.join(old.index)}) of {len(old.columns)} columns"
        return [], [f"Table 1: expected {wanted}, got {len(new)} rows ({', '.join(new.index)}) of {len(new.columns)}"]
    found, problems = [], []
    for column in old.columns:
        one, other = old[column], new[column]
        if one.dtype.kind == "f" and other.dtype.kind == "f":
            if (one.isna() != other.isna()).any():
                problems.append(f"{column}: defined for other models")
            elif one.notna().any():
                found.append(_agreement(column, (one - other).abs().dropna(), old, spreads))
        elif not one.equals(other):
            problems.append(f"{column}: expected {list(one)}, got {list(other)}")
    return found, problems


def _agreement(column: str, apart: pd.Series, old: pd.DataFrame, spreads: Mapping[str, Spread]) -> Agreement:
    base = column.removesuffix("_low").removesuffix("_high")
    bounded = {f"{base}_low", f"{base}_high"} <= set(old.columns)
    width = (old[f"{base}_high"] - old[f"{base}_low"]).fillna(0.0) if bounded else pd.Series(0.0, index=old.index)
    known = spreads.get(column)
    # A millionth part: tables hold six decimals.
    allowed = pd.Series({name: known.allowed(width=width[name]) if known else 0.0 for name in apart.index}) + 1e-9
    worst = str((apart / allowed).idxmax())
    return Agreement(
        quantity=column,
        models=len(apart),
        largest=float(apart[worst]),
        model=worst,
        allowed=float(allowed[worst]),
        beyond=tuple(apart.index[apart > allowed]),
    )


def flipped(old: pd.DataFrame, new: pd.DataFrame) -> list[str]:
    """Claims (by id) whose verdict is another one in the re-run."""
    return [
        f"claim {name}: {old.loc[name, 'verdict']!r} committed, {new.loc[name, 'verdict']!r} in the re-run"
        for name in old.index.intersection(new.index)
        if old.loc[name, "verdict"] != new.loc[name, "verdict"]
    ]


def _tally(found: Sequence[Agreement], problems: Sequence[str]) -> str:
    beyond = sum(bool(entry.beyond) for entry in found)
    words = f"{len(found) - beyond} of {len(found)} quantities agree"
    return f"{words}, {len(problems)} other differences" if problems else words


def rerun_on_same_machine(root: Path, folder: Path) -> bool:
    """Was the run in `folder` made on the machine, and with the versions, of the committed one?"""
    record = folder / RUN_RECORD
    if not record.is_file():
        return False
    return compare.same_machine(root / COMMITTED_RUN, json.loads(record.read_text(encoding="utf-8")))
