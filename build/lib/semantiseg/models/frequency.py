"""The discrete wavelet transform of Eq. 1, and the same numbers untransformed.

Stream 2: the frequency-aware spatial encoder, a ConvNeXt from timm on the twelve Haar bands, and its neck.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.models.convnext import ConvNeXt
from torch import Tensor, nn


class HaarTransform(nn.Module):
    """One level of the 2D Haar DWT: `[B, 3, H, W]` to `[B, 12, H/2, W/2]`, bands in the order LL, LH, HL, HH (Eq. 1).

    Half of sums and differences of each place's two by two pixels; even H and W need no padding.
    """

    def forward(self, images: Tensor) -> Tensor:
        top, bottom = images[..., 0::2, :], images[..., 1::2, :]
        low, high = top + bottom, top - bottom  # along H
        bands = [
            low[..., 0::2] + low[..., 1::2], high[..., 0::2] + high[..., 1::2],
            low[..., 0::2] - low[..., 1::2], high[..., 0::2] - high[..., 1::2],
        ]  # fmt: skip
        return torch.cat(bands, dim=1) / 2


class PublishedHaar(nn.Module):
    """The same transform through pytorch_wavelets (Cotter 2019), which the paper's own profile takes Eq. 1 from.

    Its weights are its four filters, so that a state of the full size says which transform it was trained behind.
    """

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():  # its last release imports `pkg_resources`, and only here
            warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
            from pytorch_wavelets import DWTForward

        self.transform = DWTForward(J=1, wave="haar", mode="zero")

    def forward(self, images: Tensor) -> Tensor:
        """As `HaarTransform`."""
        low, (high,) = self.transform(images)  # [B, 3, H/2, W/2], [B, 3, 3, H/2, W/2] = image channel, band
        return torch.cat([low, high.transpose(1, 2).flatten(1, 2)], dim=1)


class Pixels(nn.PixelUnshuffle):
    """The control of Eq. 1: `[B, 3, H, W]` to `[B, 12, H/2, W/2]`, each place's two by two pixels as they are.

    The Haar bands are a linear map of these twelve numbers, so a network's first layer can learn it or anything else.
    """

    def __init__(self) -> None:
        super().__init__(2)


class ConvolutionBlock(nn.Sequential):
    """3x3 convolution, batch normalisation, GELU."""

    def __init__(self, *, channels: int) -> None:
        super().__init__(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.GELU())


class FeaturePyramid(nn.Module):
    """The neck (Lin et al., CVPR 2017): each map is told what the coarser ones saw."""

    channels: tuple[int, ...]
    """Of the maps that `pyramid` gives, finest first."""

    def add_neck(self, *, dims: Sequence[int], channels: Sequence[int]) -> None:
        """Make the neck's layers for maps of `dims` channels, finest first, that shall have `channels` each."""
        self.channels = tuple(channels)
        self.lateral = nn.ModuleList(nn.Conv2d(width, out, 1) for width, out in zip(dims, channels, strict=True))
        self.down = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in zip(channels[:-1], channels[1:], strict=True)
        )
        self.smooth = nn.ModuleList(ConvolutionBlock(channels=out) for out in channels)

    def pyramid(self, seen: Sequence[Tensor]) -> list[Tensor]:
        """Maps `[B, dims[i], h, w]` to maps `[B, channels[i], h, w]`."""
        maps = [self.smooth[-1](self.lateral[-1](seen[-1]))]
        for number in reversed(range(len(self.down))):
            x = self.lateral[number](seen[number])
            x = x + F.interpolate(self.down[number](maps[0]), size=x.shape[-2:], mode="bilinear", align_corners=False)
            maps.insert(0, self.smooth[number](x))
        return maps


class FrequencyEncoder(FeaturePyramid):
    """F_freq: the four ConvNeXt stages (Liu et al., CVPR 2022), each told what the coarser ones saw.

    The neck is a feature pyramid (Lin et al., CVPR 2017), computed once an image: what a prompt then has to do at each
    stage is small. Batch normalisation stands in for ConvNeXt's layer normalisation: from scratch and in minutes it
    learns far faster (docs/decisions.md).
    """

    def __init__(
        self,
        *,
        depths: Sequence[int],
        dims: Sequence[int],
        kernel_sizes: Sequence[int],
        stem_stride: int,
        channels: Sequence[int],
    ) -> None:
        """
        Args:
            depths, dims, kernel_sizes: of the four ConvNeXt stages.
            stem_stride: of the stem on the Haar bands.
            channels: of the four maps returned.
        """
        super().__init__()
        network = ConvNeXt(
            in_chans=12,
            num_classes=0,
            depths=tuple(depths),
            dims=tuple(dims),
            kernel_sizes=tuple(kernel_sizes),
            # 1e-6 suits very deep networks; from scratch and shallow it would switch the blocks off for the whole of
            # a short training.
            ls_init_value=None,
            conv_mlp=True,
            norm_layer=nn.BatchNorm2d,
        )
        self.stem, self.stages = network.stem, network.stages
        # Not through timm's `patch_size`: behind a stem of stride 2 it halves the first stage once more.
        kernel, padding = (3, 1) if stem_stride == 1 else (stem_stride, 0)
        self.stem[0] = nn.Conv2d(12, dims[0], kernel, stride=stem_stride, padding=padding)
        # timm's 0.02 suits widths of hundreds; in narrow layers it would let a fifth of the signal through.
        for layer in self.stages.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)
        self.add_neck(dims=dims, channels=channels)

    def forward(self, bands: Tensor) -> list[Tensor]:
        """`[B, 12, H, W]` to four maps `[B, channels[i], H / (stem_stride * 2**i), ...]`, finest first."""
        seen = []
        x = self.stem(bands)
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        return self.pyramid(seen)


class NoFrequency(nn.Module):
    """The second stream switched off: maps of the same shapes, zero everywhere. Only an ablation wants it."""

    def __init__(self, *, stem_stride: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.stem_stride, self.channels = stem_stride, tuple(channels)

    def forward(self, bands: Tensor) -> list[Tensor]:
        """As `FrequencyEncoder`."""
        rows, columns = (size // self.stem_stride for size in bands.shape[-2:])
        return [
            bands.new_zeros(len(bands), width, rows >> number, columns >> number)
            for number, width in enumerate(self.channels)
        ]
