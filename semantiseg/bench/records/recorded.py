"""A measured volume, read back: what the planner asks of a view and the verifier of a slice, without voxels."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from semantiseg.bench.attributes import Measurement
from semantiseg.bench.evaluate import is_defined
from semantiseg.bench.feasible import Asked
from semantiseg.bench.ontology import Structure, available
from semantiseg.bench.program import Program, parent, parse
from semantiseg.conventions import Modality
from semantiseg.errors import PromptError

Row = Mapping[str, Any]


class UnrecordedError(PromptError):
    """A program was not measured on the slice, so nothing can be said of it without voxels."""


@dataclass(frozen=True)
class RecordedScene:
    """What is known of a case's label map.

    Attributes:
        structures: label number -> ontology leaf, of all labels that the collection has.
        lateral: whether left and right may be asked.
    """

    structures: Mapping[int, str]
    lateral: bool

    def parent(self, program: Program) -> Program:
        """As `Scene.parent`."""
        whole = parent(program)
        return whole if is_defined(whole, self.structures) else program


class RecordedView:
    """One channel of a case, as its rows of `measured.parquet` tell it; the planner takes it for a `View`.

    Args:
        facts: the manifest row, `volume_id` included.
        structures: label number -> ontology leaf, of all labels that the collection has.
        rows: of `measured.parquet`, this volume's.
    """

    def __init__(self, facts: Mapping[str, Any], structures: Mapping[int, str], rows: Sequence[Row]) -> None:
        self.facts, self.volume_id = dict(facts), str(facts["volume_id"])
        self.scene = RecordedScene(structures, bool(facts["lateral"]))
        self._rows = {(row["program"], row["slice"]): row for row in rows}
        self._ranked: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(rows, key=lambda row: row["rank"]):
            if row["rank"] >= 0:
                self._ranked[row["program"]].append(row)

    @property
    def structures(self) -> list[Structure]:
        """What this volume can be asked about, present or not."""
        return available(set(self.scene.structures.values()), channel=self.facts["channel"])

    def best(self, program: Program, count: int) -> list[Asked]:
        """The program asked on up to `count` slices, as `core.best_slices` once gave them."""
        return [self._asked(program, row) for row in self._ranked[str(program)][:count]]

    def measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        """As `View.measure`.

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
        whole = self.row(self.scene.parent(program), index)["pixels"]
        return Asked(program, index, row["pixels"], whole, json.loads(row["facts"]))


class RecordedFacts:
    """`SliceFacts` of one slice of a recorded view."""

    def __init__(self, view: RecordedView, index: int) -> None:
        self._view, self._index = view, index
        self.structures, self.lateral = view.scene.structures, view.scene.lateral
        self.modality: Modality = view.facts["modality"]
        self.channel: str = view.facts["channel"]

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""
        return self._view.row(program, self._index)["pixels"]

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""
        return one == other or self._row(one)["mask"] == self._row(other)["mask"]

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent."""
        return self._row(program)["changed"]

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""
        return self._row(program)["left_out"]

    def measured(self, program: Program) -> dict[str, Measurement]:
        """Attributes of the program's value."""
        return self._view.measure(program, self._index)[0]

    def _row(self, program: Program) -> Row:
        return self._view.row(program, self._index)


@lru_cache(maxsize=4_096)
def _measurements(text: str) -> dict[str, Measurement]:
    return {item[0]: Measurement(*item) for item in json.loads(text)}


parse_program = lru_cache(maxsize=10_000)(parse)
