"""The top-down decoder: fused maps of one prompt to its mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from timm.layers import LayerNorm2d
from torch import Tensor, nn


class Refinement(nn.Module):
    """Residual 3x3 convolution after a normalisation over channels."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.norm = LayerNorm2d(channels)
        self.convolution = nn.Conv2d(channels, channels, 3, padding=1)
        self.activation = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        return x + self.activation(self.convolution(self.norm(x)))


class Detail(nn.Module):
    """What the image shows finer than the finest fused map: features of the Haar bands, computed once for all
    prompts."""

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(12, channels, 3, padding=1),
            LayerNorm2d(channels),
            nn.GELU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.GELU(),
        )

    def forward(self, bands: Tensor) -> Tensor:
        """`[B, 12, S/2, S/2]` to `[B, channels, S/2, S/2]`."""
        return self.layers(bands)


class TopDownDecoder(nn.Module):
    """From the coarsest fused map to the finest, as in a feature pyramid (Lin et al., CVPR 2017); then to the pixels.

    The last step costs little for each prompt: its finest map says, place by place, how to weigh the detail features of
    the image; each position of the Haar bands then predicts the two by two pixels that were folded into it.
    """

    def __init__(self, *, dims: Sequence[int], detail: int) -> None:
        super().__init__()
        self.refine = nn.ModuleList(Refinement(channels=width) for width in dims)
        self.reduce = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in zip(dims[:-1], dims[1:], strict=True)
        )
        self.weigh = nn.Sequential(LayerNorm2d(dims[0]), nn.Conv2d(dims[0], 2 * detail, 1))
        self.pixels = nn.Conv2d(detail, 4, 1)
        # As drawn by default the logits hardly differ from place to place, and a hundred steps go by before they do.
        nn.init.normal_(self.pixels.weight, std=(3 / detail) ** 0.5)

    def forward(self, fused: Sequence[Tensor], detail: Tensor, owner: Tensor) -> Tensor:
        """Logits of P prompts.

        Args:
            fused: `[P, dims[i], h_i, w_i]`, finest first.
            detail: `[B, detail, S/2, S/2]`, see `Detail`.
            owner: `[P]`, the image of each prompt.

        Returns:
            `[P, S, S]`.
        """
        x = self.refine[-1](fused[-1])
        for level in range(len(fused) - 2, -1, -1):
            x = F.interpolate(self.reduce[level](x), size=fused[level].shape[-2:], mode="bilinear", align_corners=False)
            x = self.refine[level](x + fused[level])
        weights = F.interpolate(self.weigh(x), size=detail.shape[-2:], mode="bilinear", align_corners=False)
        scale, shift = weights.chunk(2, dim=1)
        return F.pixel_shuffle(self.pixels(torch.addcmul(shift, scale, detail[owner])), 2)[:, 0]
