"""The top-down decoder: fused maps of one prompt to its mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.models.frequency import ConvolutionBlock

FARTHEST = 3.0
"""Standard deviations beyond which an object's frame no longer tells positions apart."""
SMALLEST = 0.04
"""Least standard deviation of an object, as a share of half the picture."""


class LocatedFrame(nn.Module):
    """Tells a map what was located, and where each position lies relative to it: what "the anterior half of it" needs.

    The centroid and the standard deviations of the located region make a frame of reference; every position's
    coordinates in it, cut off at `FARTHEST`, and the region itself are added to the map through a 1x1 convolution.
    """

    def __init__(self, *, channels: int) -> None:
        super().__init__()
        self.tell = nn.Conv2d(3, channels, 1)

    def forward(self, x: Tensor, located: Tensor) -> Tensor:
        """`x` `[P, C, H, W]` and the logits of the region `[P, h, w]`, of any size, to `[P, C, H, W]`."""
        grid = x.shape[-2:]
        region = torch.sigmoid(F.interpolate(located[:, None], size=grid, mode="bilinear", align_corners=False))
        weights = region.flatten(2) / (region.sum(dim=(2, 3)) + SMALLEST)[..., None]  # [P, 1, N]
        rows, columns = ((torch.arange(size, dtype=x.dtype, device=x.device) + 0.5) / size * 2 - 1 for size in grid)
        places = torch.stack([rows[:, None].expand(grid), columns.expand(grid)]).flatten(1)  # [2, N]
        offsets = places - (weights @ places.T).transpose(1, 2)  # [P, 2, N]
        spread = (weights * offsets**2).sum(dim=-1, keepdim=True)
        relative = (offsets * (spread + SMALLEST**2).rsqrt()).clamp(-FARTHEST, FARTHEST)
        return x + self.tell(torch.cat([region, relative.unflatten(2, grid)], dim=1))


class TopDownDecoder(nn.Module):
    """From the coarsest fused map to the finest, as in a feature pyramid (Lin et al., CVPR 2017); then to the pixels.

    At every stage: `descend` brings what was found so far to the stage's grid, the gate fuses the streams, `combine`
    takes both together. Before the finest stage the region that the prompt's subject occupies is located (what a reader
    who ignores every qualifier would mark; training shows it), so that the finest stage can cut in its frame. The last
    step costs little for each prompt: its finest map says, place by place, how to weigh the image's finest features;
    each position of the Haar bands then predicts the two by two pixels that were folded into it.
    """

    def __init__(self, *, dims: Sequence[int], detail: int) -> None:
        super().__init__()
        self.dims = tuple(dims)
        self.reduce = nn.ModuleList(
            nn.Conv2d(coarse, fine, 1) for fine, coarse in zip(dims[:-1], dims[1:], strict=True)
        )
        self.refine = nn.ModuleList(ConvolutionBlock(channels=width) for width in dims)
        self.locate = nn.Sequential(nn.Conv2d(dims[1], 4, 1), nn.PixelShuffle(2))
        self.frame = LocatedFrame(channels=dims[0])
        self.weigh = nn.Conv2d(dims[0], 2 * detail, 1)
        self.mix = ConvolutionBlock(channels=detail)
        self.pixels = nn.Conv2d(detail, 4, 1)
        # As drawn by default the logits hardly differ from place to place, and a hundred steps go by before they do.
        nn.init.normal_(self.pixels.weight, std=(3 / detail) ** 0.5)

    def descend(
        self, x: Tensor | None, located: Tensor | None, *, stage: int, prompts: int, grid: tuple[int, ...]
    ) -> Tensor:
        """The state `[P, dims[stage], *grid]` that a stage starts from; zeros for the coarsest, where `x` is None."""
        if x is None:
            return self.locate.get_parameter("0.weight").new_zeros(prompts, self.dims[stage], *grid)
        x = F.interpolate(self.reduce[stage](x), size=grid, mode="bilinear", align_corners=False)
        return x if located is None else self.frame(x, located)

    def combine(self, state: Tensor, fused: Tensor, *, stage: int) -> Tensor:
        """State and fused map, both `[P, dims[stage], h, w]`, together."""
        x = state + fused
        return x + self.refine[stage](x)

    def finish(self, x: Tensor, detail: Tensor, owner: Tensor) -> Tensor:
        """Logits `[P, S, S]`.

        Args:
            x: `[P, dims[0], h, w]`, of the finest stage.
            detail: the image's finest map, `[B, detail, S/2, S/2]`.
            owner: `[P]`, the image of each prompt.
        """
        weights = F.interpolate(self.weigh(x), size=detail.shape[-2:], mode="bilinear", align_corners=False)
        scale, shift = weights.chunk(2, dim=1)
        return F.pixel_shuffle(self.pixels(self.mix(torch.addcmul(shift, scale, detail[owner]))), 2)[:, 0]
