"""When a word may be passed over: only where it can change nothing.

The lexicon calls words fillers that say nothing about a mask: articles, verbs of request, "shown". Some of them say
nothing in one place and much in another: "one" in "the left one" and in "one of the kidneys", "in this image" beside
"the liver" and beside "on the left". Each of these has its condition here; where it is not met, the word is named and
the sentence refused.

A request as tokens: phrases looked up in the lexicon, short nouns turned into the structures they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from semantiseg.errors import PromptError
from semantiseg.language.program import Program, atoms
from semantiseg.language.reader.lexicon import HOMES, HYPHENATED, LEXICON, PLURALS, SPELLINGS, Kind, Lexeme, thing_of

PAIRED = frozenset({"kidney", "lung", "adrenal_gland"})
"""Organs of which a patient has two."""
_DETERMINERS = frozenset("the a an this that its their any all whole entire every each".split()) | {"all of"}


@dataclass(frozen=True)
class Piece:
    """A phrase of the text; `kind` is None for a word that the lexicon lacks."""

    text: str
    kind: Kind | None
    value: object = None

    @property
    def is_number(self) -> bool:
        """Whether it states a diameter."""
        return self.kind is Kind.ATTRIBUTE and isinstance(self.value, tuple) and self.value[0] == "diameter"


Condition = Callable[[Sequence[Piece], int], bool]


def unaccounted(pieces: Sequence[Piece]) -> Iterator[str]:
    """Words of a text that must not be passed over where they stand, and words that the lexicon lacks, in order."""
    for place, piece in enumerate(pieces):
        condition = CONDITIONS.get(piece.text)
        if piece.kind is None or (condition is not None and not condition(pieces, place)):
            yield piece.text
        elif piece.is_number and _beside(pieces, place, 1, Kind.FACING, Kind.OUT_OF):
            # "14 mm behind the spleen" is a distance.
            yield piece.text
        elif (
            piece.text in ("left", "right")
            and _beside(pieces, place, -1, Kind.THING, Kind.NOUN)
            and _beside(pieces, place, 1, Kind.FACING)
        ):
            # "Left behind the spleen" may be what remains there.
            yield piece.text
        elif piece.kind is Kind.SELECT and (ahead := _at(pieces, place + 1)) is not None and (
            ahead.text in _QUANTITIES or _is_plural(ahead)
        ):
            # "A greatest diameter" chooses no lesion, "the largest masses" chooses several.
            yield piece.text


def _is_plural(piece: Piece) -> bool:
    return piece.kind in (Kind.THING, Kind.NOUN) and not PLURALS.isdisjoint(piece.text.split())


def _at(pieces: Sequence[Piece], place: int) -> Piece | None:
    return pieces[place] if 0 <= place < len(pieces) else None


def _beside(pieces: Sequence[Piece], place: int, step: int, *kinds: Kind) -> bool:
    """Whether the next phrase that way, determiners aside, is of one of the kinds."""
    place += step
    while (piece := _at(pieces, place)) is not None and piece.kind is Kind.FILLER and piece.text in _DETERMINERS:
        place += step
    return piece is not None and piece.kind in kinds


def _before_number(pieces: Sequence[Piece], place: int) -> bool:
    rest = pieces[place + 1 :]
    return next((piece.is_number for piece in rest if piece.text not in _APPROXIMATELY | {"a", "an"}), False)


def _after_number(pieces: Sequence[Piece], place: int) -> bool:
    piece = _at(pieces, place - 1)
    return piece is not None and piece.is_number


def _not_before_number(pieces: Sequence[Piece], place: int) -> bool:
    return not _before_number(pieces, place)


def _beside_choice(pieces: Sequence[Piece], place: int) -> bool:
    """ "The largest one", "the one on the left", "the single largest"."""
    chosen = (Kind.SELECT, Kind.SIDE, Kind.DIRECTION)
    return any(_beside(pieces, place, step, *chosen) for step in (-1, 1))


def _no_number_said(pieces: Sequence[Piece], place: int) -> bool:
    """ "Both" before a pair, or before two things joined."""
    joined = any(piece.kind is Kind.AND for piece in pieces[place:])
    things = [piece.value for piece in pieces[place:] if piece.kind is Kind.THING]
    paired = bool(things) and isinstance(things[0], Program) and {item.key for item in atoms(things[0])} <= PAIRED
    return joined or paired


def _then_chosen(pieces: Sequence[Piece], place: int) -> bool:
    """ "Not all of the tumours, just the largest"; "not all of the liver" leaves open what is meant."""
    return any(piece.kind is Kind.SELECT for piece in pieces[place:])


def _then_excluded(pieces: Sequence[Piece], place: int) -> bool:
    """ "What is left of the liver once the tumour is removed"; without the second half, nothing says what is."""
    return any(piece.kind in (Kind.EXCLUDED, Kind.EXCLUDE) for piece in pieces[place:])


def _taken_out_of(pieces: Sequence[Piece], place: int) -> bool:
    """ "Take the tumour out of the liver"; "take the tumour" asks for it."""
    return any(piece.kind in (Kind.OUT_OF, Kind.EXCLUDED) for piece in pieces)


def _before_a_noun(pieces: Sequence[Piece], place: int) -> bool:
    """ "All tumours"; "all but exclude the tumour" does not exclude it."""
    piece = _at(pieces, place + 1)
    return piece is None or piece.kind not in (Kind.EXCLUDE, Kind.EXCLUDED, Kind.TAKE)


def _chooses_nothing_less(pieces: Sequence[Piece], place: int) -> bool:
    """ "Only the kidney"; what is left out, borne or placed by "only" is not what is without "only"."""
    before = _at(pieces, place - 1)
    return before is None or before.kind not in (Kind.EXCLUDE, Kind.FREE, Kind.BEAR, Kind.WITH, Kind.FACING, Kind.TAKE)


def _of_lesions_or_left_out(pieces: Sequence[Piece], place: int) -> bool:
    """ "Without tumour or cyst" leaves both out, "the mass or cyst" asks for any; "tumour or kidney" is open."""
    outs = (Kind.EXCLUDE, Kind.FREE, Kind.TAKE, Kind.FREE_BEFORE)
    described = _beside(pieces, place, -1, Kind.ATTRIBUTE)
    lesions = all(_beside(pieces, place, step, Kind.NOUN) or _is_lesion(pieces, place, step) for step in (-1, 1))
    return described or lesions or any(piece.kind in outs for piece in pieces[:place])


def _is_lesion(pieces: Sequence[Piece], place: int, step: int) -> bool:
    place += step
    while (piece := _at(pieces, place)) is not None and piece.kind is Kind.FILLER:
        place += step
    return piece is not None and isinstance(piece.value, Program) and piece.value.operation == "lesion"


def _of_what_is_borne_by_others(pieces: Sequence[Piece], place: int) -> bool:
    """ "With its tumour removed", "with its sharp margins"; "the kidney with its tumour" takes both, and "the kidney
    with the tumour" chooses one."""
    before, ahead = _at(pieces, place - 1), _at(pieces, place + 1)
    described = ahead is not None and ahead.kind is Kind.ATTRIBUTE
    return before is None or before.text != "with" or described or _then_excluded(pieces, place)


def _before_half(pieces: Sequence[Piece], place: int) -> bool:
    rest = [piece.kind for piece in pieces[place:] if piece.kind is not Kind.FILLER]
    return rest[:2] in ([Kind.DIRECTION, Kind.HALF], [Kind.SIDE, Kind.HALF])


def _negates_a_noun(pieces: Sequence[Piece], place: int) -> bool:
    """ "Not the tumour" excludes; "not only", "not shown" say something else."""
    piece = _at(pieces, place + 1)
    both = piece is not None and piece.text == "both" and pieces[place].text != "not"
    return piece is not None and (piece.kind is not Kind.FILLER or piece.text in _DETERMINERS or both)


def _asserts(pieces: Sequence[Piece], place: int) -> bool:
    """ "There is a tumour"; "is there a tumour" asks for yes or no."""
    ahead = _at(pieces, place + 1)
    return place > 0 and (ahead is None or ahead.text != "there")


def _no_side_said(pieces: Sequence[Piece], place: int) -> bool:
    """A side of the image is not the patient's."""
    sides = ("left", "right")
    return not any(piece.kind in (Kind.SIDE, Kind.FACING, Kind.DIRECTION) and piece.value in sides for piece in pieces)


def _no_side_before(pieces: Sequence[Piece], place: int) -> bool:
    before = _at(pieces, place - 1)
    return before is None or before.kind is not Kind.SIDE or " " not in before.text


_APPROXIMATELY = frozenset({"about", "around", "approximately", "roughly"})
_QUANTITIES = frozenset({"diameter of", "width of"})

_PLACED: tuple[tuple[str, Condition], ...] = (
    ("about|around|approximately|roughly|measuring|spanning|diameter of|width of", _before_number),
    ("across|in diameter|in width|in size|wide", _after_number),
    ("volume of|extent of|full extent of|region of", _not_before_number),
    ("one|ones|single", _beside_choice),
    ("is|are", _asserts),
    ("both", _no_number_said),
    ("all|all of|any", _before_a_noun),
    ("only|just|alone|solely|exclusively", _chooses_nothing_less),
    ("or", _of_lesions_or_left_out),
    ("its|their", _of_what_is_borne_by_others),
    ("not all|not all of|whichever|whichever of|out of all", _then_chosen),
    ("what is left of|what remains of|once|after", _then_excluded),
    ("leave|take|keep", _taken_out_of),
    ("cut down to", _before_half),
    ("-facing", lambda pieces, place: _beside(pieces, place, 1, Kind.HALF)),
    ("not|that is not|which is not|that are not", _negates_a_noun),
    ("on this image|in this image", _no_side_said),
    ("on this slice|in this slice|at this level|on this section", _no_side_before),
)
CONDITIONS: dict[str, Condition] = {
    phrase: condition for phrases, condition in _PLACED for phrase in phrases.split("|")
}
"""Phrase -> where it may stand without being accounted for by anything else."""


_WORD = re.compile(r"(\d+(?:\.\d+)?)[ -]?(mm|cm|millimet\w+|centimet\w+)\b|([a-z]+(?:-[a-z]+)*(?:'s)?)|([,;:])|(\S)")


@dataclass(frozen=True)
class Token:
    """A phrase of the text with what the lexicon says of it."""

    text: str
    kind: Kind
    value: Any


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
    homes |= {HOMES[keys[0]] for keys in nouns if not homes and len(keys) == 1}
    return [
        Token(token.text, Kind.THING, _meant(token, homes, text)) if token.kind is Kind.NOUN else token
        for token in tokens
    ]


def _meant(token: Token, homes: set[str], text: str) -> Program:
    keys: Sequence[str] = token.value
    here = [key for key in keys if HOMES[key] in homes]
    if len({HOMES[key] for key in here}) != 1:
        raise PromptError(
            f"expected one organ that tells which {token.text!r} is meant, got {sorted(homes)} in {text!r}. Name it."
        )
    return thing_of(here)


def apposed(tokens: Sequence[Token], *, only: bool) -> list[Token]:
    """Tokens of which no structure stands beside another without a word between: "the prostate (whole gland)" names it
    twice, "hippocampus, head only" narrows it, "liver, spleen and stomach" lists.

    Args:
        tokens: as `resolved` gives them.
        only: whether the sentence says "only".
    """
    found: list[Token] = []
    listed = _ends_as_list(tokens)
    for place, token in enumerate(tokens):
        after = tokens[place + 1].kind if place + 1 < len(tokens) else Kind.COMMA
        if token.kind is Kind.THING and len(found) > 1 and _adds_its_own(found[-1], found[-2::-1], token):
            found.pop()
            continue
        if token.kind is Kind.THING and found and found[-1].kind is Kind.THING and _labels(found[-1]) == _labels(token):
            continue
        if token.kind is not Kind.THING or [item.kind for item in found[-2:]] != [Kind.THING, Kind.COMMA]:
            found.append(token)
            continue
        one, other = _labels(found[-2]), _labels(token)
        if one == other:
            found.pop()
        elif other < one and after is Kind.COMMA and (only or set(map(str, _kinds(token))) == {"part"}):
            found[-2:] = [token]
        elif listed:
            found[-1:] = [Token("and", Kind.AND, None), token]
        else:
            found.append(token)
    return found


def _adds_its_own(joint: Token, before: Sequence[Token], token: Token) -> bool:
    """Whether "and its tumour" adds to a structure what belongs to it anyway."""
    whole = next((item for item in before if item.kind is Kind.THING), None)
    own = joint.kind is Kind.AND and not {"its", "their", "included"}.isdisjoint(joint.text.split())
    return own and whole is not None and _labels(token) <= _labels(whole)


def _ends_as_list(tokens: Sequence[Token]) -> bool:
    """Whether the structures are a list and nothing else: three or more, or the last after an "and"."""
    kinds = [token.kind for token in tokens]
    things = kinds.count(Kind.THING)
    return things >= 3 and not set(kinds) - {Kind.THING, Kind.COMMA, Kind.AND, Kind.SIDE}


def _labels(token: Token) -> frozenset[str]:
    """Labels of what a token names, wholes of which no part is labelled aside."""
    named = atoms(token.value) if isinstance(token.value, Program) else ()
    return frozenset(leaf for item in named for leaf in item.structure.leaves if not leaf.startswith("whole_"))


def _kinds(token: Token) -> list[str]:
    return [item.operation for item in atoms(token.value)] if isinstance(token.value, Program) else []
