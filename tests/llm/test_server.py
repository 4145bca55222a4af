"""The server back end over real HTTP: what it sends, what it makes of every failure, and that the key never shows."""

from __future__ import annotations

import json
import logging
import pickle

import pytest
from loopback_server import KEY, completion, texts

from semantiseg.errors import ParameterError
from semantiseg.llm.backends import KEY_VARIABLE, BackendError, ServerBackend, TransientError
from semantiseg.llm.request import Request

REQUEST = Request("organ(liver)", "[]", "CT", "seen", 2)


@pytest.fixture
def backend(server, monkeypatch) -> ServerBackend:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return ServerBackend(base_url=server.url, model="tiny", timeout_s=0.5)


def test_a_question_is_one_chat_completion_with_model_schema_and_key(backend, server):
    server.script = [texts("liver", "the liver")]
    reply = backend.answer(REQUEST)
    assert json.loads(reply.text) == {"texts": ["liver", "the liver"]} and reply.tokens == 50 and reply.finished
    (body,) = server.asked
    assert body["model"] == "tiny" and body["response_format"]["type"] == "json_schema"
    assert "liver" in body["messages"][1]["content"] and "2 sentences" in body["messages"][1]["content"]
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"


def test_servers_that_know_no_schema_get_none(server):
    ServerBackend(base_url=server.url, model="tiny", structured="none").answer(REQUEST)
    assert "response_format" not in server.asked[0]


def test_a_later_attempt_tells_what_was_refused_and_draws_with_another_seed(backend, server):
    backend.answer(REQUEST)
    backend.answer(Request("organ(liver)", "[]", "CT", "seen", 2, attempt=1, refused=(("spleen", "structure: no"),)))
    first, second = server.asked
    assert first["seed"] != second["seed"]
    assert "spleen" in second["messages"][1]["content"] and "structure: no" in second["messages"][1]["content"]


def test_an_answer_cut_at_its_longest_length_says_so(backend, server):
    server.script = [completion('{"texts": ["the li', finish="length")]
    assert not backend.answer(REQUEST).finished


@pytest.mark.parametrize(
    ("failure", "wait_s"),
    [
        ((429, {"retry-after": "7"}, {"error": {"message": "slow down"}}), 7.0),
        ((429, {}, {"error": {"message": "slow down"}}), None),
        ((500, {}, {"error": {"message": "oops"}}), None),
        ((503, {"retry-after": "soon"}, "busy"), None),
        ("cut", None),
        (1.0, None),
    ],
)
def test_what_may_pass_is_transient_and_the_servers_own_pause_is_kept(backend, server, failure, wait_s):
    server.script = [failure]
    with pytest.raises(TransientError) as caught:
        backend.answer(REQUEST)
    assert caught.value.wait_s == wait_s
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_will_not_pass_is_no_transient_error_and_has_a_remedy(backend, server, status):
    server.script = [(status, {}, {"error": {"message": "no"}})]
    with pytest.raises(BackendError, match=rf"status {status}: .*no.*[.]") as caught:
        backend.answer(REQUEST)
    assert not isinstance(caught.value, TransientError)


def test_a_used_up_quota_is_not_asked_again(backend, server):
    server.script = [(429, {}, {"error": {"message": "quota", "code": "insufficient_quota"}})]
    with pytest.raises(BackendError) as caught:
        backend.answer(REQUEST)
    assert not isinstance(caught.value, TransientError)


@pytest.mark.parametrize("body", ["<html>hello</html>", {"object": "list"}, {"choices": []}])
def test_a_page_that_is_no_completion_is_refused(backend, server, body):
    server.script = [body]
    with pytest.raises(BackendError, match="expected a chat completion"):
        backend.answer(REQUEST)


def test_the_key_shows_in_no_message_log_representation_or_identity(backend, server, caplog):
    caplog.set_level(logging.DEBUG)
    echo = {"error": {"message": f"Incorrect API key provided: {KEY}. Header was Bearer {KEY}"}}
    server.script = [texts("liver"), (401, {}, echo), "cut", (500, {}, echo)]
    said = [repr(backend), str(vars(backend)), json.dumps(backend.identity)]
    for _ in range(4):
        try:
            said.append(str(backend.answer(REQUEST)))
        except BackendError as error:
            said += [str(error), repr(error), repr(error.__cause__), repr(pickle.dumps(error))]
    assert len(server.asked) == 4 and "***" in "".join(said)
    assert KEY not in "".join(said) and KEY not in caplog.text


def test_a_line_end_after_the_key_is_dropped_and_one_inside_it_refused_without_showing_it(server, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, f" {KEY}\r\n")
    ServerBackend(base_url=server.url, model="tiny").answer(REQUEST)
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    monkeypatch.setenv(KEY_VARIABLE, f"{KEY[:9]}\n{KEY[9:]}")
    with pytest.raises(ParameterError, match="one word") as caught:
        ServerBackend(base_url=server.url, model="tiny")
    assert KEY[:9] not in str(caught.value) and KEY[9:] not in str(caught.value)


def test_an_address_holds_no_credentials():
    for address in (f"http://user:{KEY}@host/v1", f"http://host/v1?key={KEY}"):
        with pytest.raises(ParameterError, match="without credentials") as caught:
            ServerBackend(base_url=address, model="tiny")
        assert KEY not in str(caught.value)
    with pytest.raises(ParameterError, match="expected http"):
        ServerBackend(base_url="localhost:8000", model="tiny")


def test_no_answer_costs_more_than_its_reservation(backend, server):
    reply = backend.answer(REQUEST)
    assert reply.tokens <= backend.most_tokens(REQUEST)
