"""A reader that knows phrases instead of words: a sentence means what its nearest training phrase means.

Nearness is the cosine of the frozen text encoder's sentence embeddings (Reimers and Gurevych, "Sentence-BERT", EMNLP
2019). What the lexicon understands it is left to read: there one word may turn the meaning without moving the embedding
much ("left half" and "right half" have a cosine of 0.97).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from semantiseg.bench.program import Program, parse
from semantiseg.errors import DataError, PromptError
from semantiseg.models.compose import Read, read_program
from semantiseg.models.features import TextFeatures


class NearestPhrase:
    """Sentence -> program: as `first` reads it, else as the nearest known phrase means it. Never refuses.

    Args:
        phrases: known texts and their printed programs.
        features: features of (at least) the phrases.
        encode: texts -> features, for sentences that are not among `features`.
        first: reader that is asked first.

    Raises:
        DataError: no phrases.
    """

    def __init__(
        self,
        phrases: Mapping[str, str],
        features: TextFeatures,
        *,
        encode: Callable[[Sequence[str]], TextFeatures],
        first: Read = read_program,
    ) -> None:
        if not phrases:
            raise DataError("phrases: expected at least one with its program, got none. Run the stage 'verify' again.")
        self._texts = sorted(phrases)
        self._programs = [phrases[text] for text in self._texts]
        self._embeddings = np.stack([features[text].pooled for text in self._texts]).astype(np.float32)  # [N, E]
        self._features, self._encode, self._first = features, encode, first
        self._read: dict[str, Program] = {}

    def __call__(self, text: str) -> Program:
        """The program; sentences read before are remembered."""
        if text not in self._read:
            try:
                self._read[text] = self._first(text)
            except PromptError:
                self._read[text] = parse(self._programs[self._texts.index(self.nearest(text))])
        return self._read[text]

    def nearest(self, text: str) -> str:
        """The known phrase whose embedding is nearest; of equally near ones the first in the alphabet."""
        known = self._features if text in self._features else self._encode([text])
        return self._texts[int(np.argmax(self._embeddings @ known[text].pooled.astype(np.float32)))]


def training_phrases(training: Path) -> dict[str, str]:
    """Texts of the training split with their programs; a text that stands for two programs is left out.

    Args:
        training: `training.parquet`.
    """
    table = pd.read_parquet(training, columns=["split", "program", "texts"])
    meanings: dict[str, set[str]] = {}
    for row in table[table["split"] == "train"].itertuples():
        for text in row.texts:
            meanings.setdefault(text, set()).add(row.program)
    return {text: next(iter(programs)) for text, programs in meanings.items() if len(programs) == 1}
