"""A measured volume, read back: what the planner asks of a view and the verifier of a slice, without voxels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from semantiseg.bench.attributes import Measurement
from semantiseg.bench.evaluate import is_defined
from semantiseg.bench.feasible import Asked
from semantiseg.bench.ontology import Structure, available
from semantiseg.bench.program import Program, parent
from semantiseg.bench.verifier import UnrecordedError
from semantiseg.conventions import Modality

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
