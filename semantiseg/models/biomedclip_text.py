"""BiomedCLIP's text tower as a frozen text encoder: token features for the token gate, the projected embedding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoTokenizer

from semantiseg.errors import ModelError
from semantiseg.models.biomedclip import read_biomedclip
from semantiseg.models.text import check_lengths, check_texts


class BiomedCLIPText:
    """A `TextEncoder`: E = 768, F = 512 (after the text projection, in the space of F_sem)."""

    name = "biomedclip"

    def __init__(self, source: str | Path) -> None:
        """
        Args:
            source: see `models.biomedclip.read_biomedclip`.

        Raises:
            ModelError: weights or tokenizer are absent, broken or of another architecture.
        """
        clip = read_biomedclip(source)
        self._tower, self._context = clip.model.text, clip.context
        self._tower.output_tokens = True
        self.sentence_width = int(self._tower.output_dim)
        try:
            # Without any file transformers would make up a tokenizer that knows no word.
            if not any((clip.folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
                raise OSError("neither.")
            self._tokenizer = AutoTokenizer.from_pretrained(clip.folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{clip.folder}: expected a tokenizer (tokenizer.json or vocab.txt), got {str(error).splitlines()[0]} "
                "Copy BiomedCLIP's files there."
            ) from None
        if len(self._tokenizer) > len(self.table):
            raise ModelError(
                f"{clip.folder}: expected a tokenizer of at most {len(self.table)} word pieces, the text tower's, "
                f"got {len(self._tokenizer)}. Use the tokenizer that belongs to these weights."
            )

    @property
    def table(self) -> NDArray[np.float32]:
        """`[vocabulary, E]`."""
        return self._tower.transformer.embeddings.word_embeddings.weight.numpy()

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece ids of each text, [CLS] and [SEP] at the ends.

        Raises:
            PromptError: a text is empty, not a string, or longer than the context (256 word pieces).
        """
        check_texts(texts)
        if not texts:
            return []
        ids = [list(map(int, row)) for row in self._tokenizer(list(texts))["input_ids"]]
        check_lengths(texts, ids, maximum=self._context)
        return ids

    @torch.inference_mode()
    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """`[n, T]` to token features of the last layer `[n, T, E]` and projected embeddings `[n, F]`."""
        sentence, tokens = self._tower(ids)
        return tokens, sentence
