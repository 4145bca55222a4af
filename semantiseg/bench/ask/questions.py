"""Questions: a program and clauses asked on a slice of a volume, with the evidence; still without words.

The nine core prompts of a volume: three of each level, as different from one another as the volume allows.

Prompts as rows: a question put into words, with everything that the Parquet files say of it.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from semantiseg.bench.ask.feasible import Asked, asked_on
from semantiseg.bench.ask.scene import Asking, Scene
from semantiseg.bench.measure.attributes import clauses_of
from semantiseg.conventions import LEVELS
from semantiseg.language.clause import Clause, to_json
from semantiseg.language.grammar.surface import has_words, render
from semantiseg.language.grammar.tables import Part
from semantiseg.language.ontology import structure
from semantiseg.language.program import Program, atom, subject

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


def attribute_question(scene: Asking, asked: Asked, rng: np.random.Generator) -> Question | None:
    """Level 2: a structure with one to three attributes that are true on the slice; None if it has none."""
    drawn = _draw_clauses(scene, asked, rng, count=1 + int(rng.choice(3, p=CLAUSE_COUNTS)))
    return Question(2, "attribute", asked, *drawn) if drawn[0] else None


def composition(scene: Asking, kind: str, asked: Asked, rng: np.random.Generator) -> Question:
    """Level 3: a composed program, now and then with one attribute."""
    carries = asked.program.operation in CARRIES_CLAUSE and structure(subject(asked.program).key).kind == "lesion"
    with_clause = bool(rng.random() < COMPOSED_CLAUSE) and carries and not _joins(asked.program)
    return Question(3, kind, asked, *(_draw_clauses(scene, asked, rng, count=1) if with_clause else ((), ())))


def all_at(
    scene: Scene, index: int, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """Every question that slice `index` of the volume allows: names, a description of each, every composition of
    `space`."""
    atoms = [asked_on(scene, atom(item.key), index, minimum_pixels=minimum_pixels) for item in scene.askable]
    named = [asked for asked in atoms if asked is not None]
    described = [attribute_question(scene, asked, rng) for asked in named]
    composed = [(kind, asked_on(scene, program, index, minimum_pixels=minimum_pixels)) for kind, program in space]
    return [
        *(name(asked) for asked in named),
        *(question for question in described if question is not None),
        *(composition(scene, kind, asked, rng) for kind, asked in composed if asked is not None),
    ]


def _joins(program: Program) -> bool:
    """Whether the target is told by a union or by what remains of it: an adjective would not say of which member."""
    return any(node.operation == "union" for node in program.walk())


def _draw_clauses(
    scene: Asking, asked: Asked, rng: np.random.Generator, *, count: int
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


PER_LEVEL = 3
"""Core prompts of each level."""
RESERVE = 1
"""Further prompts of each level, for when verification rejects one of the core."""
SLICES_TRIED = 12
"""Slices, largest target first, on which a composition is tried before it is given up."""
DESCRIPTIONS_DRAWN = 4
"""Sets of attributes drawn for each structure and slice; those that come out equal count once."""
APART_MM = 4.0
"""Slices of repeated questions lie at least this far apart: neighbours show the same picture."""


def choose_core(options: Sequence[Question], rng: np.random.Generator) -> tuple[list[Question], list[Question], str]:
    """Nine questions, or fewer in equal numbers of each level; what may replace one of them; the reason if they are
    fewer, else ""."""
    chosen = {
        level: choose_varied([item for item in options if item.level == level], PER_LEVEL + RESERVE, rng)
        for level in LEVELS
    }
    least = min(PER_LEVEL, *map(len, chosen.values()))
    core = [question for level in LEVELS for question in chosen[level][:least]]
    reserve = [question for level in LEVELS for question in chosen[level][least : least + RESERVE]]
    short = [f"level {level}: {len(found)} of {PER_LEVEL}" for level, found in chosen.items() if len(found) < PER_LEVEL]
    return core, reserve, "; ".join(short)


def choose_varied(options: Sequence[Question], count: int, rng: np.random.Generator) -> list[Question]:
    """Up to `count` questions, each the one that repeats least of those already taken: signature, kind, structure,
    slice."""
    order = [options[position] for position in rng.permutation(len(options))]
    used: Counter[Any] = Counter()
    chosen: list[Question] = []
    while order and len(chosen) < count:
        best = min(range(len(order)), key=lambda position: _repetition(order[position], used))
        chosen.append(order.pop(best))
        used.update(_marks(chosen[-1]))
    return chosen


def core_options(
    scene: Asking, space: list[tuple[str, Program]], rng: np.random.Generator, *,
    best: Callable[[Program, int], list[Asked]],
) -> list[Question]:  # fmt: skip
    """All questions of the volume that the core may be chosen from, each on the slices that show its target best.

    `best(program, count)` gives the program asked on up to `count` of them: `best_slices`, or what it once gave.
    """
    named = [asked for item in scene.askable for asked in best(atom(item.key), PER_LEVEL)]
    described = [question for asked in named for question in _descriptions(scene, asked, rng)]
    composed = [composition(scene, kind, asked, rng) for kind, program in space for asked in best(program, 2)]
    # One structure on one slice still has several names: the words will differ.
    repeated = [asked for _ in range(PER_LEVEL) for asked in named][: max(PER_LEVEL, len(named))]
    return [*map(name, repeated), *described, *composed]


def best_slices(scene: Scene, program: Program, count: int, *, minimum_pixels: int) -> list[Asked]:
    """The program asked on up to `count` slices that lie apart, largest target first."""
    areas = scene.areas(program)
    order = [
        int(index) for index in np.argsort(-areas, kind="stable")[: SLICES_TRIED * 2] if areas[index] >= minimum_pixels
    ]
    found: list[Asked] = []
    tried: list[int] = []
    for index in order:
        if len(found) == count or len(tried) == SLICES_TRIED:
            break
        if any(abs(index - asked.index) * scene.spacing_mm < APART_MM for asked in found):
            continue
        tried.append(index)
        asked = asked_on(scene, program, index, minimum_pixels=minimum_pixels)
        if asked is not None:
            found.append(asked)
    return found


def _descriptions(scene: Asking, asked: Asked, rng: np.random.Generator) -> list[Question]:
    drawn = [attribute_question(scene, asked, rng) for _ in range(DESCRIPTIONS_DRAWN)]
    return list({question.signature: question for question in drawn if question is not None}.values())


def _repetition(question: Question, used: Counter[Any]) -> tuple[int, ...]:
    """How much a question repeats of those already chosen. Between equals a half comes last: every structure has
    halves."""
    signature, kind, *rest = (used[mark] for mark in _marks(question))
    return signature, kind, int(question.program.operation == "half"), *rest


def _marks(question: Question) -> tuple[Any, ...]:
    """What a question should not share with those already chosen, most important first."""
    return (
        ("signature", question.level, question.signature),
        ("kind", question.level, question.kind),
        ("structure", question.level, subject(question.program).key),
        ("operation", question.level, question.program.operation),
        ("slice", question.asked.index),
    )


DRAWS = 12
"""Texts drawn before it is given up that a new one differs from those taken."""

@dataclass(frozen=True)
class PromptRow:
    """A prompt: a row of `candidates.parquet` and `prompts.parquet`."""

    prompt_id: Annotated[str, "hash of volume, slice, suite, program, clauses and text"]
    volume_id: Annotated[str, "single-channel volume, <case_id>:<channel>"]
    case_id: Annotated[str, "case; its channels share one label map"]
    patient_id: Annotated[str, "patient; splits never divide one"]
    collection: Annotated[str, "source collection"]
    origin: Annotated[str, "phantom (synthetic), official or user"]
    modality: Annotated[str, "CT or MR"]
    channel: Annotated[str, "CT, T1, T1c, T2, FLAIR or ADC"]
    split: Annotated[str, "train, validation or test, by patient"]
    slice: Annotated[int, "axial slice of the prepared volume on which the prompt is asked, counted from inferior"]
    suite: Annotated[str, "core, phrasing, triple, paraphrase, counterfactual or absent"]
    group: Annotated[str, "shared by the prompts of one triple, paraphrase group or counterfactual pair; else empty"]
    level: Annotated[int, "1 name, 2 description, 3 composition; in sums 0 for a probe suite as a whole"]
    kind: Annotated[str, "name, attribute, side, exclusion, distractor, spatial or instance"]
    structure: Annotated[str, "which of the paper's structures the prompt counts under"]
    program: Annotated[str, "program over the label map whose value on the slice is the target mask"]
    parent: Annotated[str, "program of what a reader who ignores every qualifier would mark"]
    clauses: Annotated[str, "JSON list of attribute clauses"]
    text: Annotated[str, "the prompt"]
    phrasing: Annotated[str, "part of the grammar: seen, unseen_template, unseen_synonym, or unseen (both)"]
    evidence: Annotated[str, "JSON: limits cleared by the program, one measurement for each clause"]
    target_pixels: Annotated[int, "pixels of the target on the slice"]
    parent_pixels: Annotated[int, "pixels of the parent on the slice"]


@dataclass(frozen=True)
class RejectedRow(PromptRow):
    """A prompt that the verifier did not accept: a row of `rejected.parquet`."""

    reason: Annotated[str, "why the prompt was rejected"]


_FROM_MANIFEST = ("volume_id", "case_id", "patient_id", "collection", "origin", "modality", "channel", "split")


def word(question: Question, *, part: Part, rng: np.random.Generator, taken: Collection[str] = ()) -> str | None:
    """A text for the question that is not among those taken; None if the grammar offers no other."""
    for _ in range(DRAWS):
        text = render(question.program, question.clauses, part=part, rng=rng)
        if text not in taken:
            return text
    return None


def wordable(question: Question, *parts: Part) -> bool:
    """Whether the grammar has words for the question in all the given parts."""
    return all(has_words(question.program, question.clauses, part=part) for part in parts)


def prompt_row(
    scene: Asking, question: Question, text: str, *, suite: str, phrasing: str, group: str = ""
) -> dict[str, Any]:
    """One row of `candidates.parquet`."""
    program = question.program
    row = {key: scene.facts[key] for key in _FROM_MANIFEST} | {
        "slice": question.asked.index,
        "suite": suite,
        "group": group,
        "level": question.level,
        "kind": question.kind,
        "structure": structure(subject(program).key).main,
        "program": str(program),
        "parent": str(scene.parent(program)),
        "clauses": to_json(question.clauses),
        "text": text,
        "phrasing": phrasing,
        "evidence": json.dumps(question.evidence(), sort_keys=True),
        "target_pixels": question.asked.target_pixels,
        "parent_pixels": question.asked.parent_pixels,
    }
    return {"prompt_id": prompt_id(row), **row}


def training_rejection(facts: Mapping[str, Any], question: Mapping[str, Any], text: str, reason: str) -> dict[str, Any]:
    """One row of `rejected.parquet` for a text of a training question (a row of `training.parquet`) about the volume
    `facts`."""
    row = {key: facts[key] for key in _FROM_MANIFEST} | {
        **{key: value for key, value in question.items() if key != "texts"},
        "suite": "training", "group": "", "text": text, "phrasing": "seen", "evidence": "{}",
        "parent_pixels": 0, "reason": reason,
    }  # fmt: skip
    return {"prompt_id": prompt_id(row), **row}


def prompt_id(row: Mapping[str, Any]) -> str:
    """Twelve hexadecimal digits that name a prompt: the same question in the same words has the same id in every
    run."""
    keys = ("volume_id", "slice", "suite", "program", "clauses", "text")
    return hashlib.sha256("\0".join(str(row[key]) for key in keys).encode()).hexdigest()[:12]


def group_id(scene: Scene, suite: str, question: Question) -> str:
    """Name of a group of prompts, after its first question."""
    names = (scene.volume_id, suite, str(question.asked.index), *question.signature)
    return suite[0] + hashlib.sha256("\0".join(names).encode()).hexdigest()[:11]
