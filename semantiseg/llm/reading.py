"""What a language model is asked to read a sentence, and how its answer becomes a program.

The examples are sentences of the grammar's training part, and the names are the ontology's training names: a model that
is shown them has seen no test phrasing and no clinical sentence (a test checks it).

A reader that asks a language model: a sentence means what the model says, if that is a program.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError

from semantiseg.errors import ProgramError, PromptError
from semantiseg.language.ontology import STRUCTURES, structure
from semantiseg.language.program import Program, atoms, parse
from semantiseg.llm.asking import Asker
from semantiseg.llm.request import unfenced

LONGEST_PROGRAM = 500
"""Characters of a program; longer answers are a model that repeats itself."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"program": {"type": "string"}},
    "required": ["program"],
    "additionalProperties": False,
}

OPERATIONS: dict[str, str] = {
    "side": "side(x, left|right): the pieces of x on that side of the patient",
    "half": "half(x, anterior|posterior|left|right): x cut through its middle, that half of it",
    "within": "within(x, y): the pieces of x that lie in y",
    "containing": "containing(x, y): the pieces of x that contain or touch y, whole, y included",
    "without": "without(x, y): the pieces of x that do not touch any y",
    "minus": "minus(x, y): x with y cut out of it",
    "union": "union(x, y): x and y together",
    "largest": "largest(x): the largest piece of x",
    "smallest": "smallest(x): the smallest piece of x",
    "facing": "facing(x, anterior|posterior|left|right, y): the pieces of x that lie on that side of y",
}
"""Operation -> what the model is told of it. Atoms are told as the list of structures."""

RULES = (
    "You turn a request to a medical image segmentation model into a program: one line of nested calls whose value is "
    "the mask asked for. x and y stand for programs. Left and right are the patient's. How the target looks (density, "
    "signal, shape, margin, texture, diameter) and why it is asked for (an indication, a plan) change nothing and are "
    "left out. Use no other operation and no other structure than those listed. If the request asks for none of the "
    'structures, the program is the empty string. Answer with JSON only: {"program": "..."}.'
)

EXAMPLES: tuple[tuple[str, str], ...] = (
    ("mask of the whole liver", "organ(liver)"),
    ("please segment the kidney on the right side", "side(organ(kidney), right)"),
    ("mark only the anterior half of the splenic organ", "half(organ(spleen), anterior)"),
    ("exclude the pancreas tumour from the pancreatic organ", "minus(organ(pancreas), lesion(pancreatic_tumour))"),
    ("in the kidney on the left, the solid renal lesion", "within(lesion(kidney_tumour), side(organ(kidney), left))"),
    ("the renal organ with the cyst", "containing(organ(kidney), lesion(kidney_cyst))"),
    ("the renal tissue with its masses not bearing the renal tumour", "without(organ(kidney), lesion(kidney_tumour))"),
    ("highlight just the biggest liver tumour", "largest(lesion(liver_tumour))"),
    ("the cyst of the kidney lying behind the renal mass",
     "facing(lesion(kidney_cyst), posterior, lesion(kidney_tumour))"),
    ("both the tumour of the kidney and the kidney cyst", "union(lesion(kidney_tumour), lesion(kidney_cyst))"),
    ("find the brain tumour with oedema sparing the necrosis of the brain tumour",
     "minus(lesion(brain_tumour), part(necrotic_core))"),
    ("mark the tumour situated in the kidney on the right sparing the renal cyst",
     "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))"),
)  # fmt: skip
"""Sentences of the grammar's training part, with their programs."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    program: str


@dataclass(frozen=True)
class ProgramQuestion:
    """A sentence whose program is asked for.

    Attributes:
        sentence: what somebody wrote.
        keys: structures that the program may name.
        attempt: 0; a sentence is asked about once.
    """

    sentence: str
    keys: tuple[str, ...] = tuple(STRUCTURES)
    attempt: int = 0
    count: ClassVar[int] = 1

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return SCHEMA

    def facts(self) -> dict[str, Any]:
        """As `Request.facts`: new rules or examples are new questions."""
        told = {"sentence": self.sentence, "rules": self.system(), "examples": [list(pair) for pair in self.examples()]}
        return told | {"attempt": self.attempt}

    def messages(self) -> list[dict[str, str]]:
        """The question as a chat: rules, examples, the sentence."""
        chat = [{"role": "system", "content": self.system()}]
        for sentence, program in self.examples():
            chat += _turn(sentence, write_program(program))
        return [*chat, *_turn(self.sentence)]

    def shown(self) -> list[dict[str, str]]:
        """The question by example alone, for a model too small for rules."""
        chat = [{"role": "system", "content": "You turn a request of a radiologist into a program."}]
        for sentence, program in self.examples():
            chat += _turn(sentence, program)
        return [*chat, *_turn(self.sentence)]

    def put_together(self, lines: list[str]) -> str:
        """The answer that a plain line stands for."""
        return write_program(lines[0])

    def examples(self) -> list[tuple[str, str]]:
        """Those of `EXAMPLES` that name nothing but the question's structures."""
        return [pair for pair in EXAMPLES if _named(parse(pair[1])) <= set(self.keys)]

    def system(self) -> str:
        """Rules, structures and operations."""
        listed = [f"{structure(key).kind}({key}): {', '.join(structure(key).names)}" for key in self.keys]
        return "\n".join([RULES, "", "Structures:", *listed, "", "Operations:", *OPERATIONS.values()])


def program_of(text: str, *, keys: Sequence[str], finished: bool = True) -> Program:
    """The program of an answer.

    Args:
        text: what the model wrote.
        keys: structures that it may name.
        finished: False if the answer was cut.

    Raises:
        PromptError: the answer was cut, is no JSON of `SCHEMA`, holds no program, or one of other structures.
    """
    if not finished:
        raise PromptError("answer: expected a whole one, got one cut at its longest length.")
    try:
        said = _Answer.model_validate_json(unfenced(text)).program.strip()
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise PromptError(f'answer: expected JSON {{"program": "..."}}, got {text[:80]!r}: {problem}.') from None
    if not said:
        raise PromptError(
            "answer: expected a program, got none: the language model finds no structure in the sentence."
        )
    if len(said) > LONGEST_PROGRAM:
        raise PromptError(f"answer: expected a program of at most {LONGEST_PROGRAM} characters, got {len(said)}.")
    try:
        program = parse(said)
    except ProgramError as error:
        raise PromptError(f"answer: {error}") from None
    if unknown := _named(program) - set(keys):
        raise PromptError(f"answer: expected structures among those asked about, got {', '.join(sorted(unknown))}.")
    return program


def write_program(program: str) -> str:
    """Inverse of `program_of`."""
    return json.dumps({"program": program})


def _named(program: Program) -> set[str]:
    return {item.key for item in atoms(program)}


def _turn(sentence: str, answer: str = "") -> list[dict[str, str]]:
    asked = {"role": "user", "content": f"Sentence: {sentence}"}
    return [asked, {"role": "assistant", "content": answer}] if answer else [asked]


class AskedReader:
    """Sentence -> program. Sentences read before are remembered, answers are kept in the asker's cache.

    An answer that is no program of known structures counts as not read. A back end that cannot answer at all stops
    the run instead: a server that is down says nothing about a sentence.

    Args:
        asker: whom to ask.
        keys: structures that may be asked for.
    """

    def __init__(self, asker: Asker[ProgramQuestion], *, keys: Sequence[str] = tuple(STRUCTURES)) -> None:
        self._asker, self._keys = asker, tuple(keys)
        self._heard: dict[str, Program | str] = {}  # a program, or why there is none

    def __call__(self, text: str) -> Program:
        """The program.

        Raises:
            PromptError: the answer is no program of known structures.
            BackendError: the back end cannot answer, or may not for its budget.
        """
        self.read_ahead([text])
        heard = self._heard[text]
        if isinstance(heard, str):
            raise PromptError(heard)
        return heard

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Ask about many sentences, several at a time, so that each is known when its turn comes.

        Raises:
            BackendError: as above; answers so far are kept.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._heard]
        if not new:
            return
        replies = self._asker.ask_all([ProgramQuestion(text, self._keys) for text in new])
        for text, reply in zip(new, replies, strict=True):
            try:
                self._heard[text] = program_of(reply.text, keys=self._keys, finished=reply.finished)
            except PromptError as error:
                self._heard[text] = str(error)
