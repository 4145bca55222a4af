"""How a prompt steers the fusion of the semantic and the frequency stream: one class a gate, one interface.

A gate is built for one ConvNeXt stage of C channels and called as `gate(stage, owner, prompts, state)`, where `state`
`[P, C, H, W]` is what the decoder made of the coarser stages. It returns F_fused `[P, C, H, W]` and its alpha,
broadcastable to that shape, or None where the gate has none. Only the token gate looks at the state.

A box as a prompt: for the model that never sees text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.models.prompts import ABSENT, PromptBatch

HEAD_WIDTH = 16
"""Width of one attention head of the token gate."""


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

    def forward(self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch, state: Tensor) -> tuple[Tensor, None]:
        image = self.image(torch.cat([stage.semantic, stage.frequency], dim=1))
        return image[owner] + self.text(prompts.pooled)[:, :, None, None], None


class ScalarGate(nn.Module):
    """The gate as printed: one alpha for each prompt and stage.

    alpha = sigmoid(MLP(E_text * GlobalAvgPool(F_sem)))  (Eq. 2);  F_fused = F_sem^up + (1 + alpha) F_freq  (Eq. 3).
    """

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, 1))

    def forward(
        self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        alpha = torch.sigmoid(self.mlp(prompts.pooled * stage.context[owner]))[:, :, None, None]  # [P, 1, 1, 1]
        return stage.semantic[owner] + (1 + alpha) * stage.frequency[owner], alpha


class ChannelGate(nn.Module):
    """The printed gate with one alpha for each channel: the MLP of Eq. 2 gives C values instead of one."""

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, channels))

    def forward(
        self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        alpha = torch.sigmoid(self.mlp(prompts.pooled * stage.context[owner]))[:, :, None, None]  # [P, C, 1, 1]
        return stage.semantic[owner] + (1 + alpha) * stage.frequency[owner], alpha


class TokenGate(nn.Module):
    """A gate for each pixel and channel, from the words that the pixel attends to.

    Queries are the pixels of F_sem^up, F_freq and of the decoder's state, keys and values come from the prompt's
    tokens. The attended context, to which the whole sentence is added, gives by itself and multiplied with the query
    (so that a word and a place can match) alpha, used as in Eq. 3, and an additive term: with alpha in [0, 1] alone a
    word could at most double a feature. Because the state takes part, a word can be read in the light of what coarser
    stages already found ("the anterior half of" what they marked).
    """

    def __init__(self, *, channels: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * HEAD_WIDTH
        self.image_query = nn.Linear(2 * channels, inner)
        self.state_query = nn.Linear(channels, inner, bias=False)
        self.key_value = nn.Linear(width, 2 * inner)
        self.sentence = nn.Linear(width, inner)
        self.out = nn.Linear(2 * inner, 2 * channels)

    def forward(
        self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch, state: Tensor
    ) -> tuple[Tensor, Tensor]:
        grid = stage.frequency.shape[-2:]
        image = _pixels(torch.cat([stage.semantic, stage.frequency], dim=1))  # [B, N, 2C]
        query = self.image_query(image)[owner] + self.state_query(_pixels(state))
        heads, key, value = (
            part.unflatten(2, (self.heads, HEAD_WIDTH)).transpose(1, 2)
            for part in (query, *self.key_value(prompts.tokens).chunk(2, dim=2))
        )  # [P, heads, N or T, HEAD_WIDTH]
        absent = torch.where(prompts.mask, 0.0, ABSENT)[:, None, None]  # [P, 1, 1, T]
        attention = (heads @ key.transpose(2, 3) * HEAD_WIDTH**-0.5 + absent).softmax(dim=-1)
        attended = (attention @ value).transpose(1, 2).flatten(2)  # [P, N, heads HEAD_WIDTH]
        attended = attended + self.sentence(prompts.pooled)[:, None]
        steering = self.out(torch.cat([attended, attended * query], dim=2))  # [P, N, 2C]
        gate, shift = steering.transpose(1, 2).unflatten(2, grid).chunk(2, dim=1)  # [P, C, H, W] each
        alpha = torch.sigmoid(gate)
        return stage.semantic[owner] + (1 + alpha) * stage.frequency[owner] + shift, alpha


def _pixels(maps: Tensor) -> Tensor:
    """`[B, C, H, W]` to `[B, H W, C]`."""
    return maps.flatten(2).transpose(1, 2)


EDGE_PIXELS = 1.0
"""Width over which a soft box falls from inside to outside, in pixels of the map it is drawn on."""


def box_of(mask: NDArray) -> NDArray[np.float32]:
    """The tight box `[4]` = (top, left, bottom, right) of a mask `[H, W]`, in pixel edges (a single pixel at 0, 0
    gives 0, 0, 1, 1).

    An empty mask gives all zeros, which means no box.
    """
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros(4, dtype=np.float32)
    return np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], dtype=np.float32)


def soft_box(boxes: Tensor, *, rows: int, columns: int) -> Tensor:
    """Boxes `[P, 4]` (fractions of the frame) drawn as maps `[P, 1, rows, columns]` in [0, 1]; no box gives zeros."""

    def inside(low: Tensor, high: Tensor, size: int) -> Tensor:
        centres = torch.arange(size, device=boxes.device, dtype=boxes.dtype) + 0.5
        distance = torch.minimum(centres - low[:, None] * size, high[:, None] * size - centres)
        return (distance / EDGE_PIXELS + 0.5).clamp(0, 1)

    top, left, bottom, right = boxes.unbind(dim=1)
    drawn = inside(top, bottom, rows)[:, :, None] * inside(left, right, columns)[:, None, :]
    present = (bottom > top) & (right > left)
    return (drawn * present[:, None, None])[:, None]


class BoxGate(nn.Module):
    """Fusion steered by a box alone: F_sem^up + F_freq, plus the box map through a 1x1 convolution."""

    def __init__(self, *, channels: int, width: int) -> None:
        super().__init__()
        self.box = nn.Conv2d(1, channels, 1)

    def forward(self, stage: StageFeatures, owner: Tensor, prompts: PromptBatch, state: Tensor) -> tuple[Tensor, None]:
        rows, columns = stage.frequency.shape[-2:]
        drawn = self.box(soft_box(prompts.boxes, rows=rows, columns=columns))
        return (stage.semantic + stage.frequency)[owner] + drawn, None


def _headless(gate: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
    """A gate without attention, built as one with."""
    return lambda *, channels, heads, width: gate(channels=channels, width=width)


GATES: Mapping[str, Callable[..., nn.Module]] = {
    "none": _headless(NoGate),
    "scalar": _headless(ScalarGate),
    "channel": _headless(ChannelGate),
    "token": TokenGate,
    "box": _headless(BoxGate),
}
"""Name of a gate -> what builds it for one stage from `channels` C, `heads` and the `width` D of a prompt."""
