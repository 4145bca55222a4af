"""CLIP's byte-pair tokens, read offline from the vocabulary that `open_clip` ships (the same 49,408 entries)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

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
