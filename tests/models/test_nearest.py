from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from semantiseg.bench.program import parse
from semantiseg.errors import DataError
from semantiseg.models.nearest import NearestPhrase, training_phrases
from semantiseg.models.text import encode_texts

PHRASES = {
    "liver without the tumour": "minus(organ(liver), lesion(liver_tumour))",
    "spleen": "organ(spleen)",
    "lung cancer": "lesion(lung_tumour)",
}


@pytest.fixture(scope="module")
def reader() -> NearestPhrase:
    return NearestPhrase(PHRASES, encode_texts(list(PHRASES)), encode=encode_texts)


def test_a_sentence_in_other_words_means_what_its_nearest_phrase_means(reader):
    assert reader("NSCLC of the pulmonary lobe") == parse("lesion(lung_tumour)")
    assert reader("query splenomegaly") == parse("organ(spleen)")
    assert reader("hepatic volume, tumor subtracted by the surgeon") == parse(PHRASES["liver without the tumour"])


def test_what_the_lexicon_understands_is_left_to_it(reader):
    left = "left kidney"
    assert reader(left) == parse("side(organ(kidney), left)") and reader.nearest(left) in PHRASES


def test_a_known_phrase_is_nearest_to_itself(reader):
    assert [reader.nearest(text) for text in PHRASES] == list(PHRASES)


def test_another_first_reader_can_be_given():
    features = encode_texts(list(PHRASES))
    given = NearestPhrase(PHRASES, features, encode=encode_texts, first=lambda text: parse("organ(pancreas)"))
    assert given("spleen") == parse("organ(pancreas)")


def test_without_phrases_there_is_no_reader():
    with pytest.raises(DataError, match="at least one"):
        NearestPhrase({}, encode_texts(["liver"]), encode=encode_texts)


def test_phrases_come_from_the_training_split_and_have_one_meaning(tmp_path: Path):
    rows = {
        "split": ["train", "train", "validation"],
        "program": ["organ(liver)", "organ(spleen)", "organ(kidney)"],
        "texts": [["liver", "organ"], ["spleen", "organ"], ["kidney"]],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "training.parquet")
    assert training_phrases(tmp_path / "training.parquet") == {"liver": "organ(liver)", "spleen": "organ(spleen)"}
