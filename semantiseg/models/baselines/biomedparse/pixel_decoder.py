"""BiomedParse's pixel decoder: a transformer over the coarsest level, then a feature pyramid down to 1/4.

A feature pyramid (Lin et al., CVPR 2017) as MaskFormer has it (Cheng et al., NeurIPS 2021), without deformable
attention. Behaviour read in the official repository at 750eb40; written anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.models.baselines.biomedparse.sine_positions import sine_positions

GROUPS = 32
"""Of every GroupNorm."""


@dataclass(frozen=True)
class Pyramid:
    """What the pixel decoder makes of B pictures."""

    levels: tuple[Tensor, ...]
    """The three coarsest levels, coarsest first: `[B, C, h, w]` at 1/32, 1/16, 1/8."""
    mask_features: Tensor
    """`[B, C, S/4, S/4]`; a mask is a query's product with it."""


class NormedConv(nn.Conv2d):
    """A convolution without bias, then GroupNorm, which the official state dict keeps under the convolution's name."""

    def __init__(self, channels: int, out_channels: int, *, kernel: int) -> None:
        super().__init__(channels, out_channels, kernel_size=kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(GROUPS, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, h, w]` to `[B, C_out, h, w]`."""
        return self.norm(super().forward(x))


class EncoderLayer(nn.Module):
    """Self-attention and MLP, each normed after its residual; positions go to queries and keys, not to values."""

    def __init__(self, channels: int, *, heads: int, hidden: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.linear1, self.linear2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.norm1, self.norm2 = nn.LayerNorm(channels), nn.LayerNorm(channels)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """`[B, N, C]` with positions `[N, C]` to `[B, N, C]`."""
        placed = x + positions
        x = self.norm1(x + self.self_attn(placed, placed, x, need_weights=False)[0])
        return self.norm2(x + self.linear2(F.relu(self.linear1(x))))


class Encoder(nn.Module):
    """The layers in a row."""

    def __init__(self, channels: int, *, heads: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(channels, heads=heads, hidden=hidden) for _ in range(depth))

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """See `EncoderLayer`."""
        for layer in self.layers:
            x = layer(x, positions)
        return x


class GridTransformer(nn.Module):
    """The encoder on a grid."""

    def __init__(self, channels: int, *, heads: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.encoder = Encoder(channels, heads=heads, hidden=hidden, depth=depth)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, h, w]` to the same."""
        channels, height, width = x.shape[1:]
        positions = sine_positions(height, width, channels=channels).flatten(1).t()  # [h w, C]
        return self.encoder(x.flatten(2).transpose(1, 2), positions).transpose(1, 2).unflatten(2, (height, width))


class PixelDecoder(nn.Module):
    """From the backbone's four stages to the pyramid."""

    def __init__(self, stages: Sequence[int], *, channels: int, heads: int, hidden: int, depth: int) -> None:
        """Args:
        stages: channels of the backbone's stages, finest first.
        channels: C of the pyramid.
        """
        super().__init__()
        *finer, coarsest = stages
        self.input_proj = nn.Conv2d(coarsest, channels, kernel_size=1)
        self.transformer = GridTransformer(channels, heads=heads, hidden=hidden, depth=depth)
        for number, stage in enumerate(finer, start=1):
            self.add_module(f"adapter_{number}", NormedConv(stage, channels, kernel=1))
        for number in range(1, len(stages) + 1):
            self.add_module(f"layer_{number}", NormedConv(channels, channels, kernel=3))
        self.mask_features = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, features: Sequence[Tensor]) -> Pyramid:
        """Features of the stages, finest first: `[B, C_i, h, w]`."""
        y = self._smooth(len(features), self.transformer(self.input_proj(features[-1])))
        levels = [y]
        for number in range(len(features) - 1, 0, -1):
            lateral = self.get_submodule(f"adapter_{number}")(features[number - 1])
            y = self._smooth(number, lateral + F.interpolate(y, size=lateral.shape[-2:], mode="nearest"))
            levels.append(y)
        return Pyramid(levels=tuple(levels[:3]), mask_features=self.mask_features(y))

    def _smooth(self, number: int, x: Tensor) -> Tensor:
        return F.relu(self.get_submodule(f"layer_{number}")(x))
