from __future__ import annotations

import pytest
import torch

from semantiseg.bench.program import parse
from semantiseg.errors import ModelError, PromptError
from semantiseg.models.learned_reader import BELIEVED, LearnedReader, ProgramClassifier, load, save
from semantiseg.models.text import encode_texts

PROGRAMS = ("lesion(lung_tumour)", "organ(spleen)")


@pytest.fixture
def classifier() -> ProgramClassifier:
    """Believes whatever its bias says, whatever is read."""
    made = ProgramClassifier(PROGRAMS, text_width=384, sentence_width=384)
    torch.nn.init.zeros_(made.tell.weight)
    return made


def believing(classifier: ProgramClassifier, *, first: float) -> LearnedReader:
    with torch.no_grad():
        classifier.tell.bias.copy_(torch.tensor([first, 1 - first]).log())
    return LearnedReader(classifier, encode=encode_texts)


def test_the_most_probable_program_is_read_where_the_lexicon_refuses(classifier):
    reader = believing(classifier, first=0.8)
    program, probability = reader.most_probable("query NSCLC")
    assert program == PROGRAMS[0] and probability == pytest.approx(0.8)
    assert reader("query NSCLC") == parse(PROGRAMS[0])


def test_what_the_lexicon_understands_is_left_to_it(classifier):
    assert believing(classifier, first=0.8)("left kidney") == parse("side(organ(kidney), left)")


def test_another_first_reader_can_be_given(classifier):
    reader = LearnedReader(classifier, encode=encode_texts, first=lambda text: parse("organ(pancreas)"))
    assert reader("query NSCLC") == parse("organ(pancreas)")


def test_a_sentence_of_no_probable_meaning_is_refused_with_what_it_might_have_meant():
    unsure = ProgramClassifier((*PROGRAMS, "organ(liver)"), text_width=384, sentence_width=384)
    torch.nn.init.zeros_(unsure.tell.weight)
    torch.nn.init.zeros_(unsure.tell.bias)  # a third each
    with pytest.raises(PromptError, match=rf"at least {BELIEVED}, got 'query NSCLC': lesion\(lung_tumour\) with 0.33"):
        LearnedReader(unsure, encode=encode_texts)("query NSCLC")


def test_known_features_are_not_computed_again(classifier):
    def never(texts):
        raise AssertionError(texts)

    reader = LearnedReader(classifier, encode=never, features=encode_texts(["query NSCLC"]))
    assert reader.most_probable("query NSCLC")[0] in PROGRAMS


def test_a_sentence_is_encoded_once(classifier):
    asked = []

    def encode(texts):
        asked.extend(texts)
        return encode_texts(texts)

    reader = LearnedReader(classifier, encode=encode)
    assert reader.most_probable("query NSCLC") == reader.most_probable("query NSCLC") and asked == ["query NSCLC"]


def test_saved_and_loaded_it_reads_the_same(classifier, tmp_path):
    torch.nn.init.normal_(classifier.tell.weight)
    save(classifier, tmp_path)
    mine, theirs = (LearnedReader(item, encode=encode_texts) for item in (classifier, load(tmp_path)))
    assert mine.most_probable("query NSCLC") == theirs.most_probable("query NSCLC")


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused(classifier, tmp_path, broken):
    save(classifier, tmp_path)
    (tmp_path / broken).unlink()
    with pytest.raises(ModelError, match=r"expected config\.json and model\.safetensors"):
        load(tmp_path)


def test_weights_of_other_programs_are_refused(classifier, tmp_path):
    save(classifier, tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"organ(spleen)"', '"organ(spleen)", "organ(liver)"')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"tell\.weight"):
        load(tmp_path)
