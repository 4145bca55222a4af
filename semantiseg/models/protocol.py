"""What every segmenter is, ours or theirs: it says what it reads, encodes an image once and answers many prompts.

Models of other packages: entry points of the group `semantiseg.models` that make a segmenter without arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Slice
from semantiseg.errors import ModelError

if TYPE_CHECKING:
    from semantiseg.models.features import TextFeatures


Prompting = Literal["text", "box", "point"]


@dataclass(frozen=True)
class ModelCard:
    """What a segmenter declares about itself."""

    label: str
    """Its name in tables."""
    reads: tuple[Prompting, ...]
    """What it can be asked by; a model without "text" is asked by boxes, under a box protocol that its row names."""
    input_size: int | None = None
    """Rows and columns of the network's input in pixels; None if it takes any."""
    normalisation: str = "as the slice comes, in [0, 1]"
    """How a picture enters: resizing and intensities."""
    code_licence: str = "not stated"
    weights_licence: str = "not stated"
    training_data: tuple[str, ...] = ()
    """Collections known to have been trained on; empty if none is known."""
    remark: str = ""


WIDER = 1.5
"""How many times a length or an area may exceed all that was seen before it is said."""
DARKER = 0.1
"""How far the mean grey of a window may lie outside all that was seen before it is said."""


@dataclass(frozen=True)
class TrainedOn:
    """What a model has seen, as its `config.json` says: an image that is unlike it gets answers that mean little.

    Ranges are lowest and highest over the training volumes. Lengths and areas are of prepared grids with known edges.
    """

    origins: tuple[str, ...]
    """Of the images: phantom, official, user."""
    collections: tuple[str, ...]
    patients: int
    modalities: tuple[str, ...]
    scales: tuple[str, ...]
    """Of the intensities, `data.intensity.Scale`."""
    spacing_mm: float
    """Edge of the voxels that the model was shown."""
    edge_mm: tuple[float, float]
    """Longest edge of the voxels as the files had them."""
    field_mm: tuple[tuple[float, float], ...]
    """Extent along (S, A, R)."""
    brightness: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Modality -> mean of a volume's middle slice in [0, 1]."""
    largest_mm2: Mapping[str, float] = field(default_factory=dict)
    """Structure -> its largest area on a slice."""
    images: tuple[str, ...] = ()
    """First 16 digits of the SHA-256 of every image file."""

    def __str__(self) -> str:
        if self.origins == ("phantom",):
            return f"has seen phantoms only ({self.patients}, synthetic): of a patient its answers mean nothing"
        named = f"{self.patients} patients of {', '.join(self.collections)}"
        return f"has seen {named}" + (" only" if len(self.collections) == 1 else "")

    def unlike(
        self, *, modality: str, scale: str, brightness: float, edge_mm: float | None, field_mm: Sequence[float]
    ) -> list[str]:
        """How an image differs from all that was seen, a clause each; the arguments are as the attributes.

        Args:
            edge_mm: longest voxel edge of the file, None where no length is known; then nothing is said of lengths.
            field_mm: extent along (S, A, R).
        """
        if modality not in self.modalities:
            return [f"is {modality}, and the model has seen {' and '.join(self.modalities)} only"]
        said = []
        if modality == "CT" and scale not in self.scales:
            said.append(f"has the intensity scale {scale}; the model has seen {' and '.join(self.scales)}")
        low, high = self.brightness.get(modality, (0.0, 1.0))
        if not low - DARKER <= brightness <= high + DARKER:
            said.append(f"has a mean grey of {brightness:.2f}; the model has seen {low:.2f} to {high:.2f}")
        if edge_mm is not None and self.edge_mm[1]:
            if edge_mm > WIDER * self.edge_mm[1]:
                said.append(f"has voxels of {edge_mm:.1f} mm; the model has seen at most {self.edge_mm[1]:.1f} mm")
            axes = zip(("S", "A", "R"), field_mm, self.field_mm, strict=True)
            wrong = [axis for axis, size, (least, most) in axes if not least / WIDER <= size <= most * WIDER]
            if wrong:
                shown, seen = (" x ".join(f"{size:.0f}" for size in sizes) for sizes in (field_mm, self._middle()))
                said.append(f"shows {shown} mm (S, A, R), unlike the usual {seen} mm along {', '.join(wrong)}")
        return said

    def implausible(self, structure: str, area_mm2: float) -> str:
        """What is wrong with an answer that marks so much of a structure on one slice; "" where nothing is."""
        most = self.largest_mm2.get(structure, 0.0)
        if not most or area_mm2 <= WIDER * most:
            return ""
        return f"marks {area_mm2 / 100:.0f} cm2 on one slice; the largest seen had {most / 100:.0f} cm2: not plausible"

    def _middle(self) -> list[float]:
        return [(least + most) / 2 for least, most in self.field_mm]


@dataclass(frozen=True)
class Answer:
    """What `segment` returns for P prompts on one slice."""

    probabilities: NDArray[np.float32]
    """`[P, H, W]` in [0, 1]; the mask is where it exceeds 0.5."""
    gate: NDArray[np.float32] | None
    """Mean of alpha over channels at the finest stage, `[P, H, W]` in [0, 1]; None for a model without gate."""


class PromptedSegmenter(Protocol):
    """All that scoring, composing and whole volumes ask of a model (docs/bring_a_model.md)."""

    @property
    def card(self) -> ModelCard:
        """What it reads, its input, its terms and what it is known to have been trained on."""

    @property
    def needs_box(self) -> bool:
        """True for a model that is asked by boxes: `segment` then gets one for each prompt."""

    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> Answer:
        """Answer P prompts about one slice, whose image is encoded once; see `Segmenter.segment`."""


@runtime_checkable
class EncodesTexts(Protocol):
    """A segmenter whose texts can be encoded once for many slices."""

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Features of the texts, for `segment`."""


GROUP = "semantiseg.models"
GUIDE = "docs/bring_a_model.md"


def plugin_names() -> list[str]:
    """Names of the installed models, sorted."""
    return sorted(point.name for point in entry_points(group=GROUP))


def open_plugin(name: str) -> PromptedSegmenter:
    """Make an installed model.

    Raises:
        ModelError: none of this name, it cannot be made, or it lacks a member of the protocol.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise ModelError(
            f"model: expected one of {plugin_names()}, got {name!r}. Install the package that provides it ({GUIDE})."
        )
    try:
        segmenter = next(iter(found)).load()()
    except Exception as error:  # whatever another package's code raises
        raise ModelError(
            f"entry point {name!r} of {GROUP}: expected a class or function that makes a model without arguments, got "
            f"{type(error).__name__}: {error}. Mend that package."
        ) from error
    lacking = [member for member in ("card", "needs_box", "segment") if not hasattr(segmenter, member)]
    if lacking or not isinstance(segmenter.card, ModelCard):
        raise ModelError(
            f"entry point {name!r} of {GROUP}: expected a model with a ModelCard as card, with needs_box and segment, "
            f"got one without {lacking or 'a ModelCard'}. See {GUIDE}."
        )
    return segmenter
