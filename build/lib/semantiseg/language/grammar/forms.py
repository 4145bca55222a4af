"""Sets of surface forms that can be counted, listed and drawn from without writing them all out.

A set is a literal, a choice between sets, or a sequence of sets set one after the other. A nested noun phrase has
millions of forms; counting them takes microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np


class Forms:
    """A finite set of texts, given by how they are derived.

    `count` is the number of derivations. The grammar's tables are written so that different derivations give different
    texts.
    """

    count: int

    def draw(self, rng: np.random.Generator) -> str:
        """One text; at every choice all alternatives are equally likely, however many forms stand behind each."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[str]:
        raise NotImplementedError

    def __bool__(self) -> bool:
        return self.count > 0

    def ends(self, text: str, start: int) -> set[int]:
        """Where in `text` a form that begins at `start` can end."""
        raise NotImplementedError

    def __contains__(self, text: object) -> bool:
        """Whether the text is one of the forms, found without listing them."""
        return isinstance(text, str) and len(text) in self.ends(text, 0)


class Literal(Forms):
    """One fixed text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.count = 1

    def draw(self, rng: np.random.Generator) -> str:
        return self.text

    def __iter__(self) -> Iterator[str]:
        yield self.text

    def ends(self, text: str, start: int) -> set[int]:
        return {start + len(self.text)} if text.startswith(self.text, start) else set()


class Choice(Forms):
    """One of several sets; empty ones are dropped."""

    def __init__(self, options: Iterable[Forms]) -> None:
        self.options = tuple(option for option in options if option)
        self.count = sum(option.count for option in self.options)

    def draw(self, rng: np.random.Generator) -> str:
        options = self.options
        return options[int(rng.random() * len(options))].draw(rng)

    def __iter__(self) -> Iterator[str]:
        for option in self.options:
            yield from option

    def ends(self, text: str, start: int) -> set[int]:
        return {end for option in self.options for end in option.ends(text, start)}


class Joined(Forms):
    """Sets joined one after the other, without separator; empty as soon as one of them is."""

    def __init__(self, pieces: Iterable[Forms]) -> None:
        self.pieces = tuple(pieces)
        self.count = math.prod(piece.count for piece in self.pieces)

    def draw(self, rng: np.random.Generator) -> str:
        return "".join(piece.draw(rng) for piece in self.pieces)

    def __iter__(self) -> Iterator[str]:
        for texts in product(*self.pieces):
            yield "".join(texts)

    def ends(self, text: str, start: int) -> set[int]:
        places = {start}
        for piece in self.pieces:
            places = {end for place in places for end in piece.ends(text, place)}
        return places


EMPTY = Choice(())
"""No form at all."""


def words(texts: Iterable[str]) -> Forms:
    """The set of the given texts."""
    return Choice(Literal(text) for text in texts)


def after(prefix: str, forms: Forms) -> Forms:
    """Every form with `prefix` before it."""
    return Joined((Literal(prefix), forms)) if forms else EMPTY
