"""SAM's image encoder, with the adapters of SAM-Med2D: a ViT with windows, four global blocks, relative positions.

Kirillov et al., "Segment Anything", ICCV 2023 (official code Apache-2.0); Cheng et al., "SAM-Med2D", arXiv:2308.16184
(Apache-2.0). Written anew; submodules carry the official names, so official state dicts load as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NORM_EPSILON = 1e-6
"""Of every layer normalisation of the encoder but the adapters', which keep PyTorch's 1e-5."""


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of `[B, C, H, W]`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        normed = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, NORM_EPSILON)
        return normed.permute(0, 3, 1, 2)


class WindowAttention(nn.Module):
    """Attention over all positions of a square map of `side` x `side` tokens, with decomposed relative positions."""

    def __init__(self, *, width: int, heads: int, side: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * side - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * side - 1, width // heads))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, side, side, width]` to the same."""
        batch, side, _, width = x.shape
        q, k, v = self.qkv(x).reshape(batch, side * side, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        # [B, heads, N, N]: row and column offsets are scored apart, with the query before scaling.
        steps = torch.arange(side, device=x.device)
        offset = steps[:, None] - steps[None, :] + side - 1
        square = q.reshape(batch, self.heads, side, side, -1)
        rows = torch.einsum("bnhwc,hkc->bnhwk", square, self.rel_pos_h[offset])
        columns = torch.einsum("bnhwc,wkc->bnhwk", square, self.rel_pos_w[offset])
        bias = (rows[..., :, None] + columns[..., None, :]).reshape(batch, self.heads, side * side, side * side)
        answer = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.proj(answer.transpose(1, 2).reshape(batch, side, side, width))


class MLP(nn.Module):
    """Two layers with an activation between."""

    def __init__(self, width: int, hidden: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.lin1, self.act, self.lin2 = nn.Linear(width, hidden), activation(), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin2(self.act(self.lin1(x)))


class Adapter(nn.Module):
    """SAM-Med2D's adapter: a gate on channels, then a detour over half the resolution, beside the MLP."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.Linear(width, width // 4, bias=False), nn.ReLU(), nn.Linear(width // 4, width, bias=False), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, H, W, width]` to the same."""
        gated = x.permute(0, 3, 1, 2) * self.channel(x.mean(dim=(1, 2)))[:, :, None, None]
        # The detour is added to x itself, not to what the gate left of it (told by the golden outputs).
        return self.norm(x + self.spatial(gated).permute(0, 2, 3, 1))


class Block(nn.Module):
    """One transformer block; `window` 0 attends over the whole map."""

    def __init__(self, *, width: int, heads: int, side: int, window: int, adapter: bool) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.attn = WindowAttention(width=width, heads=heads, side=window or side)
        self.norm2 = nn.LayerNorm(width, eps=NORM_EPSILON)
        self.mlp = MLP(width, 4 * width, nn.GELU)
        self.Adapter = Adapter(width) if adapter else None

    def _attend(self, x: Tensor) -> Tensor:
        if not self.window:
            return self.attn(x)
        batch, rows, columns, width = x.shape
        edge = self.window
        # Padded with zeros after the norm: padding takes part in the softmax, as in the official code.
        x = F.pad(x, (0, 0, 0, -columns % edge, 0, -rows % edge))
        down, across = x.shape[1] // edge, x.shape[2] // edge
        tiles = x.reshape(batch, down, edge, across, edge, width).transpose(2, 3).reshape(-1, edge, edge, width)
        tiles = self.attn(tiles).reshape(batch, down, across, edge, edge, width).transpose(2, 3)
        return tiles.reshape(batch, down * edge, across * edge, width)[:, :rows, :columns]

    def forward(self, x: Tensor) -> Tensor:
        """`[B, H, W, width]` to the same."""
        x = x + self._attend(self.norm1(x))
        normed = self.norm2(x)
        added = self.mlp(normed)
        return x + added if self.Adapter is None else x + added + self.Adapter(normed)


class PatchEmbedding(nn.Module):
    """Patches of a picture as tokens."""

    def __init__(self, *, patch: int, width: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).permute(0, 2, 3, 1)


def neck(width: int, channels: int) -> nn.Sequential:
    """From the ViT's width to the prompt decoder's: 1x1, norm, 3x3, norm."""
    return nn.Sequential(
        nn.Conv2d(width, channels, 1, bias=False),
        ChannelNorm(channels),
        nn.Conv2d(channels, channels, 3, padding=1, bias=False),
        ChannelNorm(channels),
    )


class SamImageEncoder(nn.Module):
    """Pictures `[B, 3, S, S]`, normalised, to embeddings `[B, channels, S / patch, S / patch]`."""

    def __init__(
        self,
        *,
        image_size: int,
        patch: int,
        width: int,
        depth: int,
        heads: int,
        window: int,
        global_blocks: tuple[int, ...],
        channels: int,
        adapter: bool,
    ) -> None:
        super().__init__()
        side = image_size // patch
        self.patch_embed = PatchEmbedding(patch=patch, width=width)
        self.pos_embed = nn.Parameter(torch.zeros(1, side, side, width))
        self.blocks = nn.ModuleList(
            Block(width=width, heads=heads, side=side, window=0 if i in global_blocks else window, adapter=adapter)
            for i in range(depth)
        )
        self.neck = neck(width, channels)

    def forward(self, pictures: Tensor) -> Tensor:
        x = self.patch_embed(pictures) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.neck(x.permute(0, 3, 1, 2))
