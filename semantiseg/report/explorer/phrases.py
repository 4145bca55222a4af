"""Which words of a prompt say which part of its program or which of its clauses, as spans of the text.

The words come from the verifier's lexicon (`bench/lexicon.py`), never from the grammar that wrote the prompt.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from semantiseg.bench.clause import Clause
from semantiseg.bench.lexicon import HYPHENATED, LEXICON, SPELLINGS, Kind, Lexeme
from semantiseg.bench.program import Program, atoms

Span = tuple[int, int, str]
"""First character, one past the last, and the role: `clause:0`, `structure:kidney`, `operation:minus`."""

_WORD = re.compile(r"(\d+(?:\.\d+)?)[ -]?(mm|cm|millimet\w+|centimet\w+)\b|([a-z]+(?:-[a-z]+)*(?:'s)?)|([,;:])|(\S)")
_DARKER = ("hypo", "iso", "hyper")

_OPERATIONS: dict[Kind, tuple[str, ...]] = {
    Kind.SIDE: ("side", "half", "facing"),
    Kind.DIRECTION: ("half", "facing"),
    Kind.HALF: ("half",),
    Kind.FACING: ("facing",),
    Kind.SELECT: ("largest", "smallest"),
    Kind.PLACE: ("within",),
    Kind.BEAR: ("containing",),
    Kind.BEARING_BEFORE: ("containing",),
    Kind.FREE: ("without",),
    Kind.FREE_BEFORE: ("without",),
    Kind.WITH: ("containing", "minus"),
    Kind.EXCLUDE: ("minus",),
    Kind.EXCLUDED: ("minus",),
    Kind.TAKE: ("minus",),
    Kind.OUT_OF: ("minus",),
    Kind.AND: ("union",),
}
"""What a word of each kind can stand for, first choice first."""


def spans(text: str, program: Program, clauses: Sequence[Clause]) -> list[Span]:
    """The phrases of `text` that carry meaning, in their order, without overlap.

    A word that the lexicon does not know, or that stands for nothing in the program, has no span.
    """
    found = []
    for start, end, lexeme in _phrases(text):
        role = _role(lexeme, program, clauses)
        if role is not None:
            found.append((start, end, role))
    return found


def _words(text: str) -> list[tuple[int, int, str]]:
    """The words as the lexicon spells them, with their places in the text."""
    words = []
    for match in _WORD.finditer(text.lower().replace("\u2019", "'")):
        number, unit, word, _, _ = match.groups()
        if number:
            millimetres = float(number) * (10 if unit.startswith("c") else 1)
            words.append((*match.span(), f"{int(millimetres + 0.5)} mm"))
        elif not word or "-" not in word or word in HYPHENATED:
            words.append((*match.span(), SPELLINGS.get(match[0], match[0])))
        else:
            place = match.start()
            for position, part in enumerate(word.split("-")):
                spelled = f"-{part}" if position and f"-{part}" in LEXICON else SPELLINGS.get(part, part)
                words.append((place, place + len(part), spelled))
                place += len(part) + 1
    return words


def _phrases(text: str) -> Iterator[tuple[int, int, Lexeme]]:
    words = _words(text)
    place = 0
    while place < len(words):
        start, end, word = words[place]
        if word[0].isdigit():
            yield start, end, Lexeme((word,), Kind.ATTRIBUTE, ("diameter", word.removesuffix(" mm")))
            place += 1
            continue
        following = tuple(word for _, _, word in words[place : place + 12])
        lexeme = next((item for item in LEXICON.get(word, ()) if following[: len(item.words)] == item.words), None)
        if lexeme is not None:
            yield start, words[place + len(lexeme.words) - 1][1], lexeme
        place += 1 if lexeme is None else len(lexeme.words)


def _role(lexeme: Lexeme, program: Program, clauses: Sequence[Clause]) -> str | None:
    if lexeme.kind in (Kind.THING, Kind.NOUN):
        named = {item.key for item in atoms(lexeme.value)} if isinstance(lexeme.value, Program) else set(lexeme.value)  # type: ignore[call-overload]
        return next((f"structure:{item.key}" for item in atoms(program) if item.key in named), None)
    if lexeme.kind is Kind.ATTRIBUTE:
        return next((f"clause:{place}" for place, clause in enumerate(clauses) if _says(lexeme, clause)), None)
    for operation in _OPERATIONS.get(lexeme.kind, ()):
        for node in program.walk():
            if node.operation == operation and (lexeme.value is None or lexeme.value in (operation, *node.words)):
                return f"operation:{operation}"
    return None


def _says(lexeme: Lexeme, clause: Clause) -> bool:
    attribute, value = lexeme.value  # type: ignore[misc]
    if attribute == "brightness":
        return clause.attribute in ("density", "signal") and clause.value.startswith(value) and value in _DARKER
    return (attribute, value) == (clause.attribute, clause.value)
