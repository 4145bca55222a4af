"""A language model reads sentences, over real HTTP; what it says is believed only if it is a program."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import loopback_server
import pytest
from loopback_server import KEY, completion
from perfect_segmenter import LEAVES, Perfect, kidneys

from semantiseg.bench.ask.space import compositions
from semantiseg.composition.composed import compose
from semantiseg.errors import PromptError
from semantiseg.language.evaluate import evaluate
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import parse
from semantiseg.llm.asking import AnswerCache, Asker, Budget
from semantiseg.llm.backends import KEY_VARIABLE, BackendError, BudgetError, ServerBackend
from semantiseg.llm.reading import AskedReader, write_program

CORTEX = "renal cortex opposite the hepatic flexure, tumour-free"
MEANT = "minus(side(organ(kidney), right), lesion(kidney_tumour))"


@pytest.fixture
def server() -> Iterator[loopback_server.Server]:
    with loopback_server.serve() as running:
        yield running


def reader(server: loopback_server.Server, answers: Path, *, keys=tuple(STRUCTURES), **options) -> AskedReader:
    backend = ServerBackend(base_url=server.url, model="tiny", timeout_s=5)
    asker = Asker(backend, AnswerCache(answers), **{"sleep": lambda seconds: None, **options})
    return AskedReader(asker, keys=keys)


def says(program: str) -> dict:
    return completion(write_program(program))


def sentence(body: dict) -> str:
    return body["messages"][-1]["content"].removeprefix("Sentence: ")


def test_a_sentence_means_what_the_server_answers(server, tmp_path):
    server.script = [says(MEANT)]
    assert reader(server, tmp_path)(CORTEX) == parse(MEANT)
    (body,) = server.asked
    assert sentence(body) == CORTEX
    assert list(body["response_format"]["json_schema"]["schema"]["properties"]) == ["program"]


def test_composed_with_a_server_that_answers_truly_a_perfect_segmenter_gives_every_target(server, tmp_path):
    """The law of composition: the target is the program's value, whoever read the sentence."""
    structures = [STRUCTURES[key] for key in ("kidney", "kidney_tumour", "kidney_cyst")]
    programs = dict.fromkeys(program for _, program in compositions(structures, lateral=True))
    meaning = {f"sentence {number}": program for number, program in enumerate(programs)}
    server.default = lambda body: says(str(meaning[sentence(body)]))
    labels = kidneys()[1]
    model = Perfect(labels, LEAVES)
    composed = compose(model, read=reader(server, tmp_path))
    answer = composed.segment(labels / 3.0, list(meaning), midline=14.5)
    targets = [evaluate(item, labels, structures=LEAVES, midline=14.5) for item in meaning.values()]
    assert [text for text, mask, target in zip(meaning, answer.probabilities, targets, strict=True)
            if (mask != target).any()] == []  # fmt: skip
    assert len(meaning) > 40 and sum(target.any() for target in targets) > 20
    assert composed.tally.parsed_share == 1 and len(model.asked) == 1


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (completion("Sure! The right kidney."), "expected JSON"),
        (completion('{"text": "organ(kidney)"}'), "expected JSON"),
        (completion('{"program": "minus(organ(kid', finish="length"), "got one cut"),
        (says("the right kidney"), "expected a program"),
        (says("organ(thyroid)"), "thyroid"),
        (says("organ(liver)"), "those asked about, got liver"),
        (says(""), "got none"),
    ],
)
def test_an_answer_that_is_no_program_of_known_structures_is_not_read_and_counted(server, tmp_path, answer, reason):
    server.script = [answer]
    labels = kidneys()[1]
    model = Perfect(labels, LEAVES)
    composed = compose(model, read=reader(server, tmp_path, keys=("kidney", "kidney_tumour", "kidney_cyst")))
    composed.segment(labels / 3.0, [CORTEX], midline=14.5)
    assert model.asked == [[CORTEX]]  # as it stands
    assert (composed.tally.composed, composed.tally.fallbacks) == (0, 1) and reason in composed.tally.reasons[CORTEX]


def test_a_failure_that_passes_is_waited_out(server, tmp_path):
    server.script = [(500, {}, {"error": {"message": "oops"}}), says(MEANT)]
    assert reader(server, tmp_path)(CORTEX) == parse(MEANT) and len(server.asked) == 2


def test_a_server_that_is_down_stops_the_run_and_is_not_counted_as_unread(server, tmp_path):
    server.default = lambda body: (503, {}, {"error": {"message": "busy"}})
    labels = kidneys()[1]
    composed = compose(Perfect(labels, LEAVES), read=reader(server, tmp_path, retries=1))
    with pytest.raises(BackendError, match="503"):
        composed.segment(labels / 3.0, [CORTEX])
    assert composed.tally.fallbacks == 0


def test_an_answer_is_paid_once_also_one_that_is_no_program(server, tmp_path):
    server.script = [says(MEANT), says("no idea")]
    first = reader(server, tmp_path)
    for read in (first, first, reader(server, tmp_path)):
        assert read(CORTEX) == parse(MEANT)
        with pytest.raises(PromptError):
            read("the other side")
    assert len(server.asked) == 2


def test_the_budget_is_not_passed(server, tmp_path):
    server.default = lambda body: says(MEANT)
    read = reader(server, tmp_path, budget=Budget(answers=1))
    read(CORTEX)
    with pytest.raises(BudgetError, match="Raise it"):
        read("the other side")
    assert len(server.asked) == 1


def test_the_sentences_of_one_picture_are_asked_about_together(server, tmp_path):
    def slowly(body: dict) -> dict:
        time.sleep(0.1)
        return says(MEANT)

    server.default = slowly
    labels = kidneys()[1]
    composed = compose(Perfect(labels, LEAVES), read=reader(server, tmp_path, at_once=3))
    composed.segment(labels / 3.0, [f"sentence {number}" for number in range(6)])
    assert len(server.asked) == 6 and 2 <= server.most_at_once <= 3


def test_an_empty_prompt_is_refused_before_anything_is_asked(server, tmp_path):
    labels = kidneys()[1]
    with pytest.raises(PromptError, match="expected a sentence"):
        compose(Perfect(labels, LEAVES), read=reader(server, tmp_path)).segment(labels / 3.0, [CORTEX, " "])
    assert server.asked == []


def test_the_key_is_in_no_kept_answer_log_or_error(server, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    caplog.set_level(logging.DEBUG)
    server.script = [says(MEANT), (401, {}, {"error": {"message": f"Incorrect API key provided: {KEY}"}})]
    read = reader(server, tmp_path)
    read(CORTEX)
    with pytest.raises(BackendError, match="401") as caught:
        read("the other side")
    (kept,) = tmp_path.rglob("*.json")
    assert [headers["authorization"] for headers in server.headers] == [f"Bearer {KEY}"] * 2
    shown = [str(caught.value), repr(caught.value.__cause__), caplog.text, kept.read_text(encoding="utf-8")]
    assert CORTEX in shown[-1] and not [text for text in shown if KEY in text]
