"""Misspelt words: the one word of a vocabulary that a word must have been meant for, or none.

Reads a clinician's sentence: structures, sides, selections, exclusions and descriptions are found and assembled.

The strict reader (`parser.py`) reads requests as the benchmark writes them. This one also knows what clinicians
write beside the request: abbreviations, slips of the pen, reasons, the patient's history, "head excluded". It brings
the sentence to the strict reader's tokens, so that any program of the language can come of it, and gives up where a
word is left that might turn the meaning.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from semantiseg.conventions import Modality
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.program import Program, call
from semantiseg.language.reader.clinicians_words import (
    ABBREVIATIONS,
    CLINICAL_LEXICON,
    DANGEROUS,
    HISTORIES,
    IN_DIAMETER,
    NEEDS_EXCLUSION,
    TURNING,
)
from semantiseg.language.reader.lexicon import Kind
from semantiseg.language.reader.parser import parse_tokens, read
from semantiseg.language.reader.tokens import PAIRED, Piece, Token, apposed, pieces_of, resolved, split, unaccounted

SHORTEST = 5
"""Shorter words are never corrected: one letter makes another word of them."""


def edits_allowed(word: str) -> int:
    """One slip in a word of up to eight letters, two in a longer one."""
    return 0 if len(word) < SHORTEST else 1 if len(word) <= 8 else 2


@lru_cache(maxsize=20_000)
def corrected(word: str, vocabulary: frozenset[str]) -> str | None:
    """The word of the vocabulary that is nearest by the fewest slips (letters lost, added, changed or exchanged), or
    None: too far, or two words are equally near and differ by more than a plural's ending."""
    return _nearest(word, vocabulary)


def _nearest(word: str, vocabulary: Collection[str]) -> str | None:
    allowed = edits_allowed(word)
    if not allowed:
        return None
    found = process.extract(
        word, vocabulary, scorer=DamerauLevenshtein.distance, score_cutoff=allowed, limit=3
    )  # fmt: skip
    # The first letter is seldom wrong, and "hypodense" is no slip of "hyperdense".
    near = [(distance, known) for known, distance, _ in found if known[0] == word[0]]
    if not near:
        return None
    least = min(distance for distance, _ in near)
    best = sorted({known for distance, known in near if distance == least}, key=len)
    return best[0] if len({known.rstrip("s") for known in best}) == 1 else None


STRICT, BESIDE_STRICT = 0.99, 0.98
"""Confidence in a sentence that the strict reader reads, and in one that only this reader reads."""
A_CORRECTION, A_STRANGE_SEGMENT = 0.985, 0.95
"""Factors of confidence: a word taken for a misspelling, a part of the sentence left aside with unknown words in it.

All four are shares of sentences read rightly, counted with one more of each kind, on the half of
`benchmarks/reader_sentences.yaml` that was looked at, plain and misspelt, and lowered so that more evidence against a
reading never raises its confidence; the other half tells how far they hold (`reader_ece`)."""

_AGE = re.compile(
    r"\b\d{1,3}[ -]?(?:years?[ -]?olds?|yrs?|y/?o|yo|y)?[ -]?(?:old )?"
    r"(?:male|female|man|woman|gentleman|lady|boy|girl|m|f)\b|"
    r"\b\d+[ -]?(?:years?[ -]olds?|y/?o|yo)\b|\b\d+[ -]?(?:years?|yrs?|weeks?|months?|days?|wks?)\b"
)
_NAME_WORDS = frozenset(
    word
    for lexemes in CLINICAL_LEXICON.values()
    for lexeme in lexemes
    for word in lexeme.words
    if lexeme.kind in (Kind.THING, Kind.NOUN) and word.isalpha()
)
_VOCABULARY = frozenset(
    word for lexemes in CLINICAL_LEXICON.values() for lexeme in lexemes for word in lexeme.words if word.isalpha()
) | frozenset(word for word in HISTORIES | DANGEROUS if word.isalpha())
_THINGS = (Kind.THING, Kind.NOUN)
_QUALIFIERS = (Kind.SIDE, Kind.DIRECTION, Kind.SELECT, Kind.ATTRIBUTE, Kind.HALF)
_EXCLUDERS = (Kind.EXCLUDE, Kind.EXCLUDED, Kind.TAKE, Kind.FREE)

_ONLY = frozenset({"only", "just", "alone", "solely", "exclusively", "nothing else", "and nothing else"})
_WITH_ITS = frozenset({"with its", "with their", "with its own", "with his", "with her"})

Segment = tuple[Piece, ...]


@dataclass(frozen=True)
class Understanding:
    """What a sentence was understood to ask for.

    Attributes:
        text: the sentence.
        program: None where it was not understood.
        clauses: what it says of the target.
        confidence: 0 to 1; 0 where it was not understood.
        not_understood: its words that nothing accounts for; with a program, words of parts that ask for nothing.
        corrections: words taken for misspellings, with what they were taken for.
        reason: why there is no program, or "".
    """

    text: str
    program: Program | None
    clauses: tuple[Clause, ...] = ()
    confidence: float = 0.0
    not_understood: tuple[str, ...] = ()
    corrections: tuple[tuple[str, str], ...] = ()
    reason: str = ""


@lru_cache(maxsize=100_000)
def understand(text: str, *, modality: Modality = "CT") -> Understanding:
    """Read a sentence; never raises for what it cannot read.

    Args:
        text: English, of either spelling.
        modality: whether "dark" and "bright" speak of density (CT) or of signal (MR).
    """
    try:
        reading = read(text, modality=modality)
        return Understanding(text, plain(reading.program), reading.clauses, STRICT)
    except PromptError:
        return _understood(text, modality)


def read_structured(text: str) -> Program:
    """The program of a sentence.

    Raises:
        PromptError: it is not understood; names the words.
    """
    found = understand(text)
    if found.program is None:
        raise PromptError(f"prompt: {found.reason}")
    return found.program


def _understood(text: str, modality: Modality) -> Understanding:
    words, corrections = _spelt(split(_expanded(text)))
    segments, strange = _without_context(_segments(pieces_of(words, CLINICAL_LEXICON)))
    pieces = _joined(segments)
    unknown = tuple(word for word in strange if word in DANGEROUS) + tuple(unaccounted(pieces)) + _open(pieces)
    if unknown:
        reason = f"expected words that are understood, got {list(unknown)} in {text!r}. Say it in other words."
        return Understanding(text, None, not_understood=unknown, corrections=corrections, reason=reason)
    try:
        tokens = apposed(resolved(_tokens(segments), text), only=any(piece.text in _ONLY for piece in pieces))
        reading = parse_tokens(tokens, text, modality=modality)
        program = plain(reading.program)
    except PromptError as error:
        return Understanding(text, None, not_understood=strange, corrections=corrections, reason=str(error))
    confidence = BESIDE_STRICT * A_CORRECTION ** len(corrections) * A_STRANGE_SEGMENT ** bool(strange)
    return Understanding(text, program, reading.clauses, round(confidence, 3), strange, corrections)


def _open(pieces: Sequence[Piece]) -> tuple[str, ...]:
    """Words that leave the meaning open because the sentence leaves nothing out, or states no number, or leaves out
    "the rest" of something."""
    needing = frozenset() if _has(pieces, *_EXCLUDERS) else NEEDS_EXCLUSION
    if not any(piece.is_number for piece in pieces):
        needing |= IN_DIAMETER
    after = (piece for before, piece in pairwise(pieces) if before.kind is Kind.EXCLUDE)
    return tuple(piece.text for piece in pieces if piece.text in needing) + tuple(
        piece.text for piece in after if piece.text in NEEDS_EXCLUSION and piece.kind is Kind.FILLER
    )


def _expanded(text: str) -> str:
    """Abbreviations written out, brackets and ends of sentences as stops."""
    said = _AGE.sub(" patient ", text.lower().replace("\u2019", "'"))
    for pattern, full in ABBREVIATIONS:
        said = re.sub(pattern, full, said)
    return said


def _spelt(words: Sequence[str]) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The words with slips mended, and what was mended."""
    spelt: list[str] = []
    corrections: list[tuple[str, str]] = []
    for word in words:
        meant = None
        if word.isalpha() and word not in _VOCABULARY:
            # A structure is asked for more often than any other word is misspelt: "speen" is no slip of "seen".
            meant = corrected(word, _NAME_WORDS) or corrected(word, _VOCABULARY)
        if meant is not None:
            corrections.append((word, meant))
        spelt.append(meant or word)
    return spelt, tuple(corrections)


def _segments(pieces: Iterable[Piece]) -> list[Segment]:
    """The parts of the text between stops."""
    segments: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.kind is Kind.COMMA:
            segments.append([])
        elif piece.kind is Kind.TAKE and segments[-1] and segments[-1][-1].kind is Kind.AND:
            # "Outline the liver and leave the tumour out"
            segments[-1:] = [segments[-1][:-1], [piece]]
        else:
            segments[-1].append(piece)
    return [tuple(segment) for segment in segments if segment]


def _has(segment: Iterable[Piece], *kinds: Kind) -> bool:
    return any(piece.kind in kinds for piece in segment)


def _without_context(segments: list[Segment]) -> tuple[list[Segment], tuple[str, ...]]:
    """The segments that say what is asked for, and unknown words of those that do not."""
    kept: list[Segment] = []
    strange: list[str] = []
    for place, segment in enumerate(segments):
        others = [*kept, *segments[place + 1 :]]
        asked = _asked(segment, target_before=any(_has(other, *_THINGS) for other in kept))
        if _is_context(asked, another_target=any(_has(other, *_THINGS) for other in others)):
            strange += [] if _tells(asked) else [piece.text for piece in asked if piece.kind is None]
        elif asked:
            kept.append(asked)
    return kept, tuple(strange)


def _asked(segment: Segment, *, target_before: bool) -> Segment:
    """The segment without the reasons in it: from a word that begins one to what is left out, or to the end."""
    kept: list[Piece] = []
    in_reason = False
    for place, piece in enumerate(segment):
        tells = _history_follows(segment, place) and piece.kind in (Kind.PLACE, Kind.WITH, Kind.FILLER, None)
        # "As avoidance structure"; "as dark as the spleen" describes.
        role = piece.text == "as" and not _has(segment[place:], *_THINGS, *_QUALIFIERS)
        if (piece.kind is Kind.REASON or tells or role) and _has(kept, *_THINGS):
            in_reason = True
        elif piece.kind in (Kind.EXCLUDE, Kind.EXCLUDED):
            in_reason = False
        turns = piece.kind is None and piece.text in TURNING
        if (turns or not in_reason) and not (piece.kind is Kind.REASON and place and not target_before):
            kept.append(piece)
    return tuple(kept)


def _history_follows(segment: Segment, place: int) -> bool:
    """Whether a word of the patient's history comes before any structure, from a place on."""
    for piece in segment[place:]:
        if piece.kind in (*_THINGS, *_EXCLUDERS, *_QUALIFIERS):
            return False
        if piece.text in HISTORIES:
            return True
    return False


def _is_context(segment: Segment, *, another_target: bool) -> bool:
    """Whether a segment asks for nothing: it tells of the patient, begins with a reason, or names no structure."""
    if not another_target or _has(segment, *_EXCLUDERS):
        return not segment
    reasons = bool(segment) and segment[0].kind is Kind.REASON
    return _tells(segment) or reasons or not _has(segment, *_THINGS, *_QUALIFIERS)


def _tells(segment: Segment) -> bool:
    """Whether a segment tells of the patient."""
    return any(piece.kind in (None, Kind.FILLER, Kind.REASON) and piece.text in HISTORIES for piece in segment)


def _joined(segments: Sequence[Segment]) -> list[Piece]:
    """The segments as one text, a comma between them."""
    pieces: list[Piece] = []
    for segment in segments:
        pieces += [Piece(",", Kind.COMMA)] if pieces else []
        pieces += segment
    return pieces


def _tokens(segments: Sequence[Segment]) -> list[Token]:
    """Tokens in the order that the strict reader's grammar has: the target, what qualifies it, what is left out."""
    told = [tuple(piece for piece in segment if piece.kind not in (Kind.FILLER, Kind.REASON)) for segment in segments]
    # "Show me where the liver is" bears nothing.
    told = [segment[1:] if segment and segment[0].text in ("where", "in which") else segment for segment in told]
    told = [segment for segment in map(_rewritten, told) if segment]
    exclusions = [segment for segment in told if segment[0].kind in (Kind.EXCLUDE, Kind.WITH) and _removes(segment)]
    targets = [segment for segment in told if segment not in exclusions]
    pieces = _joined([*targets, *exclusions])
    return [Token(piece.text, piece.kind, piece.value) for piece in _with_antecedents(pieces) if piece.kind is not None]


def _with_antecedents(pieces: Sequence[Piece]) -> list[Piece]:
    """ "All tumours other than the largest" names the tumours once; the reader's grammar wants them twice."""
    target = next((piece for piece in pieces if piece.kind in _THINGS), None)
    found: list[Piece] = []
    for place, piece in enumerate(pieces):
        found.append(piece)
        after = pieces[place + 1].kind if place + 1 < len(pieces) else Kind.COMMA
        before = pieces[place - 1].kind if place else None
        if target is None or after is not Kind.COMMA:
            continue
        if piece.kind in (Kind.SELECT, Kind.SIDE) and before is Kind.EXCLUDE:
            found.append(target)
        elif piece.kind is Kind.HALF and place > 1 and pieces[place - 2].kind is Kind.EXCLUDE:
            found += [Piece("of", Kind.PLACE), target]
    return found


def _removes(segment: Segment) -> bool:
    return not _has(segment, Kind.OUT_OF) and (segment[0].kind is Kind.EXCLUDE or segment[-1].kind is Kind.EXCLUDED)


def _rewritten(segment: Segment) -> Segment:
    """A segment in the constructions of the strict reader: "Y excluded" as "with Y excluded", "Y removed from X" as
    "exclude Y from X", "leave Y out" as "with Y left out"."""
    while segment and segment[-1].kind in (Kind.OUT_OF, Kind.AND) and not segment[-1].text.endswith("included"):
        # "Exclude the tumour from it"
        segment = segment[:-1]
    if not segment:
        return segment
    excluded = next((place for place, piece in enumerate(segment) if piece.kind is Kind.EXCLUDED), None)
    opened = _has(segment[:excluded], Kind.WITH, Kind.EXCLUDE) if excluded is not None else True
    if segment[-1].text.endswith("included") and segment[-1].kind is Kind.AND:
        return (segment[-1], *segment[:-1])
    its = next((place for place, piece in enumerate(segment) if piece.text in _WITH_ITS), 0)
    if excluded is None and its:
        # "The kidney with its tumour" takes both; "with its margins blurred" describes.
        if segment[its + 1 : its + 2] and segment[its + 1].kind in _THINGS:
            return (*segment[:its], replace(segment[its], kind=Kind.AND), *segment[its + 1 :])
    if excluded is not None and not opened:
        front = segment[0].kind is Kind.TAKE
        inside = segment[front:excluded]
        if excluded + 1 < len(segment) and segment[excluded + 1].kind is Kind.OUT_OF:
            exclude = replace(segment[excluded], kind=Kind.EXCLUDE)
            return (exclude, *inside, *segment[excluded + 1 :])
        if excluded == len(segment) - 1:
            return (Piece("with", Kind.WITH), *inside, segment[excluded])
    return segment


def plain(program: Program) -> Program:
    """The program without what asks twice, and "a liver free of tumour" as the liver without it: there is one liver,
    but of kidneys the healthy one is meant."""
    if program.is_atom:
        return program
    parts = [plain(part) if isinstance(part, Program) else part for part in program.arguments]
    first, last = parts[0], parts[-1]
    if program.operation == "without" and isinstance(first, Program) and isinstance(last, Program):
        single = first.is_atom and first.operation == "organ" and first.key not in PAIRED
        if single and last.is_atom and last.structure.parent == first.key:
            return call("minus", first, last)
    if program.operation == "minus" and isinstance(first, Program) and isinstance(last, Program):
        if first.is_atom and last.is_atom and set(first.structure.leaves) <= set(last.structure.leaves):
            raise PromptError(f"expected something that is left, got {first} without {last}. Exclude a part of it.")
        if first.operation == "minus" and first.children[1] == last:
            return first
    return call(program.operation, *parts)
