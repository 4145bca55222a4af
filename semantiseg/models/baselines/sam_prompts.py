"""SAM's prompt encoder: boxes and points as tokens, the map of positions that the decoder reads.

Kirillov et al., "Segment Anything", ICCV 2023 (official code Apache-2.0). Written anew with the official names.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from semantiseg.models.baselines.sam_encoder import ChannelNorm

MASK_CHANNELS = 16
"""Of the path by which SAM reads a mask; no protocol here asks by mask, the weights are held for strict loading."""


class FourierPositions(nn.Module):
    """Positions in [0, 1] through random frequencies."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, channels // 2))

    def forward(self, positions: Tensor) -> Tensor:
        """`[..., 2]` = (x, y) to `[..., channels]`."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SamPromptEncoder(nn.Module):
    """Boxes and points in pixels of the model's frame; `side` is the edge of the image embedding."""

    def __init__(self, *, channels: int, image_size: int, side: int) -> None:
        super().__init__()
        self.image_size, self.side = image_size, side
        self.pe_layer = FourierPositions(channels)
        # 0 background point, 1 foreground point, 2 a box's first corner, 3 its second.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.no_mask_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, MASK_CHANNELS // 4, 2, stride=2), ChannelNorm(MASK_CHANNELS // 4), nn.GELU(),
            nn.Conv2d(MASK_CHANNELS // 4, MASK_CHANNELS, 2, stride=2), ChannelNorm(MASK_CHANNELS), nn.GELU(),
            nn.Conv2d(MASK_CHANNELS, channels, 1),
        )  # fmt: skip

    def _place(self, pixels: Tensor) -> Tensor:
        return self.pe_layer((pixels + 0.5) / self.image_size)  # + 0.5: a pixel's centre

    def boxes(self, boxes: Tensor) -> Tensor:
        """Boxes `[P, 4]` = (x, y, x, y) to tokens `[P, 2, C]`."""
        corners = torch.stack([self.point_embeddings[2].weight, self.point_embeddings[3].weight], dim=1)  # [1, 2, C]
        return self._place(boxes.reshape(-1, 2, 2)) + corners

    def points(self, points: Tensor, labels: Tensor, *, alone: bool) -> Tensor:
        """Points `[P, N, 2]` = (x, y) with labels `[P, N]` (1 foreground, 0 background) to tokens.

        Args:
            alone: no box goes with them; SAM then adds one token that says "not a point".
        """
        kinds = torch.stack([self.point_embeddings[0].weight[0], self.point_embeddings[1].weight[0]])
        tokens = self._place(points) + kinds[labels]
        if not alone:
            return tokens
        return torch.cat([tokens, self.not_a_point_embed.weight.expand(len(tokens), 1, -1)], dim=1)

    def no_mask(self) -> Tensor:
        """What is added to the image embedding where no mask is given, `[1, C, side, side]`."""
        return self.no_mask_embed.weight[..., None, None].expand(1, -1, self.side, self.side)

    def positions(self) -> Tensor:
        """Positions of the image embedding's cells, `[1, C, side, side]`."""
        centres = (torch.arange(self.side, device=self.no_mask_embed.weight.device) + 0.5) / self.side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]
