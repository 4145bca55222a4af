"""The account of a bench: what was wanted of the drawn volumes, what was made of it, and why the rest was not.

Counted on the written tables alone, so anybody can count again. Every missing prompt has one reason: what the volume
did not allow (codes of `shortage.py`), or what verification found (the code that opens a reason of `rejected.parquet`).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any

import pandas as pd

from semantiseg.bench.shortage import code_of
from semantiseg.bench.verification import REDRAWS
from semantiseg.conventions import LEVELS
from semantiseg.errors import DataError

COLUMNS = ("collection", "suite", "level", "present", "drawn", "wanted", "made", "short", "reasons")
"""Columns of `account.parquet`, in order; the core has a row for each level, a probe suite one, of level 0."""
AFTERWARDS = ("balance", "group")
"""Codes of rejections that follow from another prompt's."""

Key = tuple[str, str, int]


def account(
    manifest: pd.DataFrame, planned: pd.DataFrame, prompts: pd.DataFrame, rejected: pd.DataFrame
) -> list[dict[str, Any]]:
    """Rows of `COLUMNS`, for every collection of the manifest; `wanted` is `made` and `short` in each.

    Args:
        manifest: of the prepared volumes.
        planned: rows of `goals.COLUMNS`, which name the drawn volumes.
        prompts, rejected: as verification wrote them.

    Raises:
        DataError: the tables do not belong together: a prompt that nobody planned, or a loss without reason.
    """
    made, lost = _made(prompts), _lost(rejected)
    sums: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for goal in planned.to_dict("records"):
        key = (goal["volume_id"], goal["suite"], goal["level"])
        count = made.pop(key, 0)
        row = (goal["collection"], goal["suite"], goal["level"])
        sums[row].update(wanted=goal["wanted"], made=count)
        reasons[row].update(_explained(goal, lost[key], short=goal["wanted"] - count))
    if made:
        raise DataError(f"expected prompts that were planned, got {sorted(made)[:3]}. Run the stage verify again.")
    present = manifest["collection"].value_counts()
    drawn = planned.groupby("collection")["volume_id"].nunique()
    undrawn = {(collection, "core", level) for collection in set(present.index) - set(drawn.index) for level in LEVELS}
    return [
        {
            **dict(zip(("collection", "suite", "level"), row, strict=True)),
            "present": int(present[row[0]]),
            "drawn": int(drawn.get(row[0], 0)),
            "wanted": sums[row]["wanted"],
            "made": sums[row]["made"],
            "short": sums[row]["wanted"] - sums[row]["made"],
            "reasons": json.dumps(dict(sorted(reasons[row].items()))),
        }
        for row in sorted({*sums, *undrawn})
    ]


def totals(rows: pd.DataFrame) -> pd.DataFrame:
    """The account over all collections, one row a suite and level."""
    summed = rows.groupby(["suite", "level"])[["wanted", "made", "short"]].sum()
    merged = rows.groupby(["suite", "level"])["reasons"].agg(_merged)
    return summed.assign(reasons=merged).reset_index()


def _merged(reasons: pd.Series) -> str:
    return json.dumps(dict(sorted(sum((Counter(json.loads(one)) for one in reasons), Counter()).items())))


def _made(prompts: pd.DataFrame) -> Counter[Key]:
    return Counter(_key(row) for row in prompts[["volume_id", "suite", "level"]].to_dict("records"))


def _key(row: dict[str, Any]) -> Key:
    return row["volume_id"], row["suite"], row["level"] if row["suite"] == "core" else 0


def _lost(rejected: pd.DataFrame) -> dict[Key, tuple[list[str], list[str]]]:
    """Codes of the candidates that no words could save, and of those lost because of another, by volume, suite and
    level."""
    lost: dict[Key, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rejected[["prompt_id", "volume_id", "suite", "level", "reason"]].to_dict("records"):
        code = code_of(row["reason"])
        if code in AFTERWARDS:
            lost[_key(row)][1].append(code)
        else:
            refused[row["prompt_id"]].append(row)
    for _, rows in sorted(refused.items()):
        if len(rows) > REDRAWS:
            codes = Counter(code_of(row["reason"]) for row in rows)
            lost[_key(rows[0])][0].append(min(codes, key=lambda code: (-codes[code], code)))
    return lost


def _explained(goal: dict[str, Any], lost: tuple[list[str], list[str]], *, short: int) -> Counter[str]:
    """Reason -> missing prompts of one volume, suite and level.

    A refused candidate that the reserve replaced is no loss; these come first, and only as many reasons count as
    prompts are missing.
    """
    before = [code for code, count in json.loads(goal["reasons"]).items() for _ in range(count)]
    codes = [*lost[0], *before, *lost[1]]
    if not 0 <= short <= len(codes):
        raise DataError(
            f"{goal['volume_id']}, suite {goal['suite']}: expected a reason for each of {short} missing prompts, got "
            f"{len(codes)}. Run the stages prompts and verify again."
        )
    return Counter(codes[len(codes) - short :])
