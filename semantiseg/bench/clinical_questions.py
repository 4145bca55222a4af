"""Which clinical sentence is asked on which slice: only where its target exists, differs from its parent, and the
verifier finds nothing against the question.

The verifier reads words, and these sentences need not be words that it reads. What it judges is therefore the same
question in plain words of the grammar: program, clauses, slice and parent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.bench.clause import Clause
from semantiseg.bench.clinical import Sentence, sentences
from semantiseg.bench.core import best_slices
from semantiseg.bench.grammar import render
from semantiseg.bench.ontology import structure
from semantiseg.bench.program import Program, atoms
from semantiseg.bench.prompt import COLUMNS, prompt_row
from semantiseg.bench.question import Question
from semantiseg.bench.scene import Scene, scenes_of
from semantiseg.bench.verification import Judge
from semantiseg.data.phantom.stream import stream
from semantiseg.data.store import VolumeStore

SUITE = "clinical"
PER_VOLUME = 16
"""Sentences of one volume: so many that every sentence whose target occurs is asked somewhere, and no more, since
gliomas on four channels would outweigh the rest."""
MINIMUM_PIXELS = 40
"""Smaller targets on a slice are no question, as in the demo's prompts."""
SLICES_TRIED = 3
"""Slices on which a described structure is looked for that is as described."""

Row = dict[str, Any]


def clinical_questions(
    volumes: Path, *, seed: int, minimum_pixels: int = MINIMUM_PIXELS, given: Sequence[Sentence] | None = None
) -> pd.DataFrame:
    """The clinical sentences asked about the test volumes, one row a question; columns of `prompts.parquet`.

    Volume by volume, the sentences that were asked least so far come first, so that all are asked about equally often.

    Args:
        volumes: folder of prepared volumes.
        seed: of the plain words put to the verifier.
        minimum_pixels: smaller targets are no question.
        given: other sentences than the benchmark's.

    Returns:
        The questions; none if no sentence fits what the test volumes label.
    """
    pool = sentences() if given is None else tuple(given)
    used: Counter[str] = Counter()
    rows: list[Row] = []
    with VolumeStore(volumes) as store:
        manifest = store.manifest
        for case_id in sorted(manifest.loc[manifest["split"] == "test", "case_id"].unique()):
            for scene in scenes_of(store, case_id):
                judge = Judge.reading(store, scene.volume_id)
                found = _ask(scene, judge, sorted(pool, key=lambda item: used[item.text]), minimum_pixels, seed)
                used.update(row["text"] for row in found)
                rows += found
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["volume_id", "slice", "program", "text"], ignore_index=True)


def _ask(scene: Scene, judge: Judge, pool: Sequence[Sentence], minimum_pixels: int, seed: int) -> list[Row]:
    """Up to `PER_VOLUME` questions of a volume, from the front of `pool`."""
    known: dict[tuple[Program, tuple[Clause, ...]], Question | None] = {}
    rows: list[Row] = []
    for sentence in pool:
        if len(rows) == PER_VOLUME:
            break
        key = (sentence.program, sentence.clauses)
        if key not in known:
            verified = _verified(scene, judge, sentence, minimum_pixels=minimum_pixels, seed=seed)
            known[key] = next(verified, None)
        question = known[key]
        if question is not None:
            rows.append(prompt_row(scene, question, sentence.text, suite=SUITE, phrasing=SUITE))
    return rows


def _verified(scene: Scene, judge: Judge, sentence: Sentence, *, minimum_pixels: int, seed: int) -> Iterator[Question]:
    """The sentence's question on slices that allow it, as the verifier accepts it in plain words."""
    if not _askable(scene, sentence.program):
        return
    rng = stream(seed, scene.volume_id, SUITE, str(sentence.program))
    count = SLICES_TRIED if sentence.clauses else 1
    for asked in best_slices(scene, sentence.program, count, minimum_pixels=minimum_pixels):
        question = Question(sentence.level, sentence.kind, asked, sentence.clauses)
        words = render(sentence.program, sentence.clauses, part="seen", rng=rng)
        row = prompt_row(scene, question, words, suite=SUITE, phrasing=SUITE)
        if not judge.reasons(row, words):
            yield question


def _askable(scene: Scene, program: Program) -> bool:
    """Whether the collection labels what the program names, and the channel shows it."""
    seen = all(
        (channels := structure(item.key).channels) is None or scene.facts["channel"] in channels
        for item in atoms(program)
    )
    return seen and scene.labels_all_of(program)
