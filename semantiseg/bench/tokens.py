"""A request as tokens: phrases looked up in the lexicon, short nouns turned into the structures they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from semantiseg.bench.fillers import Piece, unaccounted
from semantiseg.bench.lexicon import HOMES, HYPHENATED, LEXICON, SPELLINGS, Kind, Lexeme, thing_of
from semantiseg.bench.program import Program, atoms
from semantiseg.errors import PromptError

_WORD = re.compile(r"(\d+(?:\.\d+)?)[ -]?(mm|cm|millimet\w+|centimet\w+)\b|([a-z]+(?:-[a-z]+)*(?:'s)?)|([,;:])|(\S)")


@dataclass(frozen=True)
class Token:
    """A phrase of the text with what the lexicon says of it."""

    text: str
    kind: Kind
    value: object


def tokens_of(text: str) -> list[Token]:
    """The tokens of a request, fillers left out.

    Raises:
        PromptError: words that the lexicon does not know or that nothing accounts for where they stand, or a short noun
            whose organ the text does not tell.
    """
    pieces = pieces_of(split(text), LEXICON)
    if unknown := list(unaccounted(pieces)):
        raise PromptError(
            f"expected words that the lexicon knows and can account for, got {unknown} in {text!r}. "
            f"Say it in other words."
        )
    told = [Token(piece.text, piece.kind, piece.value) for piece in pieces if piece.kind not in (None, Kind.FILLER)]
    return resolved(told, text)


def pieces_of(words: Sequence[str], lexicon: Mapping[str, Sequence[Lexeme]]) -> list[Piece]:
    """Words as phrases of a lexicon (first word -> lexemes, longest first); `kind` None where it has none."""
    pieces: list[Piece] = []
    place = 0
    while place < len(words):
        word = words[place]
        if word.endswith(" mm"):
            pieces.append(Piece(word, Kind.ATTRIBUTE, ("diameter", word.removesuffix(" mm"))))
            place += 1
            continue
        found = (item for item in lexicon.get(word, ()) if tuple(words[place : place + len(item.words)]) == item.words)
        lexeme = next(found, None)
        if lexeme is None:
            pieces.append(Piece(word, None))
            place += 1
        else:
            pieces.append(Piece(" ".join(lexeme.words), lexeme.kind, lexeme.value))
            place += len(lexeme.words)
    return pieces


def split(text: str) -> list[str]:
    """A text's words in lower case and British spelling, marks as words of their own, sizes in whole millimetres."""
    words: list[str] = []
    for number, unit, word, mark, other in _WORD.findall(text.lower().replace("\u2019", "'").strip().rstrip(".?!")):
        if number:
            millimetres = float(number) * (10 if unit.startswith("c") else 1)
            words.append(f"{int(millimetres + 0.5)} mm")
        elif not word:
            words.append(mark or other)
        elif "-" not in word or word in HYPHENATED:
            words.append(SPELLINGS.get(word, word))
        else:
            first, *rest = word.split("-")
            words.append(SPELLINGS.get(first, first))
            words += [f"-{part}" if f"-{part}" in LEXICON else SPELLINGS.get(part, part) for part in rest]
    return words


def resolved(tokens: Sequence[Token], text: str) -> list[Token]:
    """Short nouns turned into structures by the organ that the rest of the text names.

    Raises:
        PromptError: the organ of a short noun is not told.
    """
    named = {item.key for token in tokens if isinstance(token.value, Program) for item in atoms(token.value)}
    nouns = [token.value for token in tokens if token.kind is Kind.NOUN]
    homes = named | {HOMES[key] for key in named if key in HOMES}
    # "The tumour without its oedema": a noun that one organ only can have tells the organ of the others.
    homes |= {HOMES[keys[0]] for keys in nouns if not homes and len(keys) == 1}  # type: ignore[index,arg-type]
    return [
        Token(token.text, Kind.THING, _meant(token, homes, text)) if token.kind is Kind.NOUN else token
        for token in tokens
    ]


def _meant(token: Token, homes: set[str], text: str) -> Program:
    keys: Sequence[str] = token.value  # type: ignore[assignment]
    here = [key for key in keys if HOMES[key] in homes]
    if len({HOMES[key] for key in here}) != 1:
        raise PromptError(
            f"expected one organ that tells which {token.text!r} is meant, got {sorted(homes)} in {text!r}. Name it."
        )
    return thing_of(here)
