"""Questions: a program and clauses asked on a slice of a volume, with the evidence; still without words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from semantiseg.bench.attributes import clauses_of
from semantiseg.bench.clause import Clause, to_json
from semantiseg.bench.feasible import Asked, ask
from semantiseg.bench.ontology import structure
from semantiseg.bench.program import Program, atom, subject
from semantiseg.bench.scene import Scene

CLAUSE_COUNTS = (0.5, 0.35, 0.15)
"""Chances of one, two and three clauses in a level 2 prompt."""
COMPOSED_CLAUSE = 0.25
"""Chance of a clause in a level 3 prompt that can carry one."""
DIAMETER = 0.3
"""Chance that a diameter may be said where it is known: numbers are many, and each makes a sentence of its own."""
CARRIES_CLAUSE = frozenset({"side", "within", "largest", "smallest", "minus"})
"""Compositions about one lesion, of which an adjective still makes sense."""


@dataclass(frozen=True)
class Question:
    """One question; `kind` and `level` as in docs/architecture.md."""

    level: int
    kind: str
    asked: Asked
    clauses: tuple[Clause, ...] = ()
    clause_evidence: tuple[dict[str, Any], ...] = ()

    @property
    def program(self) -> Program:
        return self.asked.program

    @property
    def signature(self) -> tuple[str, str]:
        """What the words depend on: the printed program and the clauses."""
        return str(self.program), to_json(self.clauses)

    def evidence(self) -> dict[str, Any]:
        """What makes the prompt true: limits cleared by the program, and one measurement for each clause."""
        return {"program": self.asked.facts, "clauses": list(self.clause_evidence)}


def name(asked: Asked) -> Question:
    """Level 1: a structure's name."""
    return Question(1, "name", asked)


def description(scene: Scene, asked: Asked, rng: np.random.Generator) -> Question | None:
    """Level 2: a structure with one to three attributes that are true on the slice; None if it has none."""
    drawn = _draw_clauses(scene, asked, rng, count=1 + int(rng.choice(3, p=CLAUSE_COUNTS)))
    return Question(2, "attribute", asked, *drawn) if drawn[0] else None


def composition(scene: Scene, kind: str, asked: Asked, rng: np.random.Generator) -> Question:
    """Level 3: a composed program, now and then with one attribute."""
    carries = asked.program.operation in CARRIES_CLAUSE and structure(subject(asked.program).key).kind == "lesion"
    with_clause = bool(rng.random() < COMPOSED_CLAUSE) and carries and not _joins(asked.program)
    return Question(3, kind, asked, *(_draw_clauses(scene, asked, rng, count=1) if with_clause else ((), ())))


def all_at(
    scene: Scene, index: int, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """Every question that slice `index` of the volume allows: names, a description of each, every composition of
    `space`."""
    atoms = [ask(scene, atom(item.key), index, minimum_pixels=minimum_pixels) for item in scene.askable]
    named = [asked for asked in atoms if asked is not None]
    described = [description(scene, asked, rng) for asked in named]
    composed = [(kind, ask(scene, program, index, minimum_pixels=minimum_pixels)) for kind, program in space]
    return [
        *(name(asked) for asked in named),
        *(question for question in described if question is not None),
        *(composition(scene, kind, asked, rng) for kind, asked in composed if asked is not None),
    ]


def _joins(program: Program) -> bool:
    """Whether the target is told by a union or by what remains of it: an adjective would not say of which member."""
    return any(node.operation == "union" for node in program.walk())


def _draw_clauses(
    scene: Scene, asked: Asked, rng: np.random.Generator, *, count: int
) -> tuple[tuple[Clause, ...], tuple[dict[str, Any], ...]]:
    measurements, compared_with = scene.measure(asked.program, asked.index)
    found = clauses_of(measurements)
    if not asked.program.is_atom:
        # "The smooth tumour without its core": the adjective hangs on the subject, so it must be true of both.
        of_subject = dict(clauses_of(scene.measure(subject(asked.program), asked.index)[0]))
        found = [item for item in found if item[0] in of_subject]
    sized = structure(subject(asked.program).key).kind != "organ" and rng.random() < DIAMETER
    usable = [item for item in found if item[0].attribute != "diameter" or sized]
    picked = [usable[position] for position in sorted(rng.permutation(len(usable))[:count])]
    return (
        tuple(clause for clause, _ in picked),
        tuple(_evidence(measured, compared_with) for _, measured in picked),
    )


def _evidence(measured: dict[str, Any], compared_with: str) -> dict[str, Any]:
    """What the Parquet files keep of a measurement; outlines are compared with nothing."""
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in measured.items()}
    return rounded if measured["attribute"] in ("shape", "diameter") else rounded | {"reference": compared_with}
