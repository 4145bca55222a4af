"""Words prompts: program + clauses -> text, in very many ways.

A surface form is a choice of names, constructions, clause words, clause order and request frame (tables in
`templates.py`, `clause_words.py` and the ontology). Each entry is either for training or held out, so that a test text
provably never occurs in training:

    part              outermost construction, clause order      names, clause adjectives
    seen              training                                  training
    unseen_template   held out                                  training
    unseen_synonym    training                                  held out
    unseen            held out                                  held out

Constructions nested below a held-out one may be of either part. Left and right are always the patient's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.grammar.forms import Choice, Forms, after, words
from semantiseg.language.grammar.phrases import NounPhrase, describe, fill, names
from semantiseg.language.grammar.tables import (
    COLLECTIVE_NOUNS,
    DIRECTION_WORDS,
    FRAMES,
    OPERATIONS,
    Part,
    nested,
    outermost,
    synonyms,
)
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import Program, atoms, call, subject

PARTS: tuple[Part, ...] = ("seen", "unseen_template", "unseen_synonym", "unseen")

_BINDING = {
    "minus": 1, "union": 2, "within": 3, "containing": 3, "without": 3, "facing": 3,
    "half": 4, "largest": 4, "smallest": 4, "side": 4, "organ": 5, "lesion": 5, "part": 5,
}  # fmt: skip
"""How tightly an operation binds in English: exclusion loosest, then union, placement, selection."""


def render(program: Program, clauses: Sequence[Clause], *, part: Part, rng: np.random.Generator) -> str:
    """One text that asks for the program, in a form of the given part.

    Clauses describe the program's subject (its leftmost atom).

    Raises:
        PromptError: English has no unambiguous words for this nesting, or the part is unknown.
    """
    return _forms(program, tuple(clauses), part).draw(rng)


def count_forms(program: Program, clauses: Sequence[Clause], *, part: Part) -> int:
    """How many surface forms the grammar has for the program in a part.

    Raises:
        PromptError: as `render`.
    """
    return _forms(program, tuple(clauses), part).count


def has_words(program: Program, clauses: Sequence[Clause], *, part: Part) -> bool:
    """Whether the grammar can word the program in a part."""
    try:
        return count_forms(program, clauses, part=part) > 0
    except PromptError:
        return False


def says(program: Program, clauses: Sequence[Clause], text: str, *, part: Part) -> bool:
    """Whether the grammar has exactly this text, in lower case and without a full stop, for the program in a part.

    Raises:
        PromptError: as `render`.
    """
    return text in _forms(program, tuple(clauses), part)


def texts(
    program: Program, clauses: Sequence[Clause], *, part: Part, count: int, rng: np.random.Generator
) -> list[str]:
    """Up to `count` distinct texts, in the order drawn; fewer only if the grammar has fewer.

    Raises:
        PromptError: as `render`.
    """
    forms = _forms(program, tuple(clauses), part)
    if forms.count <= 2 * count:
        every = sorted(set(forms))
        return [every[index] for index in rng.permutation(len(every))[:count]]
    drawn: dict[str, None] = {}
    for _ in range(50 * count):
        drawn[forms.draw(rng)] = None
        if len(drawn) == count:
            break
    return list(drawn)


@lru_cache(maxsize=4_000)
def _forms(program: Program, clauses: tuple[Clause, ...], part: Part) -> Forms:
    if part not in PARTS:
        raise PromptError(f"expected a part among {PARTS}, got {part!r}.")
    if program.is_atom and clauses:
        phrase = describe(names(program.key, (), short=False, part=part), clauses, part=part)
    else:
        phrase = _Wording(part, _may_be_short(program)).phrase(program, clauses, is_outermost=True)
    forms = _framed(phrase, part, bare=bool(clauses) or not program.is_atom or part in ("seen", "unseen_synonym"))
    if not forms:
        raise PromptError(f"expected a program that the grammar has {part} words for, got {program}.")
    return forms


def _framed(phrase: NounPhrase, part: Part, *, bare: bool) -> Forms:
    """The phrase by itself (`bare`), with "the", and in every request; whole requests stand as they are.

    A noun without clauses has no construction but its frame: there a held-out text must have a held-out frame.
    """
    requests = [fill(frame, phrase).request for frame in outermost(FRAMES, part)]
    alone = [phrase.bare, after("the ", phrase.countless)] if bare else []
    return Choice([*alone, Choice(requests), phrase.request])


def _may_be_short(program: Program) -> tuple[bool, ...]:
    """For every atom, left to right: whether "the tumour" is clear: the text names its organ in full elsewhere."""
    keys = [item.key for item in atoms(program)]
    organs = [STRUCTURES[key].home if STRUCTURES[key].short else key for key in keys]
    homes = {item.home for item in STRUCTURES.values() if item.short}
    if len(homes.intersection(organs)) != 1:
        return (False,) * len(keys)
    return tuple(
        bool(STRUCTURES[key].short) and (organ in keys or organ in organs[:place])
        for place, (key, organ) in enumerate(zip(keys, organs, strict=True))
    )


class _Wording:
    """Builds the phrases of one program; `short` tells for each atom, left to right, whether a short noun is clear."""

    def __init__(self, part: Part, short: tuple[bool, ...]) -> None:
        self.part = part
        self.short = iter(short)

    def phrase(self, program: Program, clauses: tuple[Clause, ...] = (), *, is_outermost: bool = False) -> NounPhrase:
        """The noun phrase of a program; clauses become adjectives of its leftmost atom."""
        if program.is_atom:
            return names(program.key, clauses, short=next(self.short), part=self.part)
        program = _flattened(program)
        _check_nesting(program)
        x = self.phrase(program.children[0], clauses)
        y = self.phrase(program.children[1]) if len(program.children) == 2 else None
        patterns = (outermost if is_outermost else nested)(OPERATIONS[program.operation], self.part)
        one_of_many = program.operation in ("largest", "smallest") or (
            program.operation in ("side", "containing", "without") and subject(program).operation == "organ"
        )
        if one_of_many:
            # "Right kidneys" is no English.
            x = NounPhrase(singular=x.singular, countable=x.countable)
        made = [fill(pattern, x, y, d=_directions(program)) for pattern in patterns]
        phrase = NounPhrase.union(made)
        if one_of_many:
            phrase = replace(phrase, countable=Choice(()))
        if program.operation == "half":
            phrase = NounPhrase(singular=phrase.countless, full=phrase.full, request=phrase.request)
        return phrase if is_outermost or clauses else self._with_collective(program, phrase)

    def _with_collective(self, program: Program, phrase: NounPhrase) -> NounPhrase:
        if program.operation != "union" or not all(child.is_atom for child in program.children):
            return phrase
        table = COLLECTIVE_NOUNS.get(frozenset(child.key for child in program.children))
        if table is None:
            return phrase
        nouns = words(synonyms(table, self.part))
        return NounPhrase.union([phrase, NounPhrase(plural=nouns)])


def _directions(program: Program) -> Forms:
    """What `{d}` stands for: the words of the program's direction, side or selection."""
    table = DIRECTION_WORDS.get(program.operation, {})
    spoken = next((str(argument) for argument in program.arguments if isinstance(argument, str)), "")
    return words(table.get(spoken, ()))


def _flattened(program: Program) -> Program:
    """`minus(minus(a, b), c)` as the equal `minus(a, union(b, c))`: English leaves out a list of things at once."""
    while program.operation == "minus" and program.children[0].operation == "minus":
        (first, removed), also = program.children[0].children, program.children[1]
        program = call("minus", first, call("union", removed, also))
    return program


def _check_nesting(program: Program) -> None:
    """Refuse trees whose words would be read as another tree.

    Raises:
        PromptError: the program cannot be worded.
    """
    operation, children = program.operation, program.children
    first = children[0].operation
    allowed_first = {
        "side": _BINDING[first] == 5,
        "half": _BINDING[first] == 5 or first in ("side", "largest", "smallest"),
        "largest": _BINDING[first] == 5 or first in ("side", "within"),
        "minus": _BINDING[first] >= 2,
        "union": _BINDING[first] >= 3,
    }
    allowed_first["smallest"] = allowed_first["largest"]
    # "Largest x in y" picks among those in y, so a selection cannot stand below a placement.
    if not allowed_first.get(operation, _BINDING[first] == 5 or first in ("side", "within")):
        raise PromptError(f"expected a program that can be said in one English phrase, got {program}.")
    least = 2 if operation == "minus" else 3 if operation == "union" else 4
    if len(children) == 2 and _BINDING[children[1].operation] < least:
        raise PromptError(
            f"expected a simpler second argument, one that can be said in one English phrase, got {program}."
        )
