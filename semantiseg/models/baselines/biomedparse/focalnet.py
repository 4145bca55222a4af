"""FocalNet, BiomedParse's backbone: convolutions of growing reach, summed under gates, modulate each pixel.

Yang et al., "Focal Modulation Networks", NeurIPS 2022 (arXiv:2203.11926), in the variant that BiomedParse uses:
convolutional stem and downsampling, LayerNorm after each branch instead of before, the modulator divided by the number
of its summands, layer scale. Behaviour read in the official repository at 750eb40; written anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FocalModulation(nn.Module):
    """`proj(q * h(mean of gated contexts))`: what self-attention does with all pairs, done with convolutions."""

    def __init__(self, channels: int, *, levels: int, window: int) -> None:
        super().__init__()
        self.levels = levels
        self.f = nn.Linear(channels, 2 * channels + levels + 1)
        self.h = nn.Conv2d(channels, channels, kernel_size=1)
        self.act = nn.GELU()
        self.proj = nn.Linear(channels, channels)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, kernel_size=side, padding=side // 2, groups=channels, bias=False),
                nn.GELU(),
            )
            for side in range(window, window + 2 * levels, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to the same."""
        channels = x.shape[-1]
        mixed = self.f(x).permute(0, 3, 1, 2).contiguous()
        query, context, gates = mixed.split((channels, channels, self.levels + 1), dim=1)
        total = 0
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total = total + context * gates[:, level : level + 1]
        everywhere = self.act(context.mean(dim=(2, 3), keepdim=True))
        total = (total + everywhere * gates[:, self.levels :]) / (self.levels + 1)
        return self.proj((query * self.h(total)).permute(0, 2, 3, 1))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int, *, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., C]` to the same."""
        return self.fc2(self.act(self.fc1(x)))


class FocalBlock(nn.Module):
    """Modulation, then MLP; each is normed, scaled and added."""

    def __init__(self, channels: int, *, levels: int, window: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.modulation = FocalModulation(channels, levels=levels, window=window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, ratio=4)
        self.gamma_1 = _scale(channels)
        self.gamma_2 = _scale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to the same."""
        x = x + self.gamma_1 * self.norm1(self.modulation(x))
        return x + self.gamma_2 * self.norm2(self.mlp(x))


class PatchEmbedding(nn.Module):
    """A strided convolution and a LayerNorm: the stem (stride 4) and the step between two stages (stride 2)."""

    def __init__(self, channels: int, out_channels: int, *, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, out_channels, kernel_size=kernel, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to `[B, h / stride, w / stride, C_out]`."""
        return self.norm(self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class FocalStage(nn.Module):
    """Blocks of one resolution, and the step down to the next."""

    def __init__(self, channels: int, *, depth: int, levels: int, window: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FocalBlock(channels, levels=levels, window=window) for _ in range(depth))
        self.downsample = None if last else PatchEmbedding(channels, 2 * channels, kernel=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, h, w, C]` to the stage's output and the next stage's input (the same for the last stage)."""
        for block in self.blocks:
            x = block(x)
        return x, x if self.downsample is None else self.downsample(x)


class FocalNet(nn.Module):
    """The backbone: stages at 1/4, 1/8, 1/16 and 1/32 of the picture, each normed on its way out."""

    def __init__(self, *, width: int, depths: Sequence[int], levels: int, window: int) -> None:
        super().__init__()
        self.channels = tuple(width * 2**number for number in range(len(depths)))
        self.patch_embed = PatchEmbedding(3, width, kernel=7, stride=4, padding=2)
        self.layers = nn.ModuleList(
            FocalStage(channels, depth=depth, levels=levels, window=window, last=number == len(depths) - 1)
            for number, (channels, depth) in enumerate(zip(self.channels, depths, strict=True))
        )
        for number, channels in enumerate(self.channels):
            self.add_module(f"norm{number}", nn.LayerNorm(channels))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Features of normalised pictures.

        Args:
            pixels: `[B, 3, S, S]`, S a multiple of 32.

        Returns:
            Stage i at 1/4, 1/8, ... of the picture, before its downsampling: `[B, C * 2**i, h, w]`.
        """
        x = self.patch_embed(pixels.permute(0, 2, 3, 1))
        features = []
        for number, stage in enumerate(self.layers):
            out, x = stage(x)
            features.append(self.get_submodule(f"norm{number}")(out).permute(0, 3, 1, 2).contiguous())
        return features


def _scale(channels: int) -> nn.Parameter:
    """Layer scale, at the value with which training began."""
    return nn.Parameter(torch.full((channels,), 1e-4))
