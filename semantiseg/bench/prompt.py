"""Prompts as rows: a question put into words, with everything that the Parquet files say of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from semantiseg.bench.clause import to_json
from semantiseg.bench.grammar import has_words, render
from semantiseg.bench.ontology import structure
from semantiseg.bench.program import subject
from semantiseg.bench.question import Question
from semantiseg.bench.scene import Scene

DRAWS = 12
"""Texts drawn before it is given up that a new one differs from those taken."""

COLUMNS = (
    "prompt_id", "volume_id", "case_id", "patient_id", "collection", "origin", "modality", "channel", "split", "slice",
    "suite", "group", "level", "kind", "structure", "program", "parent", "clauses", "text", "phrasing", "evidence",
    "target_pixels", "parent_pixels",
)  # fmt: skip
"""Columns of `candidates.parquet` and `prompts.parquet`, in order."""

_FROM_MANIFEST = ("volume_id", "case_id", "patient_id", "collection", "origin", "modality", "channel", "split")


def word(question: Question, *, part: str, rng: np.random.Generator, taken: Collection[str] = ()) -> str | None:
    """A text for the question that is not among those taken; None if the grammar offers no other."""
    for _ in range(DRAWS):
        text = render(question.program, question.clauses, part=part, rng=rng)
        if text not in taken:
            return text
    return None


def wordable(question: Question, *parts: str) -> bool:
    """Whether the grammar has words for the question in all the given parts."""
    return all(has_words(question.program, question.clauses, part=part) for part in parts)


def prompt_row(
    scene: Scene, question: Question, text: str, *, suite: str, phrasing: str, group: str = ""
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
