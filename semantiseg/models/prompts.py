"""What is asked of an image, as tensors: the sentence's features and, for models that read no text, a box."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeature
from semantiseg.recipes import Reading

ABSENT = -1e4
"""Score of a padded token: its softmax weight is exactly 0 in float32."""

READERS = 4
"""Learned queries that read a sentence's words."""

VOCABULARY = 30522
"""Word pieces of BERT's tokenizers, MiniLM's and BiomedCLIP's alike."""
SCRATCH_WIDTH, SCRATCH_HEADS = 96, 4
"""Of the text encoder that is trained with the model."""
LONGEST = 512
"""Positions of that encoder."""


@dataclass(frozen=True)
class PromptBatch:
    """P prompts, padded to the longest."""

    tokens: Tensor
    """Token features, `[P, T, 2E]`: in context, then the word piece by itself; zero where `mask` is False. After
    `PromptProjection` `[P, 1 + T, D]`."""
    mask: Tensor
    """True where a token is, `[P, T]`."""
    pooled: Tensor
    """Sentence embeddings, `[P, F]`; F is E for most encoders."""
    boxes: Tensor
    """Boxes `[P, 4]` = (top, left, bottom, right) as fractions of the model's frame; all zero means no box."""
    ids: Tensor
    """Numbers of the word pieces, `[P, T]` int64; 0 where `mask` is False."""

    def __len__(self) -> int:
        return len(self.tokens)

    def to(self, device: torch.device) -> PromptBatch:
        """The same on a device."""
        return PromptBatch(**{name: value.to(device) for name, value in vars(self).items()})


def _read(feature: TextFeature, reading: Reading) -> tuple[NDArray, NDArray, NDArray]:
    """Token features `[T, 2E]`, sentence embedding `[F]` and ids `[T]` as a model of this reading sees them.

    In context "left" and "right" are nearly the same (cosine 0.8 in MiniLM); by themselves they are not (0.5).
    """
    if reading == "contextual":
        return np.concatenate([feature.tokens, feature.static], axis=1), feature.pooled, feature.ids
    if reading == "bag_of_words":
        # Sorted by word-piece id: two orders of the same words are the same array, bit by bit.
        order = np.argsort(feature.ids, kind="stable")
        static = feature.static[order]
        tokens = np.concatenate([np.zeros_like(static), static], axis=1)
        return tokens, static.astype(np.float32).mean(axis=0), feature.ids[order]
    ids = feature.ids if reading == "from_scratch" else np.zeros(1, dtype=np.int32)
    return np.zeros((len(ids), 2 * feature.tokens.shape[1]), dtype=np.float16), np.zeros_like(feature.pooled), ids


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
    longest = max(len(words) for _, _, words in read)
    tokens = np.zeros((len(read), longest, read[0][0].shape[1]), dtype=np.float32)
    mask, ids = np.zeros((len(read), longest), dtype=bool), np.zeros((len(read), longest), dtype=np.int64)
    for row, (values, _, words) in enumerate(read):
        tokens[row, : len(values)] = values
        mask[row, : len(words)] = True
        ids[row, : len(words)] = words
    pooled = np.stack([embedding for _, embedding, _ in read]).astype(np.float32)
    corners = np.zeros((len(read), 4), dtype=np.float32) if boxes is None else np.asarray(boxes, dtype=np.float32)
    return PromptBatch(*map(torch.from_numpy, (tokens, mask, pooled, corners, ids)))


class PromptProjection(nn.Module):
    """From the text encoder's widths (tokens E, sentence F) to the width D shared with F_sem.

    E_text is the encoder's sentence embedding plus what `READERS` learned queries find among the words; it joins the
    words as one more token.
    """

    def __init__(self, *, text_width: int, sentence_width: int, width: int, dropout: float) -> None:
        super().__init__()
        self.widths = (text_width, sentence_width)
        # Each part by itself: features in context are ten times as long as word pieces.
        self.parts = nn.LayerNorm(text_width)
        self.token = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * text_width, width), nn.LayerNorm(width))
        self.sentence = nn.Sequential(
            nn.LayerNorm(sentence_width), nn.Dropout(dropout), nn.Linear(sentence_width, width)
        )
        self.readers = nn.Linear(width, READERS, bias=False)
        self.found = nn.Linear(READERS * width, width)
        self.norm = nn.LayerNorm(width)

    def forward(self, prompts: PromptBatch) -> PromptBatch:
        """`[P, T, 2E]` to `[P, 1 + T, D]`; the first token is the sentence.

        Raises:
            ModelError: features of another text encoder than the model was trained with.
        """
        theirs = prompts.tokens.shape[2] // 2, prompts.pooled.shape[1]
        ours = self.widths[0], self.widths[1]
        if theirs != ours:
            raise ModelError(
                f"prompts: expected text features of widths {ours} (tokens, sentence), got {theirs}. "
                "Encode them with the text encoder that the model was trained with (`text_encoder` in its config.json)."
            )
        tokens = self.token(self.parts(prompts.tokens.unflatten(2, (2, -1))).flatten(2))
        scores = self.readers(tokens).masked_fill(~prompts.mask[..., None], ABSENT)  # [P, T, READERS]
        found = self.found((scores.softmax(dim=1).transpose(1, 2) @ tokens).flatten(1))
        pooled = self.norm(self.sentence(prompts.pooled) + found)
        mask = torch.cat([torch.ones_like(prompts.mask[:, :1]), prompts.mask], dim=1)
        return PromptBatch(
            tokens=torch.cat([pooled[:, None], tokens], dim=1), mask=mask, pooled=pooled, boxes=prompts.boxes,
            ids=prompts.ids,
        )  # fmt: skip


class ScratchProjection(PromptProjection):
    """The same behind a text encoder that knows nothing at first: word pieces, positions, one transformer layer.

    It takes the place of the frozen encoder's features: in context, by themselves, and their mean as the sentence.
    """

    def __init__(self, *, width: int, dropout: float) -> None:
        super().__init__(text_width=SCRATCH_WIDTH, sentence_width=SCRATCH_WIDTH, width=width, dropout=dropout)
        self.words = nn.Embedding(VOCABULARY, SCRATCH_WIDTH)
        self.places = nn.Embedding(LONGEST, SCRATCH_WIDTH)
        self.context = nn.TransformerEncoderLayer(
            SCRATCH_WIDTH, SCRATCH_HEADS, dim_feedforward=2 * SCRATCH_WIDTH, dropout=0.0, activation="gelu",
            batch_first=True, norm_first=True,
        )  # fmt: skip

    def forward(self, prompts: PromptBatch) -> PromptBatch:
        """As `PromptProjection`, from `ids` and `mask` alone."""
        alone = self.words(prompts.ids)
        places = self.places(torch.arange(alone.shape[1], device=alone.device))
        tokens = self.context(alone + places, src_key_padding_mask=~prompts.mask)
        shown = prompts.mask[..., None].to(tokens.dtype)
        sentence = (tokens * shown).sum(dim=1) / shown.sum(dim=1)
        features = torch.cat([tokens, alone], dim=2) * shown
        return super().forward(replace(prompts, tokens=features, pooled=sentence))
