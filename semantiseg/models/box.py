"""A box as a prompt: for the model that never sees text."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.models.gate import StageFeatures
from semantiseg.models.prompts import PromptBatch

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
