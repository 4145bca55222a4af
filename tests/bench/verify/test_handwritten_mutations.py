"""Words that the exam of the verifier does not know turn a prompt's meaning, and the reader is not fooled."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from semantiseg.errors import PromptError
from semantiseg.language.reader import parser, tokens

FOLDER = Path(__file__).resolve().parents[3] / "benchmarks"
sys.path.insert(0, str(FOLDER))
from handwritten_mutations import load_mutations  # noqa: E402

MUTATIONS = tuple(
    mutation for path in sorted(FOLDER.glob("unseen_mutations*.yaml")) for mutation in load_mutations(path)
)


def test_at_most_one_in_a_hundred_mutations_is_read_as_what_it_does_not_say():
    misread = [mutation.text for mutation in MUTATIONS if mutation.is_misread]
    assert len(MUTATIONS) >= 500
    assert len(misread) <= 0.01 * len(MUTATIONS), misread


def test_every_prompt_that_was_mutated_is_read_as_it_was_written():
    assert [mutation.prompt for mutation in MUTATIONS if not mutation.prompt_is_read] == []


def test_a_reader_that_passes_over_unknown_words_is_found_out(monkeypatch):
    monkeypatch.setattr(tokens, "unaccounted", lambda pieces: iter(()))
    parser.read.cache_clear()
    misread = sum(mutation.is_misread for mutation in MUTATIONS)
    parser.read.cache_clear()
    assert misread > 0.4 * len(MUTATIONS)


@pytest.mark.parametrize("text", ["[]", "prompts: 3", "prompts: [{prompt: liver}]", "{"])
def test_a_broken_file_is_refused_by_its_name(tmp_path, text):
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(PromptError, match=r"broken\.yaml"):
        load_mutations(path)
