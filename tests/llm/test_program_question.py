"""What a reading language model is told, and which answers count."""

from __future__ import annotations

import json

import pytest

from semantiseg.bench.ask.clinical import sentences
from semantiseg.bench.ask.space import compositions
from semantiseg.errors import PromptError
from semantiseg.language.grammar.surface import PARTS, says
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import SIGNATURES, atom, atoms, parse
from semantiseg.llm.reading import EXAMPLES, LONGEST_PROGRAM, OPERATIONS, ProgramQuestion, program_of, write_program

KEYS = tuple(STRUCTURES)


def test_the_model_is_told_every_operation_with_its_arguments_and_every_structure():
    compound = {name: arguments for name, arguments in SIGNATURES.items() if arguments != ("key",)}
    assert OPERATIONS.keys() == compound.keys()
    for name, arguments in compound.items():
        call = OPERATIONS[name].partition(":")[0]
        assert call.startswith(f"{name}(") and call.count(",") == len(arguments) - 1
    told = ProgramQuestion("liver").system()
    assert all(f"\n{atom(key)}: {STRUCTURES[key].names[0]}" in told for key in KEYS)
    assert all(line in told for line in OPERATIONS.values())


@pytest.mark.parametrize(("sentence", "program"), EXAMPLES, ids=[program for _, program in EXAMPLES])
def test_every_example_is_a_training_sentence_and_no_test_sentence(sentence, program):
    assert says(parse(program), (), sentence, part="seen")
    assert not any(says(parse(program), (), sentence, part=part) for part in PARTS if part != "seen")
    assert sentence.lower() not in {item.text.lower() for item in sentences()}


def test_no_held_out_name_is_told():
    held_out = {name for item in STRUCTURES.values() for name in item.held_out}
    listed = ProgramQuestion("liver").system().partition("Structures:\n")[2].partition("\n\n")[0]
    told = {name for line in listed.splitlines() for name in line.partition(": ")[2].split(", ")}
    assert len(told) > len(KEYS) and not told & held_out


def test_a_written_program_reads_as_itself():
    for _, program in compositions(list(STRUCTURES.values()), lateral=True):
        assert program_of(write_program(str(program)), keys=KEYS) == program


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("side(organ(kidney), right)", "expected JSON"),
        ('{"texts": ["liver"]}', "expected JSON"),
        ('{"program": "organ(liver)", "why": ""}', "expected JSON"),
        ('{"program": ["organ(liver)"]}', "expected JSON"),
        ('{"program": ""}', "no structure in the sentence"),
        ('{"program": "the liver"}', "expected a program"),
        ('{"program": "side(organ(kidney))"}', "expected 2 arguments"),
        ('{"program": "organ(thyroid)"}', "ontology organ"),
        ('{"program": "organ(liver_tumour)"}', "ontology organ"),
        ('{"program": "__import__(organ)"}', "expected one of"),
        (write_program("side(" * 150 + "organ(liver)" + ", left)" * 150), f"at most {LONGEST_PROGRAM}"),
    ],
)
def test_what_is_no_program_is_refused_with_the_reason(answer, said):
    with pytest.raises(PromptError, match=f"answer: .*{said}"):
        program_of(answer, keys=KEYS)


def test_a_cut_answer_and_a_structure_not_asked_about_are_refused():
    with pytest.raises(PromptError, match="got one cut"):
        program_of(write_program("organ(liver)"), keys=KEYS, finished=False)
    with pytest.raises(PromptError, match="those asked about, got kidney_cyst"):
        program_of(write_program("minus(organ(kidney), lesion(kidney_cyst))"), keys=("kidney", "liver"))


def test_examples_of_structures_that_are_not_there_are_not_shown():
    question = ProgramQuestion("renal cortex", keys=("kidney", "kidney_tumour"))
    shown = [json.loads(turn["content"])["program"] for turn in question.messages() if turn["role"] == "assistant"]
    assert 2 <= len(shown) < len(EXAMPLES)
    assert {item.key for program in shown for item in atoms(parse(program))} == {"kidney", "kidney_tumour"}
    assert "liver" not in json.dumps([question.messages(), question.shown()])


def test_the_sentence_comes_last_and_stands_alone():
    for chat in (ProgramQuestion("renal cortex").messages(), ProgramQuestion("renal cortex").shown()):
        assert chat[0]["role"] == "system" and chat[-1] == {"role": "user", "content": "Sentence: renal cortex"}
        assert [turn["role"] for turn in chat[1:]] == ["user", "assistant"] * len(EXAMPLES) + ["user"]


def test_another_sentence_or_other_structures_are_another_question():
    asked = (ProgramQuestion("liver"), ProgramQuestion("spleen"), ProgramQuestion("liver", keys=("liver",)))
    assert len({json.dumps(question.facts()) for question in asked}) == 3
