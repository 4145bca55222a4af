from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.bench.ask.clinical import foreign_words, grammar_words, in_grammar, plain, read_sentences, sentences
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.grammar.surface import PARTS, has_words, render, says
from semantiseg.language.ontology import PAPER_STRUCTURES, structure
from semantiseg.language.program import atom, call, parse, subject

GOOD = """
version: 1
programs:
  - program: minus(organ(liver), lesion(liver_tumour))
    sentences: [Liver for the remnant estimate with the deposits subtracted.]
  - program: lesion(liver_tumour)
    clauses: {density: hypodense}
    sentences: [Low-density secondaries.]
"""
LIVER = "minus(organ(liver), lesion(liver_tumour))"


def test_there_are_two_hundred_and_more_sentences_about_all_of_the_papers_structures():
    found = sentences()
    assert len(found) >= 200 and len({plain(item.text) for item in found}) == len(found)
    assert {structure(subject(item.program).key).main for item in found} == set(PAPER_STRUCTURES)
    levels = pd.Series([item.level for item in found]).value_counts()
    assert levels[3] >= 150 and levels.min() >= 20


def test_no_sentence_is_a_phrasing_of_the_grammar():
    assert [item.text for item in sentences() if in_grammar(item.text, item.program, item.clauses)] == []


def test_most_sentences_hold_words_that_the_grammar_lacks():
    assert np.mean([bool(foreign_words(item.text)) for item in sentences()]) > 0.5


@pytest.mark.parametrize("program", [atom("liver"), parse(LIVER), call("half", atom("spleen"), "anterior")])
def test_the_grammar_knows_its_own_texts_and_no_others(program):
    rng = np.random.default_rng(0)
    for part in PARTS:
        if not has_words(program, (), part=part):
            continue
        for _ in range(20):
            text = render(program, (), part=part, rng=rng)
            assert says(program, (), text, part=part) and in_grammar(text + ".", program, ())
            assert not says(program, (), text + "s", part=part) and not says(program, (), text[:-1], part=part)
            assert set(text.split()) & grammar_words()


def test_a_form_is_recognised_exactly_if_it_is_listed():
    from semantiseg.language.grammar.forms import Choice, Joined, words

    forms = Joined([words(["a", "ab"]), Choice([words(["b", ""]), words(["c"])]), words(["d"])])
    listed = set(forms)
    every = {"".join(text) for size in range(5) for text in _strings("abcd", size)}
    assert {text for text in every if text in forms} == listed


def _strings(letters: str, size: int):
    return [""] if not size else [first + rest for first in letters for rest in _strings(letters, size - 1)]


def test_sentences_carry_their_program_clauses_and_level():
    one, two = read_sentences(GOOD, origin="test")
    assert (one.program, one.level, one.kind) == (parse(LIVER), 3, "exclusion")
    assert (two.clauses, two.level, two.kind) == ((Clause("density", "hypodense"),), 2, "attribute")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("minus(organ(liver)", "minus(organ(river)", "ontology"),
        ("minus(organ(liver), lesion(liver_tumour))", "union(organ(liver), organ(spleen))", "benchmark asks"),
        ("hypodense", "purple", "density"),
        ("Low-density secondaries.", "' '", "expected a sentence"),
        ("Low-density secondaries.", "Viable - yes: no", "expected a sentence"),
        ("Low-density secondaries.", "Liver for the remnant estimate with the deposits subtracted", "once"),
        ("[Liver for the remnant estimate with the deposits subtracted.]", "[Liver without the tumour]", "outside"),
        ("version: 1", "edition: 1", "version"),
        ("sentences: [Low", "phrases: [Low", "layout"),
        ("programs:", "programs: [", "YAML"),
    ],
)
def test_a_file_with_a_fault_is_refused_with_its_reason(old, new, said):
    assert old in GOOD
    with pytest.raises(PromptError, match=said):
        read_sentences(GOOD.replace(old, new), origin="test")


def test_no_training_text_of_the_demo_is_a_clinical_sentence(root: Path):
    training = root / "data/bench/training.parquet"
    if not training.is_file():
        pytest.skip("the demo's data are not here: run `dvc repro verify`")
    texts = {plain(text) for row in pd.read_parquet(training, columns=["texts"])["texts"] for text in row}
    assert len(texts) > 1000 and not texts & {plain(item.text) for item in sentences()}


def test_every_sentence_could_be_drawn_from_the_grammar_in_plain_words_so_that_it_can_be_verified():
    programs = {(item.program, item.clauses) for item in sentences()}
    assert all(has_words(*key, part="seen") for key in programs)
