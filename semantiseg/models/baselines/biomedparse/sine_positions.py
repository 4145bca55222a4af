"""Sine position codes of a grid, as DETR makes them with `normalize=True` (Carion et al., ECCV 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

TEMPERATURE = 10_000
EPSILON = 1e-6


def sine_positions(height: int, width: int, *, channels: int) -> Tensor:
    """Codes `[channels, height, width]`: the first half tells the row, the second the column; sines and cosines take
    turns. Rows and columns count from 1 and are scaled to end at 2 pi."""
    half = channels // 2
    place = torch.arange(half, dtype=torch.float32)
    period = TEMPERATURE ** (2 * (place // 2) / half)
    rows, columns = (_along(count, period) for count in (height, width))
    return torch.cat(
        [
            rows.t()[:, :, None].expand(half, height, width),
            columns.t()[:, None, :].expand(half, height, width),
        ]
    )


def _along(count: int, period: Tensor) -> Tensor:
    """Codes `[count, half]` of one axis."""
    position = torch.arange(1, count + 1, dtype=torch.float32)
    angle = (position / (count + EPSILON) * (2 * math.pi))[:, None] / period
    return torch.stack([angle[:, 0::2].sin(), angle[:, 1::2].cos()], dim=2).flatten(1)
