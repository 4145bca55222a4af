"""Why a prompt that is wanted is not made: one vocabulary for the plan, the build and the account.

A reason is a code, a colon and a sentence, as the verifier's reasons are; tables count by the code.

Which volumes a benchmark of a given size is made of: a stratified draw with a fixed seed.

Strata are the collections' tasks. Unweighted, 88% of all volumes would be brain MR, so a draw that has to leave
something out leaves it out of the largest tasks first: every task gives what it has up to one common cap, the smallest
that reaches the total. Within a task the draw spreads over patients before it takes a second channel of any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from semantiseg.conventions import SPLITS, groups_of
from semantiseg.errors import ParameterError

if TYPE_CHECKING:
    import pandas as pd


REASONS: dict[str, str] = {
    "draw": "left out so that the tasks share the total",
    "channel": "nothing labelled can be seen on this channel",
    "size": "no labelled structure is large enough on a slice",
    "name": "too few names and slices",
    "description": "nothing stands out enough to be described",
    "composition": "too few compositions change a mask clearly on a slice",
    "balance": "another level of this volume has fewer",
    "core": "fewer core questions to be asked again",
    "triple": "no mask that a name, a description and a composition share",
    "paraphrase": "no composition to be put into five texts",
    "counterfactual": "no two programs, one word apart, with different masks on a slice",
    "absent": "its structures are there in every case",
    "words": "the grammar has no further text",
}
"""Code -> what is missing, for what is short before any text is verified."""

OF_LEVEL = {1: "name", 2: "description", 3: "composition"}
"""Level -> code of what it lacks."""


def reason(code: str, more: str = "") -> str:
    """The whole reason; `more` says it of this case."""
    return f"{code}: {REASONS[code]}" + (f", {more}" if more else "")


def code_of(text: str) -> str:
    """The code that opens a reason."""
    return text.partition(":")[0]


def allocate(present: Mapping[str, int], total: int, *, cap: int | None = None) -> dict[str, int]:
    """Volumes to take from each task: `total` in all, or all that there are below `cap`.

    Args:
        present: task -> volumes that there are.
        total: volumes wanted.
        cap: most of any task, None for no other cap than the common one that the total implies.

    Raises:
        ParameterError: a count is negative.
    """
    if total < 0 or min(present.values(), default=0) < 0 or (cap is not None and cap < 0):
        raise ParameterError(f"expected counts of at least 0, got total {total}, cap {cap}, {dict(present)}.")
    room = {task: count if cap is None else min(count, cap) for task, count in present.items()}
    given: dict[str, int] = {}
    left = min(total, sum(room.values()))
    # Smallest first: what a small task cannot use goes to the larger ones. Equal tasks differ by one volume at most.
    for position, task in enumerate(sorted(room, key=lambda task: (room[task], task))):
        given[task] = min(room[task], left // (len(room) - position))
        left -= given[task]
    return {task: given[task] for task in present}


def draw_volumes(manifest: pd.DataFrame, total: int | None, *, seed: int, cap: int | None = None) -> list[str]:
    """Ids of the drawn volumes, sorted. A smaller draw of the same task is part of a larger one.

    Args:
        manifest: indexed by `volume_id`, with `collection` and `patient_id` (see docs/architecture.md).
        total, cap: see `allocate`; None for all that there are.
        seed: of the order in which patients, and the volumes of a patient, are taken.
    """
    present = {str(name): int(count) for name, count in manifest["collection"].value_counts().sort_index().items()}
    wanted = allocate(present, len(manifest) if total is None else total, cap=cap)
    drawn: list[str] = []
    for task, rows in groups_of(manifest, "collection"):
        turns: dict[str, int] = {}
        order = []
        for volume_id in sorted(rows.index, key=lambda volume_id: _rank(seed, volume_id)):
            patient = rows.loc[volume_id, "patient_id"]
            turns[patient] = turns.get(patient, 0) + 1
            order.append((turns[patient], _rank(seed, patient), volume_id))
        drawn += [volume_id for _, _, volume_id in sorted(order)[: wanted[task]]]
    return sorted(drawn)


def drawn_of(manifest: pd.DataFrame, drawn: Collection[str]) -> pd.DataFrame:
    """What the draw took from each task: volumes `present`, `drawn` and `left out`, patients of the drawn, and the
    drawn volumes of each split."""
    chosen = manifest.loc[sorted(drawn)]
    table = manifest.groupby("collection").size().rename("present").to_frame()
    table["drawn"] = chosen.groupby("collection").size()
    table["left out"] = table["present"] - table["drawn"].fillna(0)
    table["patients"] = chosen.groupby("collection")["patient_id"].nunique()
    splits = chosen.groupby(["collection", "split"]).size().unstack("split").reindex(columns=list(SPLITS))
    return table.join(splits).fillna(0).astype(int)


def _rank(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}/{name}".encode()).digest()
