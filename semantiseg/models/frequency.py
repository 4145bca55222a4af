"""Stream 2: the frequency-aware spatial encoder, a ConvNeXt from timm on the twelve Haar bands."""

from __future__ import annotations

from collections.abc import Sequence

from timm.models.convnext import ConvNeXt
from torch import Tensor, nn


class FrequencyEncoder(nn.Module):
    """F_freq of each of the four ConvNeXt stages (Liu et al., CVPR 2022)."""

    def __init__(
        self, *, depths: Sequence[int], dims: Sequence[int], kernel_sizes: Sequence[int], stem_stride: int
    ) -> None:
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
            conv_mlp=False,
        )
        self.stem, self.stages = network.stem, network.stages
        # Not through timm's `patch_size`: behind a stem of stride 2 it halves the first stage once more.
        self.stem[0] = nn.Conv2d(12, dims[0], stem_stride, stride=stem_stride)
        self.dims = tuple(dims)
        # timm's 0.02 suits widths of hundreds; in narrow layers it would let a fifth of the signal through.
        for layer in self.stages.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=layer.weight[0].numel() ** -0.5)

    def forward(self, bands: Tensor) -> list[Tensor]:
        """`[B, 12, H, W]` to four maps `[B, dims[i], H / (stem_stride * 2**i), ...]`, finest first."""
        features = []
        x = self.stem(bands)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
