"""One slice that prompts are asked about, and what its label map answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from semantiseg.bench.evaluate import evaluate
from semantiseg.bench.program import Program, parse
from semantiseg.conventions import LabelArray, Mask, Slice
from semantiseg.data.store import VolumeStore


@dataclass(frozen=True)
class Question:
    """One slice and what its label map says.

    Attributes:
        image: `[H, W]` in [0, 1]; None where only answers are scored.
        labels: `[H, W]`.
        structures: label number -> ontology leaf.
        midline: column of the mid-sagittal plane.
        spacing_mm: edge of a pixel.
    """

    image: Slice | None
    labels: LabelArray
    structures: Mapping[int, str]
    midline: float
    spacing_mm: float
    _known: dict[Program, Mask] = field(default_factory=dict, repr=False, compare=False)

    def mask(self, program: str) -> Mask:
        """What a printed program denotes on this slice, `[H, W]`; not to be written to."""
        return evaluate(parse(program), self.labels, structures=self.structures, midline=self.midline, memo=self._known)


def read_slice(store: VolumeStore, volume_id: str, index: int) -> Question:
    """One axial slice of a prepared volume with all that scoring needs."""
    return Question(
        image=store.image_slice(volume_id, index),
        labels=store.label_slice(volume_id, index),
        structures=store.structures(volume_id),
        midline=store.midline(volume_id),
        spacing_mm=store.spacing_mm(volume_id),
    )
