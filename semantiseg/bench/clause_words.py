"""How the grammar words attribute clauses: adjectives and phrases, each marked as training or held out.

Terms follow the reporting lexicons: attenuation and margins from LI-RADS and the Fleischner Society's glossary, signal
from PI-RADS v2.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

from semantiseg.bench.clause import Clause
from semantiseg.bench.forms import Choice, Forms, Literal, words
from semantiseg.bench.forms import Sequence as Joined
from semantiseg.bench.templates import Part, Table, synonyms


@dataclass(frozen=True)
class Wording:
    """One clause's words by position.

    Attributes:
        before: adjectives that stand before the noun and after "is".
        after_is: phrases for after "is" only.
        apposition: phrases for after a comma only.
        after_with: noun phrases for after "with".
    """

    before: Table
    after_is: Table
    apposition: Table
    after_with: Table


def _split(words: str) -> Table:
    training, _, held_out = words.partition("|")
    return Table(*(tuple(word.strip() for word in part.split(",") if word.strip()) for part in (training, held_out)))


def _wording(before: str, after_with: str, after_is: str = "", apposition: str = "") -> Wording:
    return Wording(_split(before), _split(after_is), _split(apposition), _split(after_with))


# fmt: off
WORDINGS: dict[tuple[str, str], Wording] = {
    ("density", "hypodense"): _wording(
        "hypodense, low-attenuation, hypoattenuating, low-density | hypoattenuated, low-attenuating",
        "low attenuation, low density | reduced attenuation",
        "darker than the surroundings | less dense than the surroundings"),
    ("density", "isodense"): _wording(
        "isodense, isoattenuating | equally dense, equally attenuating",
        "attenuation equal to the surroundings | density similar to the surroundings",
        "as dense as the surroundings | similar in density to the surroundings"),
    ("density", "hyperdense"): _wording(
        "hyperdense, high-attenuation, hyperattenuating, high-density | hyperattenuated, high-attenuating",
        "high attenuation, high density | raised attenuation",
        "brighter than the surroundings | denser than the surroundings"),
    ("signal", "hypointense"): _wording(
        "hypointense, low-signal, dark | low-intensity, dark-signal",
        "low signal, low signal intensity | reduced signal",
        "darker than the surroundings | lower in signal than the surroundings"),
    ("signal", "isointense"): _wording(
        "isointense, intermediate-signal | equally bright, equal-signal",
        "signal equal to the surroundings | signal similar to the surroundings",
        "as bright as the surroundings | similar in signal to the surroundings"),
    ("signal", "hyperintense"): _wording(
        "hyperintense, high-signal, bright | high-intensity, bright-signal",
        "high signal, high signal intensity | raised signal",
        "brighter than the surroundings | higher in signal than the surroundings"),
    ("texture", "homogeneous"): _wording(
        "homogeneous, uniform, evenly textured | uniformly textured, consistent",
        "a homogeneous texture, a uniform texture | an even texture"),
    ("texture", "heterogeneous"): _wording(
        "heterogeneous, inhomogeneous, mottled | non-uniform, patchy",
        "a heterogeneous texture, a mottled texture | a patchy texture"),
    ("shape", "round"): _wording(
        "round, rounded, circular | globular, ball-like",
        "a round shape, a circular shape | a globular shape"),
    ("shape", "elongated"): _wording(
        "elongated, oblong, elongate | slender, stretched",
        "an elongated shape, an oblong shape | a slender shape"),
    ("shape", "irregular"): _wording(
        "irregular, irregularly shaped | unevenly shaped, misshapen",
        "an irregular shape, an irregular form | a misshapen form"),
    ("margin", "well_defined"): _wording(
        "well-defined, well-circumscribed, sharply marginated | clearly bordered, sharp-edged",
        "well-defined margins, sharp margins, a sharp border | crisp margins"),
    ("margin", "ill_defined"): _wording(
        "ill-defined, poorly circumscribed, poorly marginated | indistinct, fuzzy-edged",
        "ill-defined margins, blurred margins, a blurred border | fuzzy margins"),
    ("diameter", ""): _wording(
        "{n} mm | {n} mm wide",
        "a diameter of {n} mm, a diameter of about {n} mm | a width of {n} mm",
        "about {n} mm across, {n} mm in diameter | roughly {n} mm in width",
        "measuring {n} mm, measuring about {n} mm | spanning {n} mm"),
}  # fmt: skip
"""(attribute, value) -> words; the diameter's value fills `{n}`."""


def orders(clauses: Sequence[Clause], *, part: Part) -> list[tuple[Clause, ...]]:
    """The orders in which a part names clauses: even permutations of their sorted order for training, odd ones held
    out."""
    clauses = sorted(clauses)
    held_out = part in ("unseen_template", "unseen") and len(clauses) > 1
    return [
        tuple(clauses[index] for index in order)
        for order in permutations(range(len(clauses)))
        if bool(_inversions(order) % 2) == held_out
    ]


def _inversions(order: tuple[int, ...]) -> int:
    return sum(first > second for place, first in enumerate(order) for second in order[place + 1 :])


@lru_cache(maxsize=5_000)
def adjectives(clauses: tuple[Clause, ...], *, part: Part) -> Forms:
    """Adjectives for before the noun: "hypodense, round"."""
    said = [_words(clause, ("before",), part) for clause in clauses]
    return Choice((_listed(said, ", ", ", "), _listed(said, " ", " "))) if len(said) > 1 else said[0]


@lru_cache(maxsize=5_000)
def predicates(clauses: tuple[Clause, ...], *, part: Part) -> Forms:
    """What can follow "that is": "hypodense and about 14 mm across"."""
    return _listed([_words(clause, ("before", "after_is"), part, predicate=True) for clause in clauses], ", ", " and ")


@lru_cache(maxsize=5_000)
def appositions(clauses: tuple[Clause, ...], *, part: Part) -> Forms:
    """What can follow a comma: "hypodense, measuring 14 mm"."""
    return _listed(
        [_words(clause, ("before", "after_is", "apposition"), part, predicate=True) for clause in clauses], ", ", ", "
    )


@lru_cache(maxsize=5_000)
def features(clauses: tuple[Clause, ...], *, part: Part) -> Forms:
    """What can follow "with": "low attenuation and a round shape"."""
    return _listed([_words(clause, ("after_with",), part) for clause in clauses], ", ", " and ")


@lru_cache(maxsize=5_000)
def _words(clause: Clause, positions: tuple[str, ...], part: Part, *, predicate: bool = False) -> Forms:
    diameter = clause.attribute == "diameter"
    wording = WORDINGS[(clause.attribute, "" if diameter else clause.value)]
    # "14 mm" stands before a noun only; "that is 14 mm" lacks its "across".
    used = [position for position in positions if not (diameter and predicate and position == "before")]
    return words(
        word.format(n=clause.value) for position in used for word in synonyms(getattr(wording, position), part)
    )


def _listed(said: Sequence[Forms], comma: str, last: str) -> Forms:
    pieces: list[Forms] = []
    for place, forms in enumerate(said):
        if place:
            pieces.append(Literal(last if place == len(said) - 1 else comma))
        pieces.append(forms)
    return Joined(pieces)
