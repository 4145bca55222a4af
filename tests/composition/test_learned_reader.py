from __future__ import annotations

import pytest
import torch
from clip_folder import write_clip_folder

from semantiseg.composition.readers import BELIEVED, LearnedReader, ProgramClassifier, load_reader, save_reader
from semantiseg.errors import ModelError, PromptError
from semantiseg.language.program import parse
from semantiseg.models import text
from semantiseg.models.encoders import BiomedCLIPText
from semantiseg.models.prompts import collate

PROGRAMS = ("lesion(lung_tumour)", "organ(spleen)")
MINILM = {"text_width": 384, "sentence_width": 384, "text_encoder": "minilm"}


@pytest.fixture
def classifier() -> ProgramClassifier:
    """Believes whatever its bias says, whatever is read."""
    made = ProgramClassifier(PROGRAMS, **MINILM)
    torch.nn.init.zeros_(made.tell.weight)
    return made


def believing(classifier: ProgramClassifier, *, first: float) -> LearnedReader:
    with torch.no_grad():
        classifier.tell.bias.copy_(torch.tensor([first, 1 - first]).log())
    return LearnedReader(classifier)


def test_the_most_probable_program_is_read_where_the_lexicon_refuses(classifier):
    reader = believing(classifier, first=0.8)
    program, probability = reader.most_probable("query NSCLC")
    assert program == PROGRAMS[0] and probability == pytest.approx(0.8)
    assert reader("query NSCLC") == parse(PROGRAMS[0])


def test_what_the_lexicon_understands_is_left_to_it(classifier):
    assert believing(classifier, first=0.8)("left kidney") == parse("side(organ(kidney), left)")


def test_another_first_reader_can_be_given(classifier):
    reader = LearnedReader(classifier, first=lambda text: parse("organ(pancreas)"))
    assert reader("query NSCLC") == parse("organ(pancreas)")


def test_a_sentence_of_no_probable_meaning_is_refused_with_what_it_might_have_meant():
    unsure = ProgramClassifier((*PROGRAMS, "organ(liver)"), **MINILM)
    torch.nn.init.zeros_(unsure.tell.weight)
    torch.nn.init.zeros_(unsure.tell.bias)  # a third each
    with pytest.raises(PromptError, match=rf"at least {BELIEVED}, got 'query NSCLC': lesion\(lung_tumour\) with 0.33"):
        LearnedReader(unsure)("query NSCLC")


def test_a_sentence_is_encoded_once(classifier, monkeypatch):
    asked, encode = [], text.encode_texts
    monkeypatch.setattr(text, "encode_texts", lambda texts, **how: asked.extend(texts) or encode(texts, **how))
    reader = LearnedReader(classifier)
    assert reader.most_probable("query NSCLC") == reader.most_probable("query NSCLC") and asked == ["query NSCLC"]


def test_saved_and_loaded_it_reads_the_same(classifier, tmp_path):
    torch.nn.init.normal_(classifier.tell.weight)
    save_reader(classifier, tmp_path)
    mine, theirs = (LearnedReader(item) for item in (classifier, load_reader(tmp_path)))
    assert mine.most_probable("query NSCLC") == theirs.most_probable("query NSCLC")


def test_it_reads_with_the_text_encoder_that_it_was_trained_with(tmp_path, monkeypatch):
    write_clip_folder(tmp_path / "weights/biomedclip")
    torch.manual_seed(3)
    made = ProgramClassifier(PROGRAMS, text_width=48, sentence_width=32, text_encoder="biomedclip").eval()
    save_reader(made, tmp_path / "reader")
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", str(tmp_path / "weights"))
    sentence = "query NSCLC"
    features = text.encode_texts([sentence], encoder=BiomedCLIPText(tmp_path / "weights/biomedclip"))
    with torch.inference_mode():
        chances = made(collate([features[sentence]], reading="contextual")).softmax(dim=1)[0]
    program, probability = LearnedReader(load_reader(tmp_path / "reader")).most_probable(sentence)
    assert program == PROGRAMS[int(chances.argmax())] and probability == pytest.approx(float(chances.max()))
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", str(tmp_path / "none"))
    with pytest.raises(ModelError, match="none/biomedclip"):
        LearnedReader(load_reader(tmp_path / "reader")).most_probable(sentence)


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_folder_without_one_of_its_files_is_refused(classifier, tmp_path, broken):
    save_reader(classifier, tmp_path)
    (tmp_path / broken).unlink()
    with pytest.raises(ModelError, match=r"expected config\.json and model\.safetensors"):
        load_reader(tmp_path)


def test_weights_of_other_programs_are_refused(classifier, tmp_path):
    save_reader(classifier, tmp_path)
    config = (tmp_path / "config.json").read_text().replace('"organ(spleen)"', '"organ(spleen)", "organ(liver)"')
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(ModelError, match=r"tell\.weight"):
        load_reader(tmp_path)
