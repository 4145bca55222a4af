"""Training questions: everything that may be asked of a handful of slices, each with texts drawn from the grammar's
training part."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np

from semantiseg.bench.ask.candidates import absent_programs
from semantiseg.bench.ask.feasible import ask_absent
from semantiseg.bench.ask.questions import Question, all_at, best_slices, wordable
from semantiseg.bench.ask.scene import Scene
from semantiseg.bench.ask.space import compositions
from semantiseg.language.clause import Clause, to_json
from semantiseg.language.grammar.surface import texts
from semantiseg.language.ontology import structure
from semantiseg.language.program import Program, atom, subject
from semantiseg.randomness import stream

ABSENT_SHARE = 0.14
"""Share of the training questions of a slice whose target is not there, so that emptiness can be learned; slices of
complete collections have nothing to be missed, which leaves about 8% of all."""
POOL_PER_TEXT = {1: 2.0, 2: 0.125, 3: 1.25}
"""Level -> distinct texts made for one program and clause set, as a multiple of `texts_per_question`.

Every row draws from its pool, so rows of one program see different texts. Descriptions are many (each set of clauses
is a signature of its own) and rarely come back: few texts each keep the whole near the number that a text encoder can
read in a minute.
"""

@dataclass(frozen=True)
class TrainingRow:
    """A training question: a row of `training.parquet`."""

    volume_id: Annotated[str, "single-channel volume, <case_id>:<channel>"]
    split: Annotated[str, "train, validation or test, by patient"]
    slice: Annotated[int, "axial slice of the prepared volume on which the prompt is asked, counted from inferior"]
    level: Annotated[int, "1 name, 2 description, 3 composition; in sums 0 for a probe suite as a whole"]
    kind: Annotated[str, "name, attribute, side, exclusion, distractor, spatial or instance"]
    structure: Annotated[str, "which of the paper's structures the prompt counts under"]
    program: Annotated[str, "program over the label map whose value on the slice is the target mask"]
    parent: Annotated[str, "program of what a reader who ignores every qualifier would mark"]
    clauses: Annotated[str, "JSON list of attribute clauses"]
    texts: Annotated[list[str], "training texts of the question"]
    target_pixels: Annotated[int, "pixels of the target on the slice"]


def training_rows(
    scene: Scene, *, minimum_pixels: int, slices_per_volume: int, texts_per_question: int, seed: int
) -> list[dict[str, Any]]:
    """Rows of `training.parquet` for one volume of the train or validation split."""
    space = compositions(scene.askable, lateral=scene.lateral)
    rng = stream(seed, scene.volume_id, "training")
    rows = []
    for index in training_slices(scene, slices_per_volume, minimum_pixels=minimum_pixels):
        questions = all_at(scene, index, space, rng, minimum_pixels=minimum_pixels)
        questions += _absent_at(scene, index, rng, present=len(questions))
        questions = [question for question in questions if wordable(question, "seen")]
        rows += [_row(scene, question, rng, texts_per_question=texts_per_question, seed=seed) for question in questions]
    return rows


def training_slices(scene: Scene, count: int, *, minimum_pixels: int) -> list[int]:
    """Up to `count` slices: those that show each structure best, then evenly over the labelled extent; sorted.

    Even spacing alone would miss small lesions, which are what most compositions are about.
    """
    best = [
        asked.index
        for item in scene.askable
        for asked in best_slices(scene, atom(item.key), 1, minimum_pixels=minimum_pixels)
    ]
    labelled = np.flatnonzero(sum(scene.areas(atom(item.key)) for item in scene.askable) >= minimum_pixels)
    chosen = list(dict.fromkeys(best))[: max(count // 2, 1)]
    if labelled.size:
        for position in (np.arange(count) + 0.5) / count * labelled.size:
            index = int(labelled[int(position)])
            if len(chosen) < count and index not in chosen:
                chosen.append(index)
    return sorted(chosen)


def text_pool(question: Question, *, texts_per_question: int, seed: int) -> list[str]:
    """Distinct training texts of one program and clause set: the same in every volume and process."""
    size = max(int(round(POOL_PER_TEXT[question.level] * texts_per_question)), 1)
    return _pool(question.program, question.clauses, size, seed)


@lru_cache(maxsize=10_000)
def _pool(program: Program, clauses: tuple[Clause, ...], size: int, seed: int) -> list[str]:
    rng = stream(seed, "pool", str(program), to_json(clauses))
    return texts(program, clauses, part="seen", count=size, rng=rng)


def _absent_at(scene: Scene, index: int, rng: np.random.Generator, *, present: int) -> list[Question]:
    """Questions about what is not on the slice, as many as keep their share."""
    wanted = int(present * ABSENT_SHARE / (1 - ABSENT_SHARE) + rng.random())
    programs = list(absent_programs(scene))
    found: list[Question] = []
    for position in rng.permutation(len(programs)):
        if len(found) >= wanted:
            break
        kind, program = programs[position]
        asked = ask_absent(scene, program, index)
        if asked is not None:
            found.append(Question(1 if program.is_atom else 3, kind, asked))
    return found


def _row(
    scene: Scene, question: Question, rng: np.random.Generator, *, texts_per_question: int, seed: int
) -> dict[str, Any]:
    pool = text_pool(question, texts_per_question=texts_per_question, seed=seed)
    drawn = rng.permutation(len(pool))[:texts_per_question]
    program = question.program
    return {
        "volume_id": scene.volume_id,
        "split": scene.facts["split"],
        "slice": question.asked.index,
        "level": question.level,
        "kind": question.kind,
        "structure": structure(subject(program).key).main,
        "program": str(program),
        "parent": str(scene.parent(program)),
        "clauses": to_json(question.clauses),
        "texts": sorted(pool[position] for position in drawn),
        "target_pixels": question.asked.target_pixels,
    }
