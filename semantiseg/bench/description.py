"""A noun described by clauses: "hypodense liver tumour", "liver tumour that is round and about 14 mm across"."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from semantiseg.bench.clause import Clause
from semantiseg.bench.clause_words import adjectives, appositions, features, orders, predicates
from semantiseg.bench.noun_phrase import NounPhrase, fill
from semantiseg.bench.templates import DESCRIPTIONS, Part, outermost

_SLOTS = {"A": adjectives, "P": predicates, "Q": appositions, "W": features}


def describe(phrase: NounPhrase, clauses: Sequence[Clause], *, part: Part) -> NounPhrase:
    """The phrase with all clauses said once, in every construction and clause order of the part."""
    return NounPhrase.union(
        [
            fill(template, phrase, **{slot: _SLOTS[slot](said, part=part) for slot, said in shares.items()})
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
