"""What every segmenter is, ours or theirs: it says what it reads, encodes an image once and answers many prompts.

Models of other packages: entry points of the group `semantiseg.models` that make a segmenter without arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
