"""Box protocols: where the box comes from when a model reads no text. Each makes a row of its own; none is ever mixed.

Boxes are `[P, 4]` = (top, left, bottom, right) in pixel edges, all zero where there is nothing to draw a box around.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Mask, Slice
from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeatures
from semantiseg.models.gate import box_of
from semantiseg.models.protocol import PromptedSegmenter

ORACLE_TARGET = "oracle_target"
ORACLE_PARENT = "oracle_parent"
GROUNDED = "grounder_"
"""Names of protocols; the last is followed by the name of the model that draws."""

THRESHOLD = 0.5
"""A pixel belongs to a grounder's mask where its probability exceeds this."""


def grounded_by(grounder: str) -> str:
    """Name of the protocol whose boxes a text-reading model draws."""
    return f"{GROUNDED}{grounder}"


@dataclass(frozen=True)
class LabelledPrompts:
    """P prompts about one slice, with what the label map says of them."""

    image: Slice
    texts: Sequence[str]
    targets: Callable[[], Sequence[Mask]]
    """The masks asked for; called by the oracle of the target alone."""
    parents: Callable[[], Sequence[Mask]]
    """The masks of the dominant structures."""
    features: TextFeatures | None


@dataclass(frozen=True)
class BoxProtocol:
    """A named way to draw a box for each prompt."""

    name: str
    """As in row names (`row.py`)."""
    draw: Callable[[LabelledPrompts], NDArray[np.float32]]


def _around(masks: Sequence[Mask]) -> NDArray[np.float32]:
    return np.stack([box_of(mask) for mask in masks])


TARGET = BoxProtocol(ORACLE_TARGET, lambda asked: _around(asked.targets()))
"""The ground truth's own box: it hands the model the answer's place, and most of its shape."""

PARENT = BoxProtocol(ORACLE_PARENT, lambda asked: _around(asked.parents()))
"""The box of the parent structure: what a reader who ignores the sentence would draw."""


def grounder(segmenter: PromptedSegmenter, *, name: str) -> BoxProtocol:
    """Boxes around what a text-reading segmenter marks; no ground truth is seen.

    Args:
        segmenter: reads text.
        name: its name, part of the row's.

    Raises:
        ModelError: it reads no text.
    """
    if segmenter.needs_box:
        raise ModelError(f"grounder: expected a model that reads text, got {name}, which needs a box. Choose another.")

    def draw(asked: LabelledPrompts) -> NDArray[np.float32]:
        answer = segmenter.segment(asked.image, asked.texts, features=asked.features)
        return _around(list(answer.probabilities > THRESHOLD))

    return BoxProtocol(grounded_by(name), draw)


def check_boxes(boxes: NDArray[np.floating], *, prompts: int, height: int, width: int) -> NDArray[np.float32]:
    """Boxes as float32 after checking that each lies in a picture of `height` x `width` pixels.

    Raises:
        ModelError: names every box that is empty, not finite, or reaches outside.
    """
    boxes = np.asarray(boxes, dtype=np.float32)
    if boxes.shape != (prompts, 4):
        raise ModelError(f"boxes: expected [{prompts}, 4], one for each prompt, got {list(boxes.shape)}.")
    wrong = []
    for number, (top, left, bottom, right) in enumerate(boxes.tolist()):
        if not np.isfinite([top, left, bottom, right]).all():
            wrong.append(f"box {number} is not finite")
        elif bottom <= top or right <= left:
            wrong.append(f"box {number} is empty: {top:g}, {left:g}, {bottom:g}, {right:g}")
        elif top < 0 or left < 0 or bottom > height or right > width:
            wrong.append(f"box {number} reaches outside: {top:g}, {left:g}, {bottom:g}, {right:g}")
    if wrong:
        raise ModelError(
            f"boxes: expected (top, left, bottom, right) in pixel edges within {height} x {width}, got "
            f"{'; '.join(wrong)}. Clip or drop them."
        )
    return boxes


def turned(boxes: NDArray[np.floating], *, height: int, width: int) -> NDArray[np.float32]:
    """Boxes of a stored slice in its radiological picture (both axes mirrored), or back; all zero stays so."""
    boxes = np.asarray(boxes, dtype=np.float32)
    top, left, bottom, right = boxes.T
    mirrored = np.stack([height - bottom, width - right, height - top, width - left], axis=1)
    return np.where(boxes.any(axis=1, keepdims=True), mirrored, 0).astype(np.float32)
