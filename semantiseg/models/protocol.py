"""What every segmenter is, ours or theirs: it says what it reads, encodes an image once and answers many prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Slice

if TYPE_CHECKING:
    from semantiseg.models.features import TextFeatures
    from semantiseg.models.segmenter import Answer

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
