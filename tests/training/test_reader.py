from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from semantiseg.errors import DataError
from semantiseg.models.prompts import collate
from semantiseg.models.text import encode_texts
from semantiseg.training.reader import HIDDEN, _hide, train_reader, training_phrases

PHRASES = {
    "liver without the tumour": "minus(organ(liver), lesion(liver_tumour))",
    "hepatic parenchyma, lesions excluded": "minus(organ(liver), lesion(liver_tumour))",
    "left half of the spleen": "half(organ(spleen), left)",
    "right half of the spleen": "half(organ(spleen), right)",
    "lung cancer": "lesion(lung_tumour)",
}


@pytest.fixture(scope="module")
def features():
    return encode_texts(list(PHRASES))


def test_sentences_of_training_get_their_programs_though_antonyms_are_neighbours(features):
    classifier = train_reader(PHRASES, features, seed=0, threads=1)
    with torch.no_grad():
        best = classifier(collate([features[text] for text in PHRASES], reading="contextual")).argmax(dim=1)
    assert [classifier.programs[number] for number in best] == list(PHRASES.values())


def test_equal_arguments_give_equal_weights_and_another_seed_others(features):
    one, two, other = (train_reader(PHRASES, features, seed=seed, threads=1).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["tell.weight"], other["tell.weight"])


def test_training_leaves_global_settings_alone(features):
    before = torch.get_num_threads()
    train_reader(PHRASES, features, seed=0, threads=2)
    assert torch.get_num_threads() == before and not torch.are_deterministic_algorithms_enabled()


def test_hidden_words_leave_no_trace_and_no_sentence_empty(features):
    batch = collate([features[text] for text in PHRASES] * 40, reading="contextual")
    hidden = _hide(batch, np.random.default_rng(0))
    assert not (hidden.mask & ~batch.mask).any() and hidden.mask.any(dim=1).all()
    assert not hidden.tokens[~hidden.mask].any() and not hidden.ids[~hidden.mask].any()
    assert torch.equal(hidden.tokens[hidden.mask], batch.tokens[hidden.mask])
    share = 1 - hidden.mask.sum() / batch.mask.sum()
    assert abs(float(share) - HIDDEN) < 0.05


def test_without_phrases_there_is_no_reader(features):
    with pytest.raises(DataError, match="at least one"):
        train_reader({}, features, seed=0, threads=1)


def test_phrases_come_from_the_training_split_and_have_one_meaning(tmp_path: Path):
    rows = {
        "split": ["train", "train", "validation"],
        "program": ["organ(liver)", "organ(spleen)", "organ(kidney)"],
        "texts": [["liver", "organ"], ["spleen", "organ"], ["kidney"]],
    }
    pd.DataFrame(rows).to_parquet(tmp_path / "training.parquet")
    assert training_phrases(tmp_path / "training.parquet") == {"liver": "organ(liver)", "spleen": "organ(spleen)"}
