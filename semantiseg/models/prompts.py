"""What is asked of an image, as tensors: the sentence's features and, for models that read no text, a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeature

Reading = Literal["contextual", "bag_of_words", "none"]
"""How a model reads a sentence: the encoder's contextual tokens, the bare multiset of its word pieces, or not at
all."""


@dataclass(frozen=True)
class PromptBatch:
    """P prompts, padded to the longest."""

    tokens: Tensor
    """Token features, `[P, T, E]`; zero where `mask` is False."""
    mask: Tensor
    """True where a token is, `[P, T]`."""
    pooled: Tensor
    """Sentence embeddings, `[P, E]`."""
    boxes: Tensor
    """Boxes `[P, 4]` = (top, left, bottom, right) as fractions of the model's frame; all zero means no box."""

    def __len__(self) -> int:
        return len(self.tokens)


def _read(feature: TextFeature, reading: Reading) -> tuple[NDArray, NDArray]:
    """Token features `[T, E]` and sentence embedding `[E]` as a model of this reading sees them."""
    if reading == "contextual":
        return feature.tokens, feature.pooled
    if reading == "bag_of_words":
        # Sorted by word-piece id: two orders of the same words are the same array, bit by bit.
        static = feature.static[np.argsort(feature.ids, kind="stable")]
        return static, static.astype(np.float32).mean(axis=0)
    return np.zeros((1, feature.tokens.shape[1]), dtype=np.float16), np.zeros_like(feature.pooled)


def collate(
    features: Sequence[TextFeature], *, reading: Reading, boxes: NDArray[np.floating] | None = None
) -> PromptBatch:
    """Stack prompts for a model that reads sentences in the given way.

    Args:
        features: one per prompt.
        reading: see `Reading`.
        boxes: `[P, 4]` as in `PromptBatch.boxes`; None means no box.

    Raises:
        ModelError: no prompt at all, or boxes of another number.
    """
    if not features:
        raise ModelError("prompts: expected at least one, got none. Ask something.")
    if boxes is not None and np.shape(boxes) != (len(features), 4):
        raise ModelError(f"boxes: expected [{len(features)}, 4], one for each prompt, got {list(np.shape(boxes))}.")
    read = [_read(feature, reading) for feature in features]
    longest = max(len(tokens) for tokens, _ in read)
    tokens = np.zeros((len(read), longest, read[0][0].shape[1]), dtype=np.float32)
    mask = np.zeros((len(read), longest), dtype=bool)
    for row, (values, _) in enumerate(read):
        tokens[row, : len(values)] = values
        mask[row, : len(values)] = True
    pooled = np.stack([embedding for _, embedding in read]).astype(np.float32)
    corners = np.zeros((len(read), 4), dtype=np.float32) if boxes is None else np.asarray(boxes, dtype=np.float32)
    return PromptBatch(*map(torch.from_numpy, (tokens, mask, pooled, corners)))


class PromptProjection(nn.Module):
    """From the text encoder's width E to the width D shared with F_sem; the sentence joins its words as one more
    token."""

    def __init__(self, *, text_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.token = nn.Sequential(
            nn.LayerNorm(text_width), nn.Dropout(dropout), nn.Linear(text_width, width), nn.LayerNorm(width)
        )
        self.sentence = nn.Sequential(
            nn.LayerNorm(text_width), nn.Dropout(dropout), nn.Linear(text_width, width), nn.LayerNorm(width)
        )

    def forward(self, prompts: PromptBatch) -> PromptBatch:
        """`[P, T, E]` to `[P, 1 + T, D]`; the first token is the sentence."""
        pooled = self.sentence(prompts.pooled)
        tokens = torch.cat([pooled[:, None], self.token(prompts.tokens)], dim=1)
        mask = torch.cat([torch.ones_like(prompts.mask[:, :1]), prompts.mask], dim=1)
        return PromptBatch(tokens=tokens, mask=mask, pooled=pooled, boxes=prompts.boxes)
