"""The clinical sentences: hand-written requests in report style, outside the grammar, never trained on.

They are data (`clinical_sentences.yaml`, versioned with the benchmark); this module reads and checks them.

Which clinical sentence is asked on which slice: only where its target exists, differs from its parent, and the
verifier finds nothing against the question.

The verifier reads words, and these sentences need not be words that it reads. What it judges is therefore the same
question in plain words of the grammar: program, clauses, slice and parent.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import document
from semantiseg.bench.ask.questions import PromptRow, Question, best_slices, prompt_row
from semantiseg.bench.ask.scene import Scene, scenes_of
from semantiseg.bench.ask.space import compositions, placements
from semantiseg.bench.verify.verification import Judge
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError, SemantiSegError
from semantiseg.language.clause import Clause
from semantiseg.language.grammar.phrases import WORDINGS
from semantiseg.language.grammar.surface import PARTS, has_words, render, says
from semantiseg.language.grammar.tables import (
    COLLECTIVE_NOUNS,
    DESCRIPTIONS,
    DIRECTION_WORDS,
    FRAMES,
    OPERATIONS,
)
from semantiseg.language.ontology import STRUCTURES, structure
from semantiseg.language.program import Program, atoms, parse
from semantiseg.randomness import stream

FILE = "clinical_sentences.yaml"
_WORD = re.compile(r"[a-z]+(?:-[a-z]+)*")


@dataclass(frozen=True)
class Sentence:
    """One sentence.

    Attributes:
        text: as a clinician wrote it.
        program: what it asks for.
        clauses: what it says of that, sorted.
        kind: kind of its program, as in docs/architecture.md.
    """

    text: str
    program: Program
    clauses: tuple[Clause, ...]
    kind: str

    @property
    def level(self) -> int:
        """1 for a structure, 2 for a described structure, 3 for a composed program."""
        return 3 if not self.program.is_atom else 2 if self.clauses else 1


@cache
def sentences() -> tuple[Sentence, ...]:
    """The sentences of this version of the benchmark.

    Raises:
        PromptError: as `read_sentences`.
    """
    text = resources.files("semantiseg.bench.ask").joinpath(FILE).read_text(encoding="utf-8")
    return read_sentences(text, origin=FILE)


def read_sentences(text: str, *, origin: str | Path) -> tuple[Sentence, ...]:
    """Sentences of a YAML text: `version`, and under `programs` entries of `program`, `sentences` and, optionally,
    `clauses`.

    Raises:
        PromptError: names the entry: a program that does not parse or that the benchmark never asks, an unknown
            attribute, a sentence that is empty, stands twice, or that the grammar has too.
    """
    found: dict[str, Sentence] = {}
    for entry in _entries(text, origin=origin):
        for sentence in _sentences(entry, origin=origin):
            key = plain(sentence.text)
            if key in found:
                raise PromptError(
                    f"{origin}: expected every sentence once, got {sentence.text!r} for {found[key].program} and for "
                    f"{sentence.program}. Keep one of them."
                )
            found[key] = sentence
    return tuple(found.values())


def plain(text: str) -> str:
    """A sentence as the grammar would write it: lower case, single blanks, no closing mark."""
    return " ".join(text.lower().split()).rstrip(".!?")


def _entries(text: str, *, origin: str | Path) -> Sequence[Mapping[str, Any]]:
    values = document.values_of(text, origin=origin, error=PromptError)
    known = {"program", "clauses", "sentences"}
    entries = values.get("programs") if isinstance(values, dict) and isinstance(values.get("version"), int) else None
    if not isinstance(entries, list) or not all(
        isinstance(entry, dict) and {"program", "sentences"} <= set(entry) <= known for entry in entries
    ):
        raise PromptError(
            f"{origin}: expected a number 'version' and a list 'programs' of entries with {sorted(known)}, got another "
            f"layout. See the file that the package ships."
        )
    return entries


def _sentences(entry: Mapping[str, Any], *, origin: str | Path) -> Iterator[Sentence]:
    where = f"{origin}, {entry['program']}"
    try:
        program = parse(str(entry["program"]))
        clauses = tuple(sorted(Clause(*map(str, pair)) for pair in (entry.get("clauses") or {}).items()))
    except SemantiSegError as error:
        raise PromptError(f"{where}: {error}") from None
    kind = "attribute" if program.is_atom and clauses else _kinds().get(program)
    if kind is None:
        raise PromptError(
            f"{where}: expected a program that the benchmark asks (bench/ask/space.py), got another. Rephrase it."
        )
    for text in entry["sentences"]:
        if not isinstance(text, str) or not text.strip():
            raise PromptError(f"{where}: expected a sentence, got {text!r}. Quote it if it holds a colon.")
        if in_grammar(text, program, clauses):
            raise PromptError(f"{where}: expected a sentence outside the grammar, got {text!r}. Say it otherwise.")
        yield Sentence(text, program, clauses, kind)


def in_grammar(text: str, program: Program, clauses: Sequence[Clause]) -> bool:
    """Whether the grammar words the program in this very text, in training or held-out words."""
    return any(
        says(program, clauses, plain(text), part=part) for part in PARTS if has_words(program, clauses, part=part)
    )


@cache
def _kinds() -> dict[Program, str]:
    structures = list(STRUCTURES.values())
    kinds = {program: kind for kind, program in compositions(structures, lateral=True)}
    kinds |= {program: "spatial" for program in placements(structures)}
    return kinds | {Program(item.kind, (item.key,)): "name" for item in structures}


@cache
def grammar_words() -> frozenset[str]:
    """Every word that some text of the grammar holds, held-out ones too."""
    names = [name for item in STRUCTURES.values() for name in item.names + item.held_out]
    names += [noun for item in STRUCTURES.values() for noun in item.short + item.short_held_out]
    tables = [FRAMES, DESCRIPTIONS, *OPERATIONS.values(), *COLLECTIVE_NOUNS.values()]
    tables += [getattr(item, field) for item in WORDINGS.values() for field in item.__dataclass_fields__]
    phrases = [text for table in tables for text in table.training + table.held_out]
    phrases += [text for table in DIRECTION_WORDS.values() for spoken in table.values() for text in spoken]
    return frozenset(word for text in [*names, *phrases] for word in _WORD.findall(text.lower()))


def foreign_words(text: str) -> list[str]:
    """Words of a sentence that the grammar does not have, in their order."""
    return [word for word in _WORD.findall(text.lower()) if word not in grammar_words()]


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
    table = pd.DataFrame(rows, columns=[column.name for column in fields(PromptRow)])
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
