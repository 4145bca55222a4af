"""Readers by name."""

from __future__ import annotations

import importlib.util

import loopback_server
import pytest

from semantiseg.commands.models import run_baseline, segment
from semantiseg.composition import readers
from semantiseg.composition.composed import READERS
from semantiseg.composition.readers import NAMES, ProgramClassifier, open_reader
from semantiseg.errors import ModelError, ParameterError
from semantiseg.language.program import parse
from semantiseg.llm import backends
from semantiseg.llm.backends import BackendError
from semantiseg.llm.reading import write_program


def test_readers_of_words_are_those_of_compose_and_ask_nobody(tmp_path):
    assert {name: open_reader(name, answers=tmp_path / "answers") for name in READERS} == READERS
    assert not (tmp_path / "answers").exists()


def test_a_server_is_asked_for_its_likeliest_answer(tmp_path):
    with loopback_server.serve() as server:
        server.default = lambda body: loopback_server.completion(write_program("organ(liver)"))
        read = open_reader("server", answers=tmp_path, base_url=server.url, model="tiny", structured="none")
        assert read("the organ below the right diaphragm") == parse("organ(liver)")
        (body,) = server.asked
    assert body["temperature"] == 0 and body["model"] == "tiny" and "response_format" not in body


def test_the_learned_reader_is_opened_from_its_folder_and_refused_without(tmp_path):
    programs = ("lesion(lung_tumour)", "organ(spleen)")
    made = ProgramClassifier(programs, text_width=384, sentence_width=384, text_encoder="minilm")
    readers.save_reader(made, tmp_path)
    assert open_reader("learned", weights=tmp_path)("left kidney") == parse("side(organ(kidney), left)")
    with pytest.raises(ModelError, match=r"config\.json"):
        open_reader("learned", weights=tmp_path / "nowhere")


def test_unknown_readers_and_servers_without_address_or_model_are_refused(tmp_path):
    with pytest.raises(ParameterError, match="strict.*server.*got 'clever'"):
        open_reader("clever")
    with pytest.raises(ParameterError, match="--base-url and --model .--reader-model"):
        open_reader("server", answers=tmp_path, base_url="http://127.0.0.1:1/v1")


def test_without_the_local_model_the_error_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match=backends.REMEDY):
        open_reader("local", answers=tmp_path)


@pytest.mark.parametrize("command", [segment, run_baseline], ids=lambda command: command.name)
def test_commands_offer_every_reader(command):
    (offered,) = (option.type.choices for option in command.params if option.name == "reader")
    assert tuple(offered) == NAMES
