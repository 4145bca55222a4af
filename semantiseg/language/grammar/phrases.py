"""How the grammar words attribute clauses: adjectives and phrases, each marked as training or held out.

Terms follow the reporting lexicons: attenuation and margins from LI-RADS and the Fleischner Society's glossary, signal
from PI-RADS v2.1.

Noun phrases by number, and how a template makes a larger one from smaller ones.

English needs to know whether a phrase is singular or plural ("that is", "that are"), whether it has a plural ("the
largest of the liver lesions"), whether it takes "the", and which lesions have a short noun that can open a compound
("tumour-bearing").

A noun described by clauses: "hypodense liver tumour", "liver tumour that is round and about 14 mm across".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from itertools import permutations

from semantiseg.language.clause import Clause
from semantiseg.language.grammar.forms import EMPTY, Choice, Forms, Joined, Literal, after, words
from semantiseg.language.grammar.tables import (
    DESCRIPTIONS,
    PLURAL_HEADS,
    PLURALS,
    Part,
    Table,
    outermost,
    synonyms,
)
from semantiseg.language.ontology import STRUCTURES


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


_SLOT = re.compile(r"\{(\w+)\}|\[(\w+)\|(\w+)\]|<(\w+)\|(\w+)>")
_END_OF_HEAD = re.compile(r" (?:of|with|around|after) ")


@dataclass(frozen=True)
class NounPhrase:
    """One meaning's phrases, sorted by what English must know of them.

    Attributes:
        singular, plural: take "the" and agree with "is" and "are".
        countable: plurals for "the largest of ...".
        short: one-word nouns ("tumour").
        full: have a determiner of their own ("all of the liver ...").
        request: whole sentences, which no other phrase can hold.
    """

    singular: Forms = EMPTY
    plural: Forms = EMPTY
    countable: Forms = EMPTY
    short: Forms = EMPTY
    full: Forms = EMPTY
    request: Forms = EMPTY

    @property
    def countless(self) -> Forms:
        """Phrases that take "the"."""
        return Choice((self.singular, self.plural))

    @property
    def bare(self) -> Forms:
        """Phrases without "the"."""
        return Choice((self.singular, self.plural, self.full))

    @property
    def definite(self) -> Forms:
        """Phrases with "the", or with the determiner that they have."""
        return Choice((after("the ", self.countless), self.full))

    @property
    def any(self) -> Forms:
        """All phrases; plurals that only serve selections are left out."""
        return Choice((self.singular, self.plural, self.full, self.request))

    @staticmethod
    def union(phrases: Sequence[NounPhrase]) -> NounPhrase:
        """All phrases of several."""
        return NounPhrase(
            **{field.name: Choice([getattr(phrase, field.name) for phrase in phrases]) for field in fields(NounPhrase)}
        )


@lru_cache(maxsize=2_000)
def names(key: str, clauses: tuple[Clause, ...], *, short: bool, part: Part) -> NounPhrase:
    """The names of a structure after the clauses' adjectives; `short` adds nouns that need an organ named elsewhere."""
    item = STRUCTURES[key]
    full = synonyms(Table(item.names, item.held_out), part)
    nouns = synonyms(Table(item.short, item.short_held_out), part) if short else ()
    every = full + nouns
    plural = tuple(name for name in every if is_plural(name))
    phrase = NounPhrase(
        singular=words(name for name in every if name not in plural),
        plural=words(plural),
        countable=words(dict.fromkeys(plural + tuple(many for name in every if (many := pluralised(name))))),
        short=words(noun for noun in nouns if " " not in noun),
    )
    if not clauses:
        return phrase
    described = Choice(adjectives(order, part=part) for order in orders(clauses, part=part))
    return replace(
        phrase,
        **{
            name: Joined((described, Literal(" "), getattr(phrase, name)))
            for name in ("singular", "plural", "countable", "short")
        },
    )


def is_plural(name: str) -> bool:
    """Whether a name agrees with "are"."""
    head = _END_OF_HEAD.split(name)[0]
    return " and " in head or head.rsplit(" ", 1)[-1] in PLURAL_HEADS


def pluralised(name: str) -> str | None:
    """The plural of a singular name whose head can be counted ("tumours of the liver"), or None."""
    head = _END_OF_HEAD.split(name)[0]
    start, _, noun = head.rpartition(" ")
    if noun not in PLURALS or " with " in name:
        return None
    return f"{start} {PLURALS[noun]}".strip() + name[len(head) :]


def fill(template: str, x: NounPhrase, y: NounPhrase | None = None, **slots: Forms) -> NounPhrase:
    """What a template makes of its arguments (syntax in `grammar/tables.py`); phrases that do not fit give nothing.

    Args:
        template: with its mark.
        x, y: the arguments.
        slots: what further slots stand for, by name.
    """
    mark, pattern = (template[0], template[2:]) if template[0] in "=*" else ("", template)
    slots = {**slots, "XS": after("the ", x.countable)}
    if "{XS}" in pattern:
        one = _filled(pattern, slots, "singular", y)
        return NounPhrase(**{{"": "singular", "=": "full", "*": "request"}[mark]: one})
    made = {
        number: _filled(
            pattern, {**slots, "x": forms, "X": forms if number == "full" else after("the ", forms)}, number, y
        )
        for number in ("singular", "plural", "countable", "full")
        if (forms := getattr(x, number))
    }
    if mark:
        made.pop("countable", None)
        return NounPhrase(**{"full" if mark == "=" else "request": Choice(made.values())})
    if not pattern.startswith("{x}"):
        # "The left-sided all of the ..." is no English.
        made.pop("full", None)
    return NounPhrase(**made)


def _filled(pattern: str, slots: dict[str, Forms], number: str, y: NounPhrase | None) -> Forms:
    y = y or NounPhrase()
    slots = {**slots, "y": y.bare, "Y": y.definite, "y1": y.short}
    if "<" not in pattern:
        return _joined(pattern, slots, number, "")
    return Choice(
        _joined(pattern, {**slots, "Y": after("the ", forms)}, number, verb)
        for verb, forms in (("singular", y.singular), ("plural", y.plural))
    )


def _joined(pattern: str, slots: dict[str, Forms], number: str, verb: str) -> Forms:
    if number == "full" and "[" in pattern:
        return EMPTY
    pieces: list[Forms] = []
    for text, slot, one, many, one_y, many_y in _parsed(pattern):
        if slot:
            pieces.append(slots[slot])
        elif one:
            pieces.append(Literal(one if number == "singular" else many))
        elif one_y:
            pieces.append(Literal(one_y if verb == "singular" else many_y))
        else:
            pieces.append(Literal(text))
    return Joined(pieces)


@cache
def _parsed(pattern: str) -> tuple[tuple[str, ...], ...]:
    """Pieces of a template: text, or slot, or the verbs of x (one, many), or the verbs of y (one, many)."""
    pieces: list[tuple[str, ...]] = []
    end = 0
    for match in _SLOT.finditer(pattern):
        pieces += [(pattern[end : match.start()], "", "", "", "", ""), ("", *(group or "" for group in match.groups()))]
        end = match.end()
    pieces.append((pattern[end:], "", "", "", "", ""))
    return tuple(piece for piece in pieces if any(piece))


_SLOTS = {"A": adjectives, "P": predicates, "Q": appositions, "W": features}


def describe(phrase: NounPhrase, clauses: Sequence[Clause], *, part: Part) -> NounPhrase:
    """The phrase with all clauses said once, in every construction and clause order of the part."""
    return NounPhrase.union(
        [
            fill(template, phrase, None, **{slot: _SLOTS[slot](said, part=part) for slot, said in shares.items()})
            for template in outermost(DESCRIPTIONS, part)
            for order in orders(clauses, part=part)
            for shares in _shares(template, order)
        ]
    )


def _shares(template: str, order: tuple[Clause, ...]) -> Iterator[dict[str, tuple[Clause, ...]]]:
    """Every way to deal the clauses, in order, to the one or two slots of a template, none left empty."""
    slots = [slot for slot in _SLOTS if f"{{{slot}}}" in template]
    if len(slots) == 1:
        yield {slots[0]: order}
    else:
        for cut in range(1, len(order)):
            yield {slots[0]: order[:cut], slots[1]: order[cut:]}
