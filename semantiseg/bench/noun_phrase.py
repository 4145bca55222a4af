"""Noun phrases by number, and how a template makes a larger one from smaller ones.

English needs to know whether a phrase is singular or plural ("that is", "that are"), whether it has a plural ("the
largest of the liver lesions"), whether it takes "the", and which lesions have a short noun that can open a compound
("tumour-bearing").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache

from semantiseg.bench.clause import Clause
from semantiseg.bench.clause_words import adjectives, orders
from semantiseg.bench.forms import EMPTY, Choice, Forms, Literal, after, words
from semantiseg.bench.forms import Sequence as Joined
from semantiseg.bench.ontology import STRUCTURES
from semantiseg.bench.templates import PLURAL_HEADS, PLURALS, SHORT_NOUNS, Part, Table, synonyms

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
    nouns = synonyms(SHORT_NOUNS[key][1], part) if short else ()
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
    """What a template makes of its arguments (syntax in `bench/templates.py`); phrases that do not fit it give nothing.

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
