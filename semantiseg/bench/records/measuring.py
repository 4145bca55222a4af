"""Measuring a volume once: every program that may be asked, on the slices that show it best, with all that choosing,
wording and verifying prompts needs. Voxels are not looked at again.

What the planner finds (which program may be asked where, and by what margins) and what the verifier needs (sizes,
equality of masks, measurements) come from two hands: the planner's scene and the whole slice that the verifier sees.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from semantiseg.bench.core import PER_LEVEL, best_slices
from semantiseg.bench.feasible import Asked
from semantiseg.bench.labelled_slice import LabelledSlice, read_volume
from semantiseg.bench.program import Program, atom, parent, subject
from semantiseg.bench.scene import Scene, scenes_of
from semantiseg.bench.space import compositions
from semantiseg.data.store import VolumeStore

COLUMNS = (
    "volume_id", "slice", "program", "rank", "pixels", "changed", "left_out", "mask", "facts", "measured", "reference",
)  # fmt: skip
"""Columns of `measured.parquet`, in order: `rank` is the slice's place among those that show the program best (-1 where
the program is not asked but needed to judge others), `left_out` is -1 but for exclusions, `mask` names the mask,
`facts` and `measured` are JSON, the latter "" where nothing was measured."""
_NOT_ASKED = -1


def measure_case(store: VolumeStore, case_id: str, *, minimum_pixels: int) -> list[dict[str, Any]]:
    """Rows of `measured.parquet` for all channels of a case, sorted by volume, slice and program."""
    rows = [row for scene in scenes_of(store, case_id) for row in _measure_volume(store, scene, minimum_pixels)]
    return sorted(rows, key=lambda row: (row["volume_id"], row["slice"], row["program"]))


def _measure_volume(store: VolumeStore, scene: Scene, minimum_pixels: int) -> Iterator[dict[str, Any]]:
    asked: dict[int, dict[Program, tuple[int, Asked]]] = defaultdict(dict)
    programs = [atom(item.key) for item in scene.askable]
    programs += [program for _, program in compositions(scene.askable, lateral=scene.lateral)]
    for program in programs:
        count = PER_LEVEL if program.is_atom else PER_LEVEL - 1
        for rank, found in enumerate(best_slices(scene, program, count, minimum_pixels=minimum_pixels)):
            asked[found.index][program] = rank, found
    volume = read_volume(store, scene.volume_id)
    for index, here in asked.items():
        facts = volume.axial(index)
        subjects = {subject(program) for program in here}
        for program in _needed(here, facts):
            rank, found = here.get(program, (_NOT_ASKED, None))
            told = program in here or program in subjects
            yield {"volume_id": scene.volume_id, "slice": index, **_row(program, rank, found, facts, told=told)}


def _needed(programs: dict[Program, Any], facts: LabelledSlice) -> list[Program]:
    """The programs, their parts and their parents, as far as the collection labels them."""
    needed: dict[Program, None] = {}

    def add(program: Program) -> None:
        if program not in needed and facts.labels_all_of(program):
            needed[program] = None
            add(parent(program))
            for child in program.children:
                add(child)

    for program in programs:
        add(program)
    return list(needed)


def _row(program: Program, rank: int, found: Asked | None, facts: LabelledSlice, *, told: bool) -> dict[str, Any]:
    mask = facts.mask(program)
    measured, reference = {}, ""
    if told:
        measured, reference = facts.measure(program)
    return {
        "program": str(program),
        "rank": rank,
        "pixels": int(mask.sum()),
        "changed": facts.changed(program),
        "left_out": facts.left_out(program) if program.operation == "minus" else -1,
        "mask": hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()[:16],
        "facts": json.dumps(found.facts) if found else "",
        "measured": json.dumps([list(asdict(item).values()) for item in measured.values()]) if told else "",
        "reference": reference,
    }
