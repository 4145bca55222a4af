"""Sine position codes of a grid, as DETR makes them with `normalize=True` (Carion et al., ECCV 2020).

BiomedParse's pixel decoder: a transformer over the coarsest level, then a feature pyramid down to 1/4.

A feature pyramid (Lin et al., CVPR 2017) as MaskFormer has it (Cheng et al., NeurIPS 2021), without deformable
attention. Behaviour read in the official repository at 750eb40; written anew.

SEEM's decoder as BiomedParse asks it by text: queries look at the picture, then queries and words at each other.

Zou et al., "Segment Everything Everywhere All at Once", NeurIPS 2023. The official code routes queries and prompts of
many kinds through a table of attention masks; with text alone that table allows everything, and this is what remains.
Prompts that are asked jointly are one sequence of words and so influence each other.

What no prompt changes is made once a picture (`SeemDecoder.prepare`): keys and values of every layer, and the mask
features shrunk to the grids on which queries look. A query's mask is a product with them, so shrinking them and
shrinking the mask are the same; only rounding differs. Behaviour read in the official repository at 750eb40; written
anew.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.baselines.biomedparse.text_encoder import QueryTextEncoder

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


Projected = tuple[Tensor, Tensor]
"""Keys and values, `[heads, N, C / heads]` each."""


@dataclass(frozen=True)
class ReadyPicture:
    """One picture, ready for any prompt."""

    layers: tuple[Projected, ...]
    """What the queries look at, layer by layer; levels take turns."""
    coarse: tuple[Tensor, ...]
    """Mask features on each level's grid, `[C, h, w]`, coarsest first."""
    mask_features: Tensor
    """`[C, S/4, S/4]`."""


@dataclass(frozen=True)
class Answers:
    """What Q queries say after the last layer."""

    masks: Tensor
    """Logits `[Q, S/4, S/4]`."""
    captions: Tensor
    """`[Q, C]` in the space of sentences."""


class CrossAttention(nn.Module):
    """Queries look at one level of the pyramid, each only where its own mask says."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)

    def project(self, keys: Tensor, values: Tensor) -> Projected:
        """Keys and values `[N, C]` as the heads see them."""
        _, by_key, by_value = self._weights()
        return self._heads(F.linear(keys, *by_key)), self._heads(F.linear(values, *by_value))

    def forward(self, x: Tensor, positions: Tensor, *, projected: Projected, hidden: Tensor) -> Tensor:
        """Queries `[Q, C]`; `hidden` `[Q, N]` is true where a query may not look."""
        by_query, _, _ = self._weights()
        queries = self._heads(F.linear(x + positions, *by_query))
        seen = F.scaled_dot_product_attention(queries, *projected, attn_mask=~hidden)  # true where it may look
        return self.norm(x + self.multihead_attn.out_proj(seen.transpose(0, 1).flatten(1)))

    def _weights(self) -> list[tuple[Tensor, Tensor]]:
        """Weight and bias of the queries', the keys' and the values' projection."""
        attention = self.multihead_attn
        return list(zip(attention.in_proj_weight.chunk(3), attention.in_proj_bias.chunk(3), strict=True))

    def _heads(self, x: Tensor) -> Tensor:
        """`[N, C]` to `[heads, N, C / heads]`."""
        return x.unflatten(1, (self.multihead_attn.num_heads, -1)).transpose(0, 1)


class SelfAttention(nn.Module):
    """Queries and words look at each other without any mask."""

    def __init__(self, channels: int, *, heads: int) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """`[N, C]` to the same."""
        placed = x + positions
        return self.norm(x + self.self_attn(placed, placed, x, need_weights=False)[0])


class FeedForward(nn.Module):
    """Two linear layers, normed after the residual."""

    def __init__(self, channels: int, *, hidden: int) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(channels, hidden), nn.Linear(hidden, channels)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, C]` to the same."""
        return self.norm(x + self.linear2(F.relu(self.linear1(x))))


class MaskEmbedding(nn.Module):
    """Three linear layers from a query to its product with the mask features."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """`[Q, C]` to the same."""
        first, second, last = self.layers
        return last(F.relu(second(F.relu(first(x)))))


class SeemDecoder(nn.Module):
    """The decoder; a text encoder stands in it under the official name `lang_encoder`."""

    def __init__(
        self, text: QueryTextEncoder, *, channels: int, heads: int, hidden: int, depth: int, queries: int, levels: int
    ) -> None:
        super().__init__()
        self.lang_encoder = text
        self.query_feat = nn.Embedding(queries, channels)
        self.query_embed = nn.Embedding(queries, channels)
        self.level_embed = nn.Embedding(levels, channels)
        self.transformer_cross_attention_layers = nn.ModuleList(
            CrossAttention(channels, heads=heads) for _ in range(depth)
        )
        self.transformer_self_attention_layers = nn.ModuleList(
            SelfAttention(channels, heads=heads) for _ in range(depth)
        )
        self.transformer_ffn_layers = nn.ModuleList(FeedForward(channels, hidden=hidden) for _ in range(depth))
        self.decoder_norm = nn.LayerNorm(channels)
        self.class_embed = nn.Parameter(torch.zeros(channels, channels))
        self.mask_embed = MaskEmbedding(channels)

    def prepare(self, pyramid: Pyramid) -> ReadyPicture:
        """Make what every prompt reads of one picture (B = 1)."""
        sources = [self._source(number, level) for number, level in enumerate(pyramid.levels)]
        return ReadyPicture(
            layers=tuple(
                layer.project(*sources[number % len(sources)])
                for number, layer in enumerate(cast(Iterable[CrossAttention], self.transformer_cross_attention_layers))
            ),
            coarse=tuple(
                F.interpolate(pyramid.mask_features, size=level.shape[-2:], mode="bilinear", align_corners=False)[0]
                for level in pyramid.levels
            ),
            mask_features=pyramid.mask_features[0],
        )

    def forward(self, scene: ReadyPicture, words: Tensor) -> Answers:
        """Answer about one picture.

        Args:
            scene: the picture.
            words: the words of all prompts that are asked jointly, one after the other, `[T, C]`.
        """
        x, positions = self.query_feat.weight, torch.cat([self.query_embed.weight, words])
        queries = len(x)
        blocks = zip(
            self.transformer_cross_attention_layers,
            self.transformer_self_attention_layers,
            self.transformer_ffn_layers,
            scene.layers,
            strict=True,
        )
        for number, (look, talk, think, projected) in enumerate(blocks):
            hidden = _hidden(self._masks(x, scene.coarse[number % len(scene.coarse)]))
            x = look(x, positions[:queries], projected=projected, hidden=hidden)
            both = think(talk(torch.cat([x, words]), positions))
            x, words = both[:queries], both[queries:]
        return Answers(masks=self._masks(x, scene.mask_features), captions=self.decoder_norm(x) @ self.class_embed)

    def _source(self, number: int, level: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[N, C]` of one level `[1, C, h, w]`."""
        channels, height, width = level.shape[1:]
        values = level[0].flatten(1).t() + self.level_embed.weight[number]
        return values + sine_positions(height, width, channels=channels).flatten(1).t(), values

    def _masks(self, x: Tensor, features: Tensor) -> Tensor:
        """Logits `[Q, h, w]` of queries `[Q, C]`."""
        return torch.einsum("qc,chw->qhw", self.mask_embed(self.decoder_norm(x)), features)


def _hidden(masks: Tensor) -> Tensor:
    """Where queries may not look, `[Q, h w]`, by their masks' logits `[Q, h, w]`: where the probability is below 0.5; a
    query whose mask is empty may look everywhere."""
    hidden = masks.flatten(1).sigmoid() < 0.5
    return hidden & ~hidden.all(dim=1, keepdim=True)
