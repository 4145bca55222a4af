"""CLIP's byte-pair tokens, read offline from the vocabulary that `open_clip` ships (the same 49,408 entries).

BiomedParse's text encoder: CLIP's causal transformer with a width of 512 and a context of 77 tokens.

Radford et al., "Learning Transferable Visual Models", ICML 2021. Two traps: LayerNorm's epsilon is 1e-12, and GELU is
CLIP's quick form. The BiomedBERT that the official code stores beside it is never called with CLIP's tokens.
Behaviour read in the official repository at 750eb40; written anew.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from semantiseg.errors import PromptError

CONTEXT = 77
"""Longest prompt in tokens, start and end included."""


@cache
def _tokenizer() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def clip_tokens(texts: Sequence[str]) -> Tensor:
    """Token ids `[P, T]`, start and end included, padded with the end token to the longest.

    Raises:
        PromptError: a text is longer than the context; it is never cut.
    """
    tokenizer = _tokenizer()
    rows = [[tokenizer.sot_token_id, *tokenizer.encode(text), tokenizer.eot_token_id] for text in texts]
    for text, row in zip(texts, rows, strict=True):
        if len(row) > CONTEXT:
            raise PromptError(
                f"prompt: expected at most {CONTEXT} CLIP tokens, got {len(row)} in {text[:60]!r}... Shorten it."
            )
    longest = max(map(len, rows))
    return torch.tensor([row + [tokenizer.eot_token_id] * (longest - len(row)) for row in rows])


EPSILON = 1e-12


@dataclass(frozen=True)
class Sentences:
    """P encoded prompts."""

    tokens: tuple[Tensor, ...]
    """Each prompt's words, start and end included: `[T_p, C]`."""
    sentence: Tensor
    """The end token's state, `[P, C]`: what queries are compared with."""

    def apart(self) -> list[Sentences]:
        """Each prompt on its own."""
        return [
            Sentences(tokens=(words,), sentence=self.sentence[number : number + 1])
            for number, words in enumerate(self.tokens)
        ]


class QuickGelu(nn.Module):
    """`x * sigmoid(1.702 x)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return x * torch.sigmoid(1.702 * x)


class TextBlock(nn.Module):
    """Causal self-attention and MLP, each normed before."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width, eps=EPSILON)
        self.mlp = nn.Sequential(
            OrderedDict(c_fc=nn.Linear(width, 4 * width), gelu=QuickGelu(), c_proj=nn.Linear(4 * width, width))
        )
        self.ln_2 = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, x: Tensor, ahead: Tensor) -> Tensor:
        """`[P, T, C]` to the same; `ahead` `[T, T]` is true where a word would look ahead."""
        normed = self.ln_1(x)
        x = x + self.attn(normed, normed, normed, attn_mask=ahead, need_weights=False)[0]
        return x + self.mlp(self.ln_2(x))


class TextTransformer(nn.Module):
    """Token ids to states."""

    def __init__(self, *, vocabulary: int, context: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocabulary, width)
        self.positional_embedding = nn.Parameter(torch.zeros(context, width))
        self.resblocks = nn.ModuleList(TextBlock(width, heads=heads) for _ in range(depth))
        self.ln_final = nn.LayerNorm(width, eps=EPSILON)

    def forward(self, ids: Tensor) -> Tensor:
        """`[P, T]` int64 to `[P, T, C]`."""
        length = ids.shape[1]
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        ahead = torch.ones(length, length, dtype=torch.bool).triu(1)
        for block in self.resblocks:
            x = block(x, ahead)
        return self.ln_final(x)


class QueryTextEncoder(nn.Module):
    """The transformer and the projection to the queries' space."""

    def __init__(self, *, vocabulary: int, context: int, width: int, heads: int, depth: int) -> None:
        super().__init__()
        self.lang_encoder = TextTransformer(
            vocabulary=vocabulary, context=context, width=width, heads=heads, depth=depth
        )
        self.lang_proj = nn.Parameter(torch.zeros(width, width))

    def forward(self, ids: Tensor) -> Sentences:
        """Encode prompts.

        Args:
            ids: `[P, T]` int64, start and end included; the end token has the greatest id, and after its first
                occurrence all is padding, which the causal transformer lets no word see.
        """
        states = self.lang_encoder(ids) @ self.lang_proj
        ends = ids.argmax(dim=1)  # the first, where padding repeats it
        return Sentences(
            tokens=tuple(row[: int(end) + 1] for row, end in zip(states, ends, strict=True)),
            sentence=states[torch.arange(len(ids)), ends],
        )
