"""Mutations of prompts written by hand, and which of them the reader takes for something that they do not say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.program import Program, parse
from semantiseg.language.reader.parser import read


@dataclass(frozen=True)
class HandwrittenMutation:
    """A prompt changed by hand.

    Attributes:
        prompt: the accepted words.
        program, clauses: what they say.
        text: the changed words.
        says: the program that these denote, or None where the language has none and they must be refused.
    """

    prompt: str
    program: Program
    clauses: tuple[Clause, ...]
    text: str
    says: Program | None

    @property
    def is_misread(self) -> bool:
        """Whether the reader takes the changed words for a program that they do not denote."""
        try:
            return read(self.text).program != self.says
        except PromptError:
            return False

    @property
    def prompt_is_read(self) -> bool:
        """Whether the reader understands the accepted words, clauses too."""
        try:
            reading = read(self.prompt)
        except PromptError:
            return False
        return (reading.program, reading.clauses) == (self.program, self.clauses)


def load_mutations(path: Path) -> tuple[HandwrittenMutation, ...]:
    """Read a file as `benchmarks/unseen_mutations.yaml` explains it.

    Raises:
        PromptError: the file is no such list, or a program in it does not parse; names the file.
    """
    try:
        document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        return tuple(_mutations(document["prompts"]))
    except (YAMLError, KeyError, TypeError, AttributeError, OSError) as error:
        raise PromptError(f"{path}: expected prompts with program and mutations, got {error!r}. Mend it.") from None


def _mutations(entries: list[dict[str, Any]]) -> Iterator[HandwrittenMutation]:
    for entry in entries:
        clauses = tuple(sorted(Clause(*clause) for clause in entry.get("clauses", {}).items()))
        for text, says in entry["mutations"].items():
            meaning = None if says.startswith("(") else parse(says)
            yield HandwrittenMutation(entry["prompt"], parse(entry["program"]), clauses, text, meaning)
