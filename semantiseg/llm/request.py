"""What a back end is asked: a meaning to be put into words, and how its answer is read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from semantiseg.errors import PromptError
from semantiseg.language.clause import from_json
from semantiseg.language.grammar.tables import Part
from semantiseg.language.ontology import structure
from semantiseg.language.program import Program, parse

LONGEST_TEXT = 300
"""Characters of a prompt; longer answers are no request to a segmentation model."""

ANSWER_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"texts": {"type": "array", "items": {"type": "string"}}},
    "required": ["texts"],
    "additionalProperties": False,
}
"""JSON schema of an answer."""

_EXAMPLES = (
    ("the patient's right kidney with the renal cyst left out of it", "segment the right kidney without its cyst"),
    ("the largest single (liver tumour)", "outline the biggest tumour of the liver"),
)

RULES = (
    "You word requests to a medical image segmentation model as radiologists would. Every sentence must ask for "
    "exactly the given target: keep side, organ, exclusion and selection, add nothing, leave nothing out. Left and "
    "right are the patient's. Say every listed attribute once, and no other attribute. Use different "
    'words and orders in every sentence, at most 25 words each. Answer with JSON only: {"texts": ["...", "..."]}.'
)


class ModelQuestion(Protocol):
    """Anything that a language model can be asked."""

    @property
    def attempt(self) -> int:
        """0 at first, then one more each time that it is asked again."""

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""

    def facts(self) -> dict[str, Any]:
        """All that the answer depends on but who is asked, as JSON values."""

    def messages(self) -> list[dict[str, str]]:
        """The question as a chat."""


class ByExample(ModelQuestion, Protocol):
    """A question that a model too small for rules and JSON can be asked: it is shown examples and answers in lines."""

    @property
    def count(self) -> int:
        """Lines asked for."""

    def shown(self) -> list[dict[str, str]]:
        """The question as a chat of examples."""

    def put_together(self, lines: list[str]) -> str:
        """The answer that the lines stand for, as JSON of `schema`."""


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    texts: list[str] = Field(min_length=1)


@dataclass(frozen=True)
class Request:
    """Texts asked for one meaning.

    Attributes:
        program: printed program of the target.
        clauses: JSON list of attribute clauses.
        modality: CT or MR.
        part: part of the grammar that a back end with parts draws from.
        count: texts asked for.
        attempt: 0 at first, then one more each time that too few were accepted.
        refused: texts of earlier attempts with the reasons against them.
    """

    program: str
    clauses: str
    modality: str
    part: Part
    count: int
    attempt: int = 0
    refused: tuple[tuple[str, str], ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return ANSWER_SCHEMA

    def facts(self) -> dict[str, Any]:
        """The request as JSON values; with a back end's identity, what an answer depends on."""
        return asdict(self) | {"refused": [list(pair) for pair in self.refused], "rules": RULES}

    def messages(self) -> list[dict[str, str]]:
        """The request as a chat."""
        return [{"role": "system", "content": RULES}, {"role": "user", "content": self.description()}]

    def shown(self) -> list[dict[str, str]]:
        """The request by example, which so small a model follows better than rules."""
        said = [f"{clause.attribute} {clause.value.replace('_', '-')}" for clause in from_json(self.clauses)]
        target = ", ".join([explain(parse(self.program)), *said])
        chat = [{"role": "system", "content": "You turn a target into one short request of a radiologist."}]
        for one, answer in _EXAMPLES:
            chat.append({"role": "user", "content": f"Target: {one}"})
            chat.append({"role": "assistant", "content": answer})
        return [*chat, {"role": "user", "content": f"Target: {target}"}]

    def put_together(self, lines: list[str]) -> str:
        """The answer that plain lines stand for."""
        return write_answer(lines)

    def meaning(self) -> list[str]:
        """What is meant, in plain words."""
        return [
            f"Image: {self.modality}, one axial slice.",
            f"Target: {explain(parse(self.program))}.",
            *(f"Attribute of the target: {_said(item.attribute, item.value)}." for item in from_json(self.clauses)),
        ]

    def description(self) -> str:
        """The request in plain words."""
        lines = [
            *self.meaning(),
            f"Write {self.count} sentence{'s' if self.count > 1 else ''}.",
        ]
        lines += [f"Not this one ({reason}): {text}" for text, reason in self.refused]
        return "\n".join(lines)


def read_answer(text: str, *, finished: bool = True) -> list[str]:
    """The texts of an answer, each trimmed to one line.

    Raises:
        PromptError: the answer was cut, is no JSON of `ANSWER_SCHEMA`, or holds a text that is empty or too long.
    """
    if not finished:
        raise PromptError("answer: expected a whole one, got one cut at its longest length.")
    try:
        texts = [" ".join(item.split()) for item in _Answer.model_validate_json(unfenced(text)).texts]
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise PromptError(f'answer: expected JSON {{"texts": [...]}}, got {text[:80]!r}: {problem}.') from None
    if wrong := [item for item in texts if not 0 < len(item) <= LONGEST_TEXT]:
        raise PromptError(f"answer: expected texts of 1 to {LONGEST_TEXT} characters, got {len(wrong[0])}.")
    return texts


def unfenced(text: str) -> str:
    """The JSON of an answer without the fence that models like to put around it, whatever they are told."""
    return text.strip().removeprefix("```json").removeprefix("```").removesuffix("```").strip()


def write_answer(texts: list[str]) -> str:
    """Inverse of `read_answer`."""
    return json.dumps({"texts": texts})


def explain(program: Program) -> str:
    """A program in plain, unambiguous, clumsy English."""
    if program.is_atom:
        return structure(program.key).names[0]
    first, *others = (explain(child) for child in program.children)
    word = next((str(argument) for argument in program.arguments if isinstance(argument, str)), "")
    patterns = {
        "side": "{x}, only on the patient's {d} side",
        "half": "the {d} half of ({x})",
        "within": "{x}, only where it lies inside ({y})",
        "containing": "{x}, only the one that contains or touches ({y}), marked as a whole",
        "without": "{x}, only the one that has no ({y})",
        "minus": "({x}) with ({y}) left out of it",
        "union": "({x}) together with ({y})",
        "largest": "the largest single ({x})",
        "smallest": "the smallest single ({x})",
        "facing": "{x}, only where it lies {d} of ({y})",
    }
    return patterns[program.operation].format(x=first, y=others[0] if others else "", d=word)


def _said(attribute: str, value: str) -> str:
    return f"diameter {value} mm" if attribute == "diameter" else f"{attribute} {value.replace('_', '-')}"
