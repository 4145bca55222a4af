"""Measuring a volume once: every program that may be asked, on the slices that show it best, with all that choosing,
wording and verifying prompts needs. Voxels are not looked at again.

What the planner finds (which program may be asked where, and by what margins) and what the verifier needs (sizes,
equality of masks, measurements) come from two hands: the planner's scene and the whole slice that the verifier sees.

A measured volume, read back: what the planner asks of a view and the verifier of a slice, without voxels.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import numpy as np

from semantiseg.bench.ask.feasible import Asked
from semantiseg.bench.ask.questions import PER_LEVEL, best_slices
from semantiseg.bench.ask.scene import Scene, scenes_of
from semantiseg.bench.ask.space import compositions
from semantiseg.bench.measure.attributes import Measurement
from semantiseg.bench.measure.labelled_slice import LabelledSlice, read_volume
from semantiseg.bench.verify.verifier import UnrecordedError
from semantiseg.conventions import Modality
from semantiseg.data.store import VolumeStore
from semantiseg.language.evaluate import is_defined
from semantiseg.language.ontology import Structure, available
from semantiseg.language.program import Program, atom, parent, subject

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
            place, met = here[program] if program in here else (_NOT_ASKED, None)
            told = program in here or program in subjects
            yield {"volume_id": scene.volume_id, "slice": index, **_row(program, place, met, facts, told=told)}


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
    measured, reference = facts.measure(program) if told else ({}, "")
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


Row = Mapping[str, Any]


class RecordedScene:
    """One channel of a case, as its rows of `measured.parquet` tell it; the planner takes it for a `Scene`.

    Args:
        facts: the manifest row, `volume_id` included.
        structures: label number -> ontology leaf, of all labels that the collection has.
        rows: of `measured.parquet`, this volume's.
    """

    def __init__(self, facts: Mapping[str, Any], structures: Mapping[int, str], rows: Sequence[Row]) -> None:
        self.facts, self.volume_id = dict(facts), str(facts["volume_id"])
        self.structures, self.lateral = structures, bool(facts["lateral"])
        self._rows = {(row["program"], row["slice"]): row for row in rows}
        self._ranked: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["rank"]):
            if row["rank"] >= 0:
                self._ranked[row["program"]].append(row)

    @property
    def askable(self) -> list[Structure]:
        """As `Scene.askable`."""
        return available(set(self.structures.values()), channel=self.facts["channel"])

    def parent(self, program: Program) -> Program:
        """As `Scene.parent`."""
        whole = parent(program)
        return whole if is_defined(whole, self.structures) else program

    def axial(self, index: int) -> RecordedFacts:
        """What is known of a slice."""
        return RecordedFacts(self, index)

    def best(self, program: Program, count: int) -> list[Asked]:
        """The program asked on up to `count` slices, as `core.best_slices` once gave them."""
        return [self._asked(program, row) for row in self._ranked[str(program)][:count]]

    def measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        """As `Scene.measure`.

        Raises:
            UnrecordedError: the program was not measured on the slice.
        """
        row = self.row(program, index)
        if not row["measured"]:
            raise UnrecordedError(f"{self.volume_id}: expected {program} measured on slice {index}, got no record.")
        return _measurements(row["measured"]), row["reference"]

    def row(self, program: Program, index: int) -> Row:
        """What was found of a program on a slice.

        Raises:
            UnrecordedError: it was not looked at there.
        """
        found = self._rows.get((str(program), index))
        if found is None:
            raise UnrecordedError(f"{self.volume_id}: expected {program} measured on slice {index}, got no record.")
        return found

    def _asked(self, program: Program, row: Row) -> Asked:
        index = row["slice"]
        whole = self.row(self.parent(program), index)["pixels"]
        return Asked(program, index, row["pixels"], whole, json.loads(row["facts"]))


class RecordedFacts:
    """`SliceFacts` of one slice of a recorded scene."""

    def __init__(self, scene: RecordedScene, index: int) -> None:
        self._scene, self._index = scene, index
        self.structures, self.lateral = scene.structures, scene.lateral
        self.modality: Modality = scene.facts["modality"]
        self.channel: str = scene.facts["channel"]

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""
        return self._row(program)["pixels"]

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""
        return one == other or self._row(one)["mask"] == self._row(other)["mask"]

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent."""
        return self._row(program)["changed"]

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""
        return self._row(program)["left_out"]

    def measure(self, program: Program) -> tuple[dict[str, Measurement], str]:
        """Attributes of the program's value, and the name of what it is compared with."""
        return self._scene.measure(program, self._index)

    def _row(self, program: Program) -> Row:
        return self._scene.row(program, self._index)


@lru_cache(maxsize=4_096)
def _measurements(text: str) -> dict[str, Measurement]:
    return {item[0]: Measurement(*item) for item in json.loads(text)}
