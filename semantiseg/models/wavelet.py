"""The discrete wavelet transform of Eq. 1, and the same numbers untransformed."""

from __future__ import annotations

import torch
from pytorch_wavelets import DWTForward
from torch import Tensor, nn


class HaarTransform(nn.Module):
    """One level of the 2D Haar DWT: `[B, 3, H, W]` to `[B, 12, H/2, W/2]`, bands in the order LL, LH, HL, HH (Eq. 1).

    Through pytorch_wavelets (Cotter 2019). Even H and W need no padding.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transform = DWTForward(J=1, wave="haar", mode="zero")

    def forward(self, images: Tensor) -> Tensor:
        low, (high,) = self.transform(images)  # [B, 3, H/2, W/2], [B, 3, 3, H/2, W/2] = image channel, band
        return torch.cat([low, high.transpose(1, 2).flatten(1, 2)], dim=1)


class Pixels(nn.PixelUnshuffle):
    """The control of Eq. 1: `[B, 3, H, W]` to `[B, 12, H/2, W/2]`, each place's two by two pixels as they are.

    The Haar bands are a linear map of these twelve numbers, so a network's first layer can learn it or anything else.
    """

    def __init__(self) -> None:
        super().__init__(2)
