"""SEEM's decoder as BiomedParse asks it by text: queries look at the picture, then queries and words at each other.

Zou et al., "Segment Everything Everywhere All at Once", NeurIPS 2023. The official code routes queries and prompts of
many kinds through a table of attention masks; with text alone that table allows everything, and this is what remains.
Prompts that are asked jointly are one sequence of words and so influence each other. Behaviour read in the official
repository at 750eb40; written anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.models.baselines.biomedparse.pixel_decoder import Pyramid
from semantiseg.models.baselines.biomedparse.sine_positions import sine_positions
from semantiseg.models.baselines.biomedparse.text_encoder import TextEncoder


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

    def forward(self, x: Tensor, positions: Tensor, *, keys: Tensor, values: Tensor, hidden: Tensor) -> Tensor:
        """Queries `[Q, C]`, keys and values `[N, C]`, `hidden` `[Q, N]` true where a query may not look."""
        seen = self.multihead_attn(x + positions, keys, values, attn_mask=hidden, need_weights=False)[0]
        return self.norm(x + seen)


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
        self, text: TextEncoder, *, channels: int, heads: int, hidden: int, depth: int, queries: int, levels: int
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

    def forward(self, pyramid: Pyramid, words: Tensor) -> Answers:
        """Answer about one picture.

        Args:
            pyramid: of one picture (B = 1).
            words: the words of all prompts that are asked jointly, one after the other, `[T, C]`.
        """
        sources = [self._source(number, level) for number, level in enumerate(pyramid.levels)]
        grids = [tuple(level.shape[-2:]) for level in pyramid.levels]
        features = pyramid.mask_features[0]
        x, positions = self.query_feat.weight, torch.cat([self.query_embed.weight, words])
        queries = len(x)
        blocks = zip(
            self.transformer_cross_attention_layers,
            self.transformer_self_attention_layers,
            self.transformer_ffn_layers,
            strict=True,
        )
        for number, (look, talk, think) in enumerate(blocks):
            level = number % len(sources)
            keys, values = sources[level]
            hidden = _hidden(self._masks(x, features), grid=grids[level])
            x = look(x, positions[:queries], keys=keys, values=values, hidden=hidden)
            both = think(talk(torch.cat([x, words]), positions))
            x, words = both[:queries], both[queries:]
        return Answers(masks=self._masks(x, features), captions=self.decoder_norm(x) @ self.class_embed)

    def _source(self, number: int, level: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[N, C]` of one level `[1, C, h, w]`."""
        channels, height, width = level.shape[1:]
        values = level[0].flatten(1).t() + self.level_embed.weight[number]
        return values + sine_positions(height, width, channels=channels).flatten(1).t(), values

    def _masks(self, x: Tensor, features: Tensor) -> Tensor:
        """Logits `[Q, h, w]` of queries `[Q, C]`."""
        return torch.einsum("qc,chw->qhw", self.mask_embed(self.decoder_norm(x)), features)


def _hidden(masks: Tensor, *, grid: Sequence[int]) -> Tensor:
    """Where queries may not look, `[Q, N]`: where their mask's probability is below 0.5; a query whose mask is empty
    may look everywhere."""
    coarse = F.interpolate(masks[None], size=tuple(grid), mode="bilinear", align_corners=False)[0]
    hidden = coarse.flatten(1).sigmoid() < 0.5
    return hidden & ~hidden.all(dim=1, keepdim=True)
