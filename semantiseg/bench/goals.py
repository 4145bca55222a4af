"""What a drawn volume is wanted to give and what is planned of it, suite by suite, with reasons for the difference.

These rows are what the account of a finished bench starts from (`account.py`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from semantiseg.bench.core import PER_LEVEL
from semantiseg.bench.scene import Scene
from semantiseg.bench.shortage import OF_LEVEL
from semantiseg.conventions import LEVELS

COLUMNS = ("volume_id", "collection", "split", "suite", "level", "wanted", "planned", "reasons")
"""Columns of `planned.parquet`, in order; one row a drawn volume, suite and level of the core (0: a probe suite)."""


def goal(scene: Scene, suite: str, level: int, wanted: int, short: Mapping[str, int]) -> dict[str, Any]:
    """One row of `planned.parquet`; `short` says how many are missing for which reason (codes of `shortage.py`)."""
    missing = {code: count for code, count in sorted(short.items()) if count}
    return {
        **{key: scene.facts[key] for key in ("collection", "split")}, "volume_id": scene.volume_id, "suite": suite,
        "level": level, "wanted": wanted, "planned": wanted - sum(missing.values()), "reasons": json.dumps(missing),
    }  # fmt: skip


def core_goals(scene: Scene, found: Mapping[int, int], planned: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of the core, one a level.

    Args:
        found: level -> questions that the volume allows.
        planned: level -> questions with a text; levels are kept equal, so the least found limits all.
    """
    least = min(PER_LEVEL, *found.values())
    rows = []
    for level in LEVELS:
        own = max(PER_LEVEL - found[level], 0)
        cause = OF_LEVEL[level] if any(found.values()) else "size" if scene.askable else "channel"
        short = {cause: own, "balance": PER_LEVEL - own - least, "words": least - planned[level]}
        rows.append(goal(scene, "core", level, PER_LEVEL, short))
    return rows
