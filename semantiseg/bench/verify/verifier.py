"""Checks a prompt without the grammar: reads its text back, executes what it read, and measures what it says.

Nothing of the generator is trusted. The text alone decides what was asked; the stated program and clauses must agree
with it on this very slice, pixel by pixel and clause by clause, and the question must be one that the picture can
answer. Every rejection is a readable reason that begins with a code:

    unread                words or word order that the reader does not understand
    unlabelled, channel   a structure that the collection does not label, or that cannot be seen on this channel
    laterality            left or right where the patient's sides are not known
    side, direction, exclusion, selection, structure, program
                          the text denotes another mask than the stated program; the code names where they part
    empty, present        a target that is missing or too small, or is there although it should be absent
    exclusion-vacuous     what is left out is not there to be left out
    parent                a composition that asks for what its parent alone would give, or a wrong stated parent
    clause-missing, clause-unstated, clause
                          a clause that the text or the prompt lacks, or that the image denies
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from semantiseg.bench.measure.attributes import Measurement, holds
from semantiseg.conventions import Modality
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.evaluate import is_defined, leaves_of
from semantiseg.language.ontology import structure
from semantiseg.language.program import Program, atoms, call, parent
from semantiseg.language.reader.parser import Reading, read

MINIMUM_CHANGE = 10
"""An exclusion must leave out, and a composition must change its parent by, at least so many pixels."""
MINIMUM_CHANGE_SHARE = 0.05
"""A composition must change its parent by at least this share of the parent's pixels."""


class UnrecordedError(PromptError):
    """A program was not measured on the slice, so nothing can be said of it without voxels."""


class SliceFacts(Protocol):
    """What must be known of a slice to judge a prompt: `LabelledSlice` finds it out from image and labels,
    `records/recorded.py` has it from what was once measured. Programs are such as the collection labels.

    Attributes:
        structures: label number -> ontology leaf, of all labels that the collection has.
        modality: CT or MR.
        channel: channel of the image (CT, T1, ...).
        lateral: whether left and right may be asked.

    Raises:
        UnrecordedError: a program was not measured on this slice.
    """

    @property
    def structures(self) -> Mapping[int, str]: ...

    @property
    def modality(self) -> Modality: ...

    @property
    def channel(self) -> str: ...

    @property
    def lateral(self) -> bool: ...

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent."""

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""

    def measure(self, program: Program) -> tuple[dict[str, Measurement], str]:
        """Attributes of the program's value, and the name of what it is compared with."""


class Verifier:
    """Verifies any number of prompts about one slice.

    Args:
        facts: of the slice.
        minimum_pixels: smaller targets are no question.
    """

    def __init__(self, facts: SliceFacts, *, minimum_pixels: int = 1) -> None:
        self.facts, self.minimum_pixels = facts, minimum_pixels
        self._verdicts: dict[tuple, list[str]] = {}

    def verify(
        self,
        text: str,
        program: Program,
        clauses: Sequence[Clause],
        *,
        must_be_absent: bool = False,
        stated_parent: Program | None = None,
    ) -> list[str]:
        """Reasons why the text must not be asked for the program and clauses on this slice; empty if it may.

        Args:
            text: the prompt's words.
            program: what it is meant to denote.
            clauses: what it is meant to say of the target.
            must_be_absent: whether the target must be empty.
            stated_parent: what the prompt calls its parent, if it does.
        """
        try:
            reading = read(text, modality=self.facts.modality)
        except PromptError as error:
            return [f"unread: {error}"]
        question = (reading, program, tuple(sorted(clauses)), must_be_absent, stated_parent)
        if question not in self._verdicts:
            self._verdicts[question] = list(self._reasons(*question))
        return list(self._verdicts[question])

    def _reasons(
        self,
        reading: Reading,
        program: Program,
        clauses: tuple[Clause, ...],
        must_be_absent: bool,
        stated_parent: Program | None,
    ) -> Iterator[str]:
        unaskable = [*self._unaskable(reading.program), *self._unaskable(program)]
        if unaskable:
            yield from dict.fromkeys(unaskable)
            return
        yield from self._agreement(reading.program, program, must_be_absent)
        yield from self._presence(program, must_be_absent)
        if not must_be_absent:
            yield from self._exclusions(reading.program)
            yield from self._parent(reading.program)
        if stated_parent is not None:
            yield from self._stated_parent(reading.program, stated_parent)
        yield from self._clauses(reading, program, clauses)

    def _unaskable(self, program: Program) -> Iterator[str]:
        for item in atoms(program):
            if not is_defined(item, self.facts.structures):
                yield f"unlabelled: the collection does not label {item.key}"
            elif (channels := structure(item.key).channels) is not None and self.facts.channel not in channels:
                yield f"channel: {item.key} is not seen on {self.facts.channel}, only on {', '.join(channels)}"
        if not self.facts.lateral and {"left", "right"} & set(_words(program)):
            yield f"laterality: {program} needs the patient's sides, which are not known here"

    def _agreement(self, heard: Program, program: Program, must_be_absent: bool) -> Iterator[str]:
        if must_be_absent:
            # All empty masks are equal, so the meanings themselves must be.
            same = _normal(heard) == _normal(program)
        else:
            same = self.facts.same(heard, program)
        if not same:
            yield f"{_where_they_part(heard, program)}: the text denotes {heard}, the prompt states {program}"
        elif _left_out(heard) != _left_out(program):
            # "The mass in the right kidney" has the same mask without "excluding the cyst", but not the same meaning.
            yield f"exclusion: the text leaves out {_named(_left_out(heard))}, the prompt {_named(_left_out(program))}"

    def _presence(self, program: Program, must_be_absent: bool) -> Iterator[str]:
        pixels = self.facts.pixels(program)
        if must_be_absent and pixels:
            yield f"present: {program} should be absent and has {pixels} pixels"
        elif not must_be_absent and pixels < max(self.minimum_pixels, 1):
            yield f"empty: {program} has {pixels} pixels, expected at least {max(self.minimum_pixels, 1)}"

    def _exclusions(self, program: Program) -> Iterator[str]:
        for node in program.walk():
            if node.operation == "minus" and (pixels := self.facts.left_out(node)) < MINIMUM_CHANGE:
                kept, removed = node.children
                yield (
                    f"exclusion-vacuous: {removed} has {pixels} pixels where {kept} is asked for, "
                    f"expected at least {MINIMUM_CHANGE}"
                )

    def _parent(self, program: Program) -> Iterator[str]:
        if program.is_atom or program.operation == "union":
            return
        whole, changed = self.facts.pixels(parent(program)), self.facts.changed(program)
        if changed < max(MINIMUM_CHANGE, MINIMUM_CHANGE_SHARE * whole):
            yield f"parent: {program} differs from {parent(program)} by {changed} pixels only, so it asks nothing more"

    def _stated_parent(self, program: Program, stated: Program) -> Iterator[str]:
        expected = parent(program)
        if not is_defined(expected, self.facts.structures):
            # A collection that does not label the organ: the lesion is all that a reader could mark.
            expected = program
        if not is_defined(stated, self.facts.structures) or not self.facts.same(stated, expected):
            yield f"parent: the prompt states {stated}, the text's parent is {expected}"

    def _clauses(self, reading: Reading, program: Program, clauses: tuple[Clause, ...]) -> Iterator[str]:
        yield from (
            f"clause-missing: the text does not say {item.attribute} {item.value}"
            for item in clauses
            if item not in reading.clauses
        )
        yield from (
            f"clause-unstated: the text says {item.attribute} {item.value}"
            for item in reading.clauses
            if item not in clauses
        )
        for item in reading.clauses:
            found, _ = self.facts.measure(program)
            if not holds(item, found):
                measured = found.get(item.attribute)
                seen = (
                    "not measurable"
                    if measured is None
                    else f"{measured.value or 'borderline'} ({measured.number:.3g} {measured.unit})"
                )
                yield f"clause: {item.attribute} {item.value} is said, the image shows {seen}"


def _words(program: Program) -> list[str]:
    return [word for node in program.walk() for word in node.words]


def _operations(program: Program) -> list[str]:
    return [node.operation for node in program.walk()]


def _left_out(program: Program) -> set[str]:
    """Leaves that are named to be excluded, whether or not they would be part of the target."""
    return set().union(*(leaves_of(node.children[1]) for node in program.walk() if node.operation == "minus"))


def _named(leaves: set[str]) -> str:
    return ", ".join(sorted(leaves)) or "nothing"


def _normal(program: Program) -> Program:
    """One tree for programs that are equal by set algebra: unions in a fixed order, repeated exclusions as one."""
    if program.is_atom:
        return program
    arguments = [_normal(argument) if isinstance(argument, Program) else argument for argument in program.arguments]
    if program.operation == "union":
        return call("union", *sorted(arguments, key=str))
    kept = arguments[0]
    if program.operation == "minus" and isinstance(kept, Program) and kept.operation == "minus":
        first, removed = kept.children
        return _normal(call("minus", first, call("union", removed, arguments[1])))
    return call(program.operation, *arguments)


_ASPECTS: tuple[tuple[str, Callable[[Program], object]], ...] = (
    ("side", lambda program: sorted(word for word in _words(program) if word in ("left", "right"))),
    ("direction", lambda program: sorted(_words(program))),
    ("exclusion", lambda program: sum(operation in ("minus", "without") for operation in _operations(program))),
    (
        "selection",
        lambda program: sorted(operation for operation in _operations(program) if operation in ("largest", "smallest")),
    ),
    ("structure", lambda program: {item.key for item in atoms(program)}),
)


def _where_they_part(heard: Program, program: Program) -> str:
    """The first aspect in which two programs differ."""
    return next((name for name, aspect in _ASPECTS if aspect(heard) != aspect(program)), "program")
