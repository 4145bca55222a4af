"""What a back end is told, and which answers count."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.bench.ask.space import compositions
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause, to_json
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import parse
from semantiseg.llm.request import LONGEST_TEXT, Request, explain, read_answer, write_answer

WORDS = st.text(st.characters(categories=("L", "N", "P")), min_size=1, max_size=30)


@given(st.lists(WORDS, min_size=1, max_size=4))
def test_a_written_answer_reads_as_itself(said):
    assert read_answer(write_answer(said)) == said


@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```", "```\n{}\n```", "  {}\n"])
def test_fences_and_blanks_around_json_are_forgiven(fence):
    assert read_answer(fence.format('{"texts": [" the\\n liver "]}')) == ["the liver"]


@pytest.mark.parametrize(
    "answer",
    ["", "the liver", "[]", '{"texts": []}', '{"texts": "liver"}', '{"texts": [1]}', '{"text": ["liver"]}',
     '{"texts": ["liver"], "why": 1}', 'Sure! {"texts": ["liver"]}', '{"texts": ["li'],
)  # fmt: skip
def test_what_is_no_such_json_is_refused_with_its_beginning(answer):
    with pytest.raises(PromptError, match="expected JSON"):
        read_answer(answer)


def test_empty_long_and_cut_texts_are_refused():
    for texts in ([" "], ["a" * (LONGEST_TEXT + 1)]):
        with pytest.raises(PromptError, match="expected texts of 1 to"):
            read_answer(write_answer(texts))
    with pytest.raises(PromptError, match="got one cut"):
        read_answer(write_answer(["liver"]), finished=False)


def test_every_composition_is_explained_in_words_of_its_own():
    programs = [program for _, program in compositions(list(STRUCTURES.values()), lateral=True)]
    explained = {explain(program) for program in programs}
    assert len(explained) == len(programs)


def test_target_and_attributes_are_told():
    clauses = to_json([Clause("density", "hypodense"), Clause("diameter", "14"), Clause("margin", "well_defined")])
    said = Request("minus(side(organ(kidney), left), lesion(kidney_cyst))", clauses, "CT", "seen", 1).description()
    for words in ("CT", "kidney", "left side", "kidney cyst", "left out", "hypodense", "14 mm", "well-defined"):
        assert words in said
    assert explain(parse("half(organ(spleen), anterior)")) == "the anterior half of (spleen)"
