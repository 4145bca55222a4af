"""Whole volumes asked slice by slice, of any model that answers about slices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import EncodesTexts, PromptedSegmenter
from semantiseg.models.segmenter import Answer


def segment_volume(
    segmenter: PromptedSegmenter,
    image: NDArray[np.floating],
    texts: Sequence[str],
    *,
    features: TextFeatures | None = None,
) -> Answer:
    """Answer P prompts about every axial slice; each slice is encoded once, the texts once for all.

    Args:
        segmenter: a model that reads text.
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        texts: P sentences.
        features: their features; None: the model encodes them.

    Returns:
        Probabilities `[P, D, H, W]`; gates are not kept.

    Raises:
        ModelError: the image is no volume, or the model asks for boxes.
    """
    if np.ndim(image) != 3 or 0 in np.shape(image):
        raise ModelError(f"image: expected a volume [D, H, W], got shape {np.shape(image)}. Give one channel.")
    if segmenter.needs_box:
        raise ModelError("model: expected one that reads text, got one that needs a box. Choose another.")
    if features is None and isinstance(segmenter, EncodesTexts):
        features = segmenter.encode_texts(texts)
    slices = [segmenter.segment(part, texts, features=features).probabilities for part in image]
    return Answer(probabilities=np.stack(slices, axis=1), gate=None)
