"""Reads a request back: text -> program and clauses.

The reader shares the ontology with the grammar and nothing else: it looks words up in its own lexicon and composes them
by a small grammar of English, from loosest to tightest: exclusion, union, placement, selection, side and half. What it
cannot place it refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from semantiseg.conventions import Modality
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.program import Program, call
from semantiseg.language.reader.lexicon import Kind
from semantiseg.language.reader.tokens import Token, tokens_of

_BRIGHTNESS = {
    "CT": ("density", {"hypo": "hypodense", "iso": "isodense", "hyper": "hyperdense"}),
    "MR": ("signal", {"hypo": "hypointense", "iso": "isointense", "hyper": "hyperintense"}),
}


@dataclass(frozen=True)
class Reading:
    """What a text asks for.

    Attributes:
        program: the mask that it denotes.
        clauses: what it says of that mask, sorted.
    """

    program: Program
    clauses: tuple[Clause, ...]


@lru_cache(maxsize=100_000)
def read(text: str, *, modality: Modality = "CT") -> Reading:
    """Read a request.

    Args:
        text: English, of either spelling.
        modality: whether "dark" and "bright" speak of density (CT) or of signal (MR).

    Raises:
        PromptError: words that are not understood, or words in no order that makes sense; the message names them.
    """
    return parse_tokens(tokens_of(text), text, modality=modality)


def parse_tokens(tokens: Sequence[Token], text: str, *, modality: Modality) -> Reading:
    """What tokens in this order ask for; `text` is quoted in errors.

    Raises:
        PromptError: the order makes no sense, or one attribute is said twice with different values.
    """
    parser = _Parser(list(tokens), text, modality)
    program = parser.request()
    clauses = sorted(set(parser.clauses))
    for one, other in pairwise(clauses):
        if one.attribute == other.attribute:
            raise PromptError(
                f"expected one {one.attribute} of the target, got {one.value!r} and {other.value!r} in {text!r}."
            )
    return Reading(program, tuple(clauses))


class _Parser:
    """Recursive descent over the tokens; `clauses` collects what is said of the target."""

    def __init__(self, tokens: list[Token], text: str, modality: Modality) -> None:
        self.tokens, self.text, self.modality = tokens, text, modality
        self.place = 0
        self.clauses: list[Clause] = []

    # Looking at tokens

    def kind(self, ahead: int = 0) -> Kind | None:
        place = self.place + ahead
        return self.tokens[place].kind if place < len(self.tokens) else None

    def take(self, *kinds: Kind) -> Token | None:
        """The next token if it is of one of the kinds."""
        if self.kind() in kinds:
            self.place += 1
            return self.tokens[self.place - 1]
        return None

    def remaining(self, kind: Kind) -> bool:
        return any(token.kind is kind for token in self.tokens[self.place :])

    def refuse(self) -> PromptError:
        rest = " ".join(token.text for token in self.tokens[self.place :])
        return PromptError(
            f"expected a structure and what qualifies it, got {rest or 'nothing'!r} at the end of {self.text!r}."
        )

    def agreed(self, known: str | None, token: Token) -> str:
        """The token's value, which must not contradict what was said before ("the left right kidney")."""
        if known is not None and known != token.value:
            raise PromptError(f"expected one of {known!r} and {token.value!r}, got both in {self.text!r}.")
        return str(token.value)

    def aside(self, parse: Callable[[], Program]) -> Program:
        """Parse something that is not the target; nothing can be checked of what is said about it."""
        before = len(self.clauses)
        program = parse()
        if len(self.clauses) > before:
            said = ", ".join(clause.value for clause in self.clauses[before:])
            raise PromptError(
                f"expected attributes of the target only, got {said!r} said of {program} in {self.text!r}."
            )
        return program

    # Exclusion binds loosest

    def request(self) -> Program:
        """The whole text."""
        program = self.exclusion()
        while self.take(Kind.COMMA):
            pass
        if self.place < len(self.tokens):
            raise self.refuse()
        return program

    def exclusion(self) -> Program:
        while self.kind() in (Kind.COMMA, Kind.OUT_OF):
            outside = self.take(Kind.COMMA, Kind.OUT_OF).text not in (",", ";", ":", "out of")  # type: ignore[union-attr]
            # "Out of the tumours, the largest" is among them; "outside the liver" is not in it.
            if outside and not self.remaining(Kind.TAKE):
                raise self.refuse()
        if self.take(Kind.TAKE, Kind.EXCLUDE):
            left_out = self.aside(self.union)
            while self.take(Kind.COMMA, Kind.OUT_OF):
                pass
            program = call("minus", self.union(), left_out)
        else:
            program = self.union()
        while (removed := self.removal()) is not None:
            program = call("minus", program, removed)
        return program

    def removal(self) -> Program | None:
        start = self.place
        while self.take(Kind.COMMA, Kind.AND):
            pass
        if self.take(Kind.EXCLUDE, Kind.TAKE):
            return self.aside(self.union)
        if self.take(Kind.WITH):
            removed = self.aside(self.union)
            if self.take(Kind.EXCLUDED):
                return removed
        self.place = start
        return None

    def union(self) -> Program:
        program = self.relation()
        while self.kind() is Kind.AND or (self.kind() is Kind.COMMA and self.kind(1) is Kind.AND):
            start = self.place
            self.take(Kind.COMMA)
            self.take(Kind.AND)
            if self.kind() in (Kind.EXCLUDE, Kind.TAKE):
                self.place = start
                break
            program = call("union", program, self.relation())
        return program

    # Placement

    def relation(self) -> Program:
        if self.kind() in (Kind.PLACE, Kind.FACING):
            return self.fronted()
        program, select = self.unit()
        if before := self.take(Kind.BEARING_BEFORE, Kind.FREE_BEFORE):
            bearer, select = self.unit()
            program = call("containing" if before.kind is Kind.BEARING_BEFORE else "without", bearer, program)
        return self.placed(program, select)

    def fronted(self) -> Program:
        """ "In the right kidney, the mass"; "of the kidneys, the one on the right"."""
        relation = self.take(Kind.PLACE, Kind.FACING)
        before = len(self.clauses)
        place, select = self.unit(fronted=True)
        comma = self.take(Kind.COMMA)
        if self.head_ahead():
            if len(self.clauses) > before or relation is None:
                raise self.refuse()
            program, select_target = self.unit()
            if relation.kind is Kind.PLACE:
                program = call("within", program, _chosen(place, select))
            else:
                program = call("facing", program, str(relation.value), _chosen(place, select))
            return self.placed(program, select_target)
        if not comma or relation is None or relation.kind is Kind.FACING:
            raise self.refuse()
        self.place -= 1
        return self.placed(*self.qualified(place, select))

    def placed(self, program: Program, select: str | None) -> Program:
        while True:
            kind = self.kind()
            if kind is Kind.WITH and (self.remaining(Kind.EXCLUDED) or self.kind(1) is Kind.ATTRIBUTE):
                break
            if kind not in (Kind.PLACE, Kind.BEAR, Kind.FREE, Kind.FACING, Kind.WITH):
                break
            relation = self.take(kind)
            other = self.aside(lambda: _chosen(*self.unit()))
            if kind is Kind.FACING:
                program = call("facing", program, str(relation.value), other)  # type: ignore[union-attr]
            else:
                program = call({Kind.PLACE: "within", Kind.FREE: "without"}.get(kind, "containing"), program, other)
        program, select = self.qualified(program, select)
        return _chosen(program, select)

    # Selection, side, half, and the structure itself

    def unit(self, *, sideless: bool = False, fronted: bool = False) -> tuple[Program, str | None]:
        """A structure with its modifiers, and a selection that still has to be made (after any placement).

        Args:
            sideless: leave the last side after the structure to the caller.
            fronted: stop at the last comma.
        """
        select: str | None = None
        side: str | None = None
        while self.kind() is not Kind.THING:
            if self.kind() in (Kind.DIRECTION, Kind.SIDE) and self.kind(1) is Kind.HALF:
                return self.half(str(self.take(self.kind()).value), select)  # type: ignore[arg-type,union-attr]
            if self.kind() is Kind.HALF:
                return self.half(None, select)
            if token := self.take(Kind.SELECT):
                select = self.agreed(select, token)
                self.take(Kind.PLACE)
            elif token := self.take(Kind.SIDE):
                side = self.agreed(side, token)
            elif not self.attributes():
                raise self.refuse()
        program: Program = self.take(Kind.THING).value  # type: ignore[union-attr]
        if side:
            program = call("side", program, side)
        return self.qualified(program, select, sideless=sideless, fronted=fronted)

    def half(self, direction: str | None, select: str | None) -> tuple[Program, str | None]:
        """ "Anterior half of the spleen"; "half of the spleen, the anterior one"."""
        self.take(Kind.HALF)
        if not self.take(Kind.PLACE):
            raise self.refuse()
        whole = _chosen(*self.unit(sideless=direction is None))
        if direction is None:
            self.take(Kind.COMMA)
            token = self.take(Kind.DIRECTION, Kind.SIDE)
            if token is None:
                raise self.refuse()
            direction = str(token.value)
        return self.qualified(call("half", whole, direction), select)

    def qualified(
        self, program: Program, select: str | None, *, sideless: bool = False, fronted: bool = False
    ) -> tuple[Program, str | None]:
        """What follows a structure: sides, halves, selections, attributes."""
        while True:
            start = self.place
            comma = self.take(Kind.COMMA)
            if comma and (self.head_ahead() or (fronted and not self.remaining(Kind.COMMA))):
                self.place = start
                return program, select
            if self.kind() in (Kind.DIRECTION, Kind.SIDE) and self.kind(1) is Kind.HALF:
                program = call("half", program, str(self.tokens[self.place].value))
                self.place += 2
            elif self.kind() is Kind.SIDE and not (sideless and self.last_direction()):
                program = call("side", program, str(self.tokens[self.place].value))
                self.place += 1
            elif token := self.take(Kind.SELECT):
                select = self.agreed(select, token)
            else:
                if self.kind() is Kind.WITH and self.kind(1) is Kind.ATTRIBUTE:
                    self.take(Kind.WITH)
                if not self.attributes():
                    self.place = start
                    return program, select

    def last_direction(self) -> bool:
        """Whether no other direction follows the coming one."""
        after = 2 if self.kind(1) is Kind.COMMA else 1
        return self.kind(after) not in (Kind.DIRECTION, Kind.SIDE)

    def head_ahead(self) -> bool:
        """Whether the coming modifiers stand before a structure of their own."""
        ahead = 0
        while self.kind(ahead) in (Kind.ATTRIBUTE, Kind.SIDE, Kind.SELECT, Kind.COMMA, Kind.AND):
            if self.kind(ahead) is Kind.AND and self.kind(ahead + 1) is not Kind.ATTRIBUTE:
                return False
            if ahead and self.kind(ahead) is Kind.COMMA and self.kind(ahead - 1) is not Kind.ATTRIBUTE:
                return False
            if self.kind(ahead) is Kind.SIDE and self.kind(ahead + 1) is Kind.HALF:
                return self.kind(ahead + 2) is Kind.PLACE
            ahead += 1
        if self.kind(ahead) in (Kind.DIRECTION, Kind.HALF):
            return Kind.PLACE in (self.kind(ahead + 1), self.kind(ahead + 2))
        return self.kind(ahead) is Kind.THING

    def attributes(self) -> bool:
        """Take a list of attributes ("hypodense, round and 14 mm across"); whether there was one."""
        found = False
        while token := self.take(Kind.ATTRIBUTE):
            found = True
            attribute, value = token.value
            if attribute == "brightness":
                attribute, values = _BRIGHTNESS[self.modality]
                value = values[value]
            self.clauses.append(Clause(attribute, value))
            start = self.place
            joined = []
            while mark := self.take(Kind.COMMA, Kind.AND, Kind.WITH):
                joined.append(mark.text)
            if self.kind() is not Kind.ATTRIBUTE:
                self.place = start
            elif "or" in joined:
                # "Round or irregular" claims neither.
                raise self.refuse()
        return found


def _chosen(program: Program, select: str | None) -> Program:
    return call(select, program) if select else program
