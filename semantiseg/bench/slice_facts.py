"""What the verifier must know of a slice to judge a prompt: sizes, equalities and measurements of programs' values.

`ImageFacts` finds them out from image and labels. `bench/records/` keeps them, so that prompts need no voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from semantiseg.bench.attributes import Measurement
from semantiseg.bench.evaluate import evaluate, is_defined
from semantiseg.bench.ontology import structure
from semantiseg.bench.program import Program, atom, parent, subject
from semantiseg.bench.reference import describe
from semantiseg.conventions import LabelArray, Mask, Modality, Slice
from semantiseg.errors import PromptError


class SliceFacts(Protocol):
    """Facts of one slice; programs are such as the collection labels.

    Attributes:
        structures: label number -> ontology leaf, of all labels that the collection has.
        modality: CT or MR.
        channel: channel of the image (CT, T1, ...).
        lateral: whether left and right may be asked.
    """

    structures: Mapping[int, str]
    modality: Modality
    channel: str
    lateral: bool

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent (a program by itself if that is not labelled)."""

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""

    def measured(self, program: Program) -> dict[str, Measurement]:
        """Attributes of the program's value."""


class ImageFacts:
    """Facts found on image and labels, each once.

    Args:
        image: `[H, W]` in [0, 1].
        labels: `[H, W]` label numbers.
        structures: label number -> ontology leaf, of all labels that the collection has.
        midline: column of the mid-sagittal plane.
        spacing_mm: pixel edge.
        modality: CT or MR.
        channel: channel of the image (CT, T1, ...).
        window: intensities that 0 and 1 stand for.
        lateral: whether left and right may be asked.

    Raises:
        PromptError: image and labels are no slices of one shape.
    """

    def __init__(
        self, *, image: Slice, labels: LabelArray, structures: Mapping[int, str], midline: float, spacing_mm: float,
        modality: Modality, channel: str, window: tuple[float, float], lateral: bool,
    ) -> None:  # fmt: skip
        if image.shape != labels.shape or labels.ndim != 2:
            raise PromptError(f"expected image and labels of one slice [H, W], got {image.shape} and {labels.shape}.")
        self.image, self.labels, self.structures, self.midline = image, labels, dict(structures), midline
        self.spacing_mm, self.modality, self.channel, self.window = spacing_mm, modality, channel, window
        self.lateral = lateral
        self._masks: dict[Program, Mask] = {}
        self._measured: dict[Program, dict[str, Measurement]] = {}

    def mask(self, program: Program) -> Mask:
        """The program's value, `[H, W]`."""
        return evaluate(program, self.labels, structures=self.structures, midline=self.midline, memo=self._masks)

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""
        return int(self.mask(program).sum())

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""
        return bool((self.mask(one) == self.mask(other)).all())

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent."""
        return int((self.mask(program) ^ self.mask(parent(program))).sum())

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""
        kept, removed = program.children
        return int((self.mask(removed) & self._scope(kept, removed)).sum())

    def measured(self, program: Program) -> dict[str, Measurement]:
        """Attributes of the program's value; none if it is empty."""
        if program not in self._measured:
            self._measured[program], _ = describe(
                program, self.image, self.labels, structures=self.structures, midline=self.midline,
                spacing_mm=self.spacing_mm, modality=self.modality, window=self.window,
            )  # fmt: skip
        return self._measured[program]

    def _scope(self, kept: Program, removed: Program) -> Mask:
        """Where something can be left out: in the thing itself, or, for a look-alike, in the organ that holds both."""
        if not leaves_of(kept).isdisjoint(leaves_of(removed)):
            return self.mask(kept)
        if kept.operation == "within":
            return self.mask(kept.children[1])
        container = structure(subject(kept).key).parent
        if container is not None and is_defined(atom(container), self.structures):
            return self.mask(atom(container))
        return self.mask(kept)


def leaves_of(program: Program) -> set[str]:
    """Leaves that the program's value can be made of (not those that only place it)."""
    if program.is_atom:
        return set(structure(program.key).leaves)
    consist = program.children if program.operation == "union" else program.children[:1]
    return set().union(*map(leaves_of, consist))
