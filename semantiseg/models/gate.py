"""How a prompt steers the fusion of the semantic and the frequency stream: one class a gate, one interface.

A gate is built for one ConvNeXt stage of C channels and called as `gate(stage, owner, prompts)`. It returns F_fused
`[P, C, H, W]` and its alpha, broadcastable to that shape, or None where the gate has none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semantiseg.models.prompts import PromptBatch

ABSENT = -1e4
"""Score of a padded token: its softmax weight is exactly 0 in float32."""


@dataclass(frozen=True)
class StageFeatures:
    """What the image gives to one stage; computed once, whatever is asked."""

    semantic: Tensor
    """F_sem^up: projected to the stage's channels and brought to its grid, `[B, C, H, W]`."""
    frequency: Tensor
    """F_freq, `[B, C, H, W]`."""
    context: Tensor
    """GlobalAvgPool(F_sem), `[B, D]`."""


class NoGate(nn.Module):
    """Fusion without gate: a 1x1 convolution over the concatenation of F_sem^up, F_freq and the sentence embedding.

    A convolution of a concatenation is the sum of the convolutions of its parts, so the image's part is computed once
    for all prompts.
    """

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.image = nn.Conv2d(2 * channels, channels, 1)
        self.text = nn.Linear(width, channels, bias=False)

    def forward(self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch) -> tuple[Tensor, None]:
        image = self.image(torch.cat([stage.semantic, stage.frequency], dim=1))
        return image[owner] + self.text(prompts.pooled)[:, :, None, None], None


class ScalarGate(nn.Module):
    """The gate as printed: one alpha for each prompt and stage.

    alpha = sigmoid(MLP(E_text * GlobalAvgPool(F_sem)))  (Eq. 2);  F_fused = F_sem^up + (1 + alpha) F_freq  (Eq. 3).
    """

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        alpha = torch.sigmoid(self.mlp(prompts.pooled * stage.context[owner]))[:, :, None, None]  # [P, 1, 1, 1]
        return stage.semantic[owner] + (1 + alpha) * stage.frequency[owner], alpha


class TokenGate(nn.Module):
    """A gate for each pixel and channel, from the words that the pixel attends to.

    Queries are the pixels of F_sem^up and F_freq, keys and values come from the prompt's tokens. The attended context
    gives alpha, used as in Eq. 3, and an additive term: with alpha in [0, 1] alone a word could at most double a
    feature.
    """

    def __init__(self, *, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.LayerNorm(2 * channels)
        # Keys live in the pixels' own space: the query projection of ordinary attention is folded into them, because
        # a prompt has a dozen tokens and the finest stage has thousands of pixels.
        self.key = nn.Linear(width, heads * 2 * channels)
        self.value = nn.Linear(width, heads * 2 * channels)
        # The first attention averages over all words; values of this size leave the average as large as what it steers.
        nn.init.normal_(self.value.weight, std=(3 / width) ** 0.5)

    def forward(self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch) -> tuple[Tensor, Tensor]:
        pixels = torch.cat([stage.semantic, stage.frequency], dim=1).permute(0, 2, 3, 1).flatten(1, 2)  # [B, N, 2C]
        query = self.query(pixels)[owner]  # [P, N, 2C]
        key = self.key(prompts.tokens).unflatten(2, (self.heads, -1)) * query.shape[-1] ** -0.5  # [P, T, heads, 2C]
        value = (
            self.value(prompts.tokens).unflatten(2, (self.heads, -1)).transpose(1, 2).flatten(1, 2)
        )  # [P, heads T, 2C]
        absent = torch.where(prompts.mask, 0.0, ABSENT)[:, None, None]  # [P, 1, 1, T]
        absent = absent.expand(-1, -1, self.heads, -1).flatten(2)  # [P, 1, heads T]
        scores = torch.baddbmm(absent, query, key.permute(0, 3, 2, 1).flatten(2))  # [P, N, heads T]
        attention = scores.unflatten(2, (self.heads, -1)).softmax(dim=-1).flatten(2)
        attended = attention @ value  # [P, N, 2C], summed over heads
        gate, shift = (
            attended.transpose(1, 2).unflatten(2, stage.frequency.shape[-2:]).chunk(2, dim=1)
        )  # [P, C, H, W] each
        alpha = torch.sigmoid(gate)
        return stage.semantic[owner] + (1 + alpha) * stage.frequency[owner] + shift, alpha
