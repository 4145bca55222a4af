"""Asking many: each question is paid once, also across kills; few at a time; patiently; never beyond the budget."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from loopback_server import KEY, texts

from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import atom
from semantiseg.llm.asking import AnswerCache, Asker, Budget
from semantiseg.llm.backends import KEY_VARIABLE, BackendError, BudgetError, GrammarBackend, ServerBackend
from semantiseg.llm.request import Request, read_answer

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = [Request(str(atom(key)), "[]", "CT", "seen", 1) for key in sorted(STRUCTURES)[:8]]
BUSY = (503, {}, {"error": {"message": "busy"}})


def asker(server, folder: Path, **options) -> Asker:
    backend = ServerBackend(base_url=server.url, model="tiny", timeout_s=5)
    return Asker(backend, AnswerCache(folder), **{"sleep": lambda seconds: None, **options})


def echo(body: dict) -> dict:
    """The target's name as the only text."""
    return texts(body["messages"][1]["content"].split("Target: ")[1].split(".")[0])


def test_replies_come_in_the_order_of_the_requests_and_equal_ones_are_asked_once(server, tmp_path):
    server.default = echo
    replies = asker(server, tmp_path).ask_all([*REQUESTS, *REQUESTS])
    said = [read_answer(reply.text)[0] for reply in replies]
    assert said == [STRUCTURES[key].names[0] for key in sorted(STRUCTURES)[:8]] * 2
    assert len(server.asked) == len(REQUESTS)


def test_a_second_run_pays_nothing_and_answers_the_same(server, tmp_path):
    server.default = echo
    first = asker(server, tmp_path).ask_all(REQUESTS)
    server.asked.clear()
    assert asker(server, tmp_path).ask_all(REQUESTS) == first
    assert server.asked == []


def test_another_model_or_another_attempt_is_another_question(server, tmp_path):
    cache = AnswerCache(tmp_path)
    one, other = (ServerBackend(base_url=server.url, model=model).identity for model in ("a", "b"))
    again = dataclasses.replace(REQUESTS[0], attempt=1)
    keys = {cache.key(one, REQUESTS[0]), cache.key(other, REQUESTS[0]), cache.key(one, again)}
    assert len(keys) == 3


def test_only_so_many_are_on_their_way_at_once(server, tmp_path):
    def slowly(body: dict) -> dict:
        time.sleep(0.05)
        return echo(body)

    server.default = slowly
    asker(server, tmp_path, at_once=3).ask_all(REQUESTS)
    assert 2 <= server.most_at_once <= 3


def test_transient_failures_are_waited_out_twice_as_long_each_time(server, tmp_path):
    server.script = [BUSY, "cut", (429, {"retry-after": "9"}, {"error": {"message": "later"}}), texts("liver")]
    pauses: list[float] = []
    replies = asker(server, tmp_path, pause_s=0.5, sleep=pauses.append).ask_all(REQUESTS[:1])
    assert read_answer(replies[0].text) == ["liver"]
    assert pauses == [0.5, 1.0, 9.0]


def test_a_server_that_stays_down_is_given_up_and_what_was_answered_is_kept(server, tmp_path):
    server.script = [texts("one"), *[BUSY] * 3]
    with pytest.raises(BackendError, match="Tried 3 times.*run again"):
        asker(server, tmp_path, at_once=1, retries=2).ask_all(REQUESTS)
    assert AnswerCache(tmp_path).spent() == (1, 50)
    assert len(server.asked) == 4


def test_a_refusal_stops_everything_at_once(server, tmp_path):
    server.default = lambda body: (401, {}, {"error": {"message": "who are you"}})
    with pytest.raises(BackendError, match="401"):
        asker(server, tmp_path, at_once=2).ask_all(REQUESTS)
    assert len(server.asked) <= 4


@pytest.mark.parametrize("limit", [Budget(answers=3), Budget(tokens=3200)])
def test_the_budget_is_never_passed_and_counts_earlier_runs(server, tmp_path, limit):
    server.default = echo
    with pytest.raises(BudgetError, match="Raise it"):
        asker(server, tmp_path, at_once=4, budget=limit).ask_all(REQUESTS)
    answers, tokens = AnswerCache(tmp_path).spent()
    assert answers == len(server.asked) and 1 <= answers < len(REQUESTS)
    assert limit.answers is None or answers <= limit.answers
    assert limit.tokens is None or tokens <= limit.tokens
    fresh = Budget(answers=limit.answers, tokens=tokens if limit.tokens else None)
    with pytest.raises(BudgetError):
        asker(server, tmp_path, at_once=1, budget=fresh).ask_all(REQUESTS)
    assert len(server.asked) == answers


def test_what_failed_is_not_counted_as_paid(server, tmp_path):
    server.script = [(400, {}, {"error": {"message": "no"}})]
    budget = Budget(answers=1)
    one = asker(server, tmp_path, budget=budget)
    with pytest.raises(BackendError):
        one.ask_all(REQUESTS[:1])
    assert len(one.ask_all(REQUESTS[:1])) == 1


def test_the_cache_holds_question_and_answer_and_no_key(server, tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    asker(server, tmp_path).ask_all(REQUESTS[:1])
    (path,) = tmp_path.rglob("*.json")
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["request"]["program"] == REQUESTS[0].program and record["identity"]["model"] == "tiny"
    assert KEY not in path.read_text(encoding="utf-8")


def test_a_damaged_file_is_named(server, tmp_path):
    asker(server, tmp_path).ask_all(REQUESTS[:1])
    (path,) = tmp_path.rglob("*.json")
    path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    with pytest.raises(BackendError, match="Delete it"):
        asker(server, tmp_path).ask_all(REQUESTS[:1])


def test_after_a_kill_nothing_is_paid_twice(server, tmp_path):
    """A run is killed while its fourth question is on its way; the next run asks the fourth and the rest."""
    server.default = lambda body: 10 if len(server.asked) == 4 else echo(body)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_asking as t\n"
        "from semantiseg.llm.asking import Asker; from semantiseg.llm.asking import AnswerCache\n"
        "from semantiseg.llm.backends import ServerBackend\n"
        "Asker(ServerBackend(base_url=sys.argv[1], model='tiny'), AnswerCache(Path(sys.argv[2])), at_once=1)"
        ".ask_all(t.REQUESTS)\n"
    )
    places = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    run = subprocess.Popen(
        [sys.executable, "-c", code, server.url, str(tmp_path), str(Path(__file__).parent)],
        env=os.environ | {"PYTHONPATH": places},
    )
    deadline = time.monotonic() + 60
    while len(server.asked) < 4 and time.monotonic() < deadline and run.poll() is None:
        time.sleep(0.02)
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert len(server.asked) == 4
    asker(server, tmp_path, at_once=1).ask_all(REQUESTS)
    targets = [body["messages"][1]["content"] for body in server.asked]
    assert len(targets) == len(REQUESTS) + 1 and len(set(targets)) == len(REQUESTS)
    assert targets[3] == targets[4]


def test_the_grammar_answers_alike_every_time_and_needs_no_budget(tmp_path):
    replies = [
        Asker(GrammarBackend(seed=1), AnswerCache(tmp_path / name), budget=Budget(answers=0)).ask_all(REQUESTS)
        for name in ("one", "two")
    ]
    assert replies[0] == replies[1]
    other = Asker(GrammarBackend(seed=2), AnswerCache(tmp_path / "one")).ask_all(REQUESTS)
    assert other != replies[0]
