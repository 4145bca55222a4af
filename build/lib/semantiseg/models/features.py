"""Features of texts as a frozen encoder made them: in memory and in `features.h5` (schema: docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from semantiseg.errors import DataError, PromptError


@dataclass(frozen=True)
class TextFeature:
    """Features of one text of T word pieces, special tokens dropped."""

    tokens: NDArray[np.float16]
    """Contextual token features, `[T, E]`."""
    ids: NDArray[np.int32]
    """Word-piece ids, `[T]`."""
    pooled: NDArray[np.float16]
    """Sentence embedding of length 1, `[F]`; F is E for encoders that do not project it."""
    static: NDArray[np.float16]
    """Rows of the word-piece table, `[T, E]`: no position, no context."""


@dataclass(frozen=True)
class TextFeatures:
    """Features of N distinct texts, sorted; `features[text]` gives one of them."""

    texts: tuple[str, ...]
    offsets: NDArray[np.int64]
    tokens: NDArray[np.float16]
    ids: NDArray[np.int32]
    pooled: NDArray[np.float16]
    static: NDArray[np.float16]
    origin: str = "memory"
    encoder: str = "minilm"
    """Name of the encoder; a file says it where it is not MiniLM."""
    _position: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_position", {text: position for position, text in enumerate(self.texts)})

    def __len__(self) -> int:
        return len(self.texts)

    def __contains__(self, text: object) -> bool:
        return text in self._position

    @property
    def width(self) -> int:
        """E, the width of a token feature."""
        return int(self.tokens.shape[1])

    @property
    def sentence_width(self) -> int:
        """F, the width of a sentence embedding."""
        return int(self.pooled.shape[1])

    @property
    def described(self) -> dict[str, Any]:
        """What a model that reads them is built with: `text_width` (E), `sentence_width` (F), `text_encoder`."""
        return {"text_width": self.width, "sentence_width": self.sentence_width, "text_encoder": self.encoder}

    def __getitem__(self, text: str) -> TextFeature:
        """Features of one text.

        Raises:
            PromptError: the text was not encoded.
        """
        if text not in self._position:
            raise PromptError(
                f"{self.origin}: expected an encoded text, got {text!r}. "
                "Run the stage 'encode' again, or encode it with "
                "semantiseg.models.text.encode_texts."
            )
        row = self._position[text]
        span = slice(int(self.offsets[row]), int(self.offsets[row + 1]))
        return TextFeature(
            tokens=self.tokens[span], ids=self.ids[span], pooled=self.pooled[row], static=self.static[span]
        )

    def similarity(self, one: str, two: str) -> float:
        """Cosine of the angle between two sentence embeddings, in [-1, 1]."""
        return float(self[one].pooled.astype(np.float64) @ self[two].pooled.astype(np.float64))

    def save(self, path: Path) -> None:
        """Write `features.h5`; equal features give equal bytes."""
        path.parent.mkdir(parents=True, exist_ok=True)
        # track_times would put the hour of writing into the file.
        with h5py.File(path, "w", track_order=False) as file:
            if self.encoder != "minilm":
                file.attrs["encoder"] = self.encoder
            file.create_dataset("texts", data=list(self.texts), dtype=h5py.string_dtype("utf-8"), track_times=False)
            for name in ("offsets", "tokens", "ids", "pooled", "static"):
                # Rows of the word-piece table repeat: gzip takes nine tenths of them away. Contextual features hardly
                # shrink.
                options = (
                    {"compression": "gzip", "compression_opts": 1, "shuffle": True}
                    if name == "static" and len(self)
                    else {}
                )
                file.create_dataset(name, data=getattr(self, name), track_times=False, **options)

    @classmethod
    def load(cls, path: Path) -> TextFeatures:
        """Read `features.h5` whole.

        Raises:
            DataError: the file is absent, unreadable, or not of the schema.
        """
        try:
            with h5py.File(path, "r") as file:
                texts = tuple(file["texts"].asstr()[:])
                encoder = str(file.attrs.get("encoder", "minilm"))
                arrays = {name: file[name][:] for name in ("offsets", "tokens", "ids", "pooled", "static")}
        except (OSError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{path}: expected text features, got {error}. Run the stage 'encode' again.") from None
        if len(arrays["offsets"]) != len(texts) + 1 or arrays["offsets"][-1] != len(arrays["tokens"]):
            raise DataError(
                f"{path}: expected offsets that match {len(texts)} texts, got another number. "
                "Run the stage 'encode' again."
            )
        return cls(texts=texts, origin=str(path), encoder=encoder, **arrays)


def check_texts(texts: Sequence[str]) -> None:
    """Raise PromptError where a text is empty or not a string."""
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise PromptError(f"prompt: expected a sentence, got {text!r}. Write what to segment, such as 'liver'.")


def check_lengths(texts: Sequence[str], ids: Sequence[Sequence[int]], *, maximum: int) -> None:
    """Raise PromptError where a text has more than `maximum` word pieces."""
    for text, row in zip(texts, ids, strict=True):
        if len(row) > maximum:
            raise PromptError(
                f"prompt: expected at most {maximum} word pieces, got {len(row)} in {text[:60]!r}... "
                "Shorten the sentence."
            )
