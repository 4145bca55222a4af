"""A language-model server that lies, drips, floods, redirects or repeats the key."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
import time
import traceback
import tracemalloc

import pytest
from faults.registry import Fault, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback_server import completion, serve, texts

from semantiseg.llm.asking import AnswerCache, Asker
from semantiseg.llm.backends import KEY_VARIABLE, BackendError, Reply, ServerBackend, TransientError
from semantiseg.llm.request import Request
from semantiseg.secret import CUT

REQUEST = Request("organ(liver)", "[]", "CT", "seen", 2)
KEY = "sk-pR0j-7Qx9Zt3Lm5Vb8"


@pytest.fixture
def server():
    with serve() as running:
        yield running


@pytest.fixture
def backend(server, monkeypatch) -> ServerBackend:
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    return ServerBackend(base_url=server.url, model="tiny", timeout_s=1.5)


def drip(head: bytes, rest: bytes):
    def write(handler) -> None:
        handler.wfile.write(head)
        for byte in rest * 1000:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.05)

    return write


def flood(head: bytes, piece: bytes):
    def write(handler) -> None:
        handler.wfile.write(head)
        for _ in range(100_000):
            handler.wfile.write(piece)

    return write


JSON = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
LONG = JSON + b"content-length: 3000000000\r\n\r\n"
CHUNKED = JSON + b"transfer-encoding: chunked\r\n\r\n"
AGAIN = "the whole answer has one deadline; the question is asked again, then a sentence"


@tried(
    Fault("A server sends its head a byte at a time for ever", AGAIN, "ask another server", drip(b"", b"HTTP/1.1 ")),
    Fault("A server sends its body a byte at a time for ever", AGAIN, "ask another server", drip(LONG, b" ")),
    Fault("A server sends chunks of a byte for ever", AGAIN, "ask another server", drip(CHUNKED, b"1\r\n \r\n")),
)
def test_an_answer_that_drips_is_given_up_at_the_deadline(backend, server, fault):
    server.script = [(200, {}, fault.inject)]
    began = time.monotonic()
    with pytest.raises(TransientError, match="within 1.5 s"):
        backend.answer(REQUEST)
    assert time.monotonic() - began < 4


@tried(
    *(
        Fault(name, "it is read up to a bound of 16 MiB and refused", "correct the server's address", inject)
        for name, inject in {
            "A server sends 3 GB": flood(LONG, b" " * (1 << 16)),
            "A server sends 6 GB in chunks": flood(CHUNKED, b"10000\r\n" + b" " * (1 << 16) + b"\r\n"),
            "A server announces a chunk of 8 exabytes": flood(CHUNKED + b"7fffffffffffffff\r\n", b" " * (1 << 16)),
        }.items()
    )
)
def test_an_answer_that_floods_is_refused_in_little_memory(server, fault):
    server.script = [(200, {}, fault.inject)]
    asked = ServerBackend(base_url=server.url, model="tiny", timeout_s=30)
    tracemalloc.start()
    with pytest.raises(BackendError, match="at most 16777216 bytes"):
        asked.answer(REQUEST)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 << 20


def test_a_bound_can_be_raised(server):
    server.script = [completion("x" * 5_000)] * 2
    with pytest.raises(BackendError, match="at most 4000 bytes"):
        ServerBackend(base_url=server.url, model="tiny", largest_answer=4_000).answer(REQUEST)
    assert len(ServerBackend(base_url=server.url, model="tiny", largest_answer=9_000).answer(REQUEST).text) == 5_000


def _choice(**changes) -> dict:
    made = completion("x")
    made["choices"][0] |= changes
    return made


@tried(
    *(
        Fault(f"A server answers {name}", "a sentence says where it is no completion", "correct the address", body)
        for name, body in {
            "200,000 brackets": "[" * 200_000,
            "a choice in 200,000 brackets": '{"choices": ' + "[" * 200_000,
            "with `message: null`": _choice(message=None),
            "with a number for its text": _choice(message={"content": 7}),
            "with a lone surrogate": '{"choices": [{"message": {"content": "\\ud800"}}]}',
            "with its tokens as text": completion("x") | {"usage": {"total_tokens": "50"}},
            "with a negative count of tokens": completion("x") | {"usage": {"total_tokens": -9}},
            "with tokens that are no number": completion("x") | {"usage": {"total_tokens": float("nan")}},
            "with choices that are no list": {"choices": {"0": {}}},
            "null": "null",
            "nothing": "",
            "bytes that are no UTF-8": b'{"choices": "\xff\xfe"}',
            "a page of HTML": "<html>hello</html>",
        }.items()
    )
)
def test_an_answer_that_is_no_completion_is_refused_with_its_place(backend, server, fault):
    server.script = [fault.inject]
    with pytest.raises(BackendError, match="expected a chat completion, got at") as caught:
        backend.answer(REQUEST)
    assert len(str(caught.value)) < 300


@tried(
    *(
        Fault(f"A server says `retry-after: {value}`", "the pause is the project's own", "nothing", value)
        for value in ("nan", "inf", "-inf", "1e999", "soon", "")
    )
)
def test_a_pause_that_is_no_number_of_seconds_is_none(backend, server, fault):
    server.script = [(429, {"retry-after": fault.inject}, {"error": {"message": "slow down"}})]
    with pytest.raises(TransientError) as caught:
        backend.answer(REQUEST)
    assert caught.value.wait_s is None


@tried(
    *(
        Fault(
            f"A server redirects a question to another host (status {status})",
            "the other host is not asked and gets no key; a sentence names it", "name it, if you trust it",
            status,
        )
        for status in (301, 302, 303, 307, 308)
    )
)  # fmt: skip
def test_a_redirect_is_not_followed(backend, server, fault):
    with serve() as other:
        server.script = [(fault.inject, {"location": f"{other.url}/chat/completions"}, "")]
        with pytest.raises(BackendError, match="redirect .* to .*127.0.0.1.*name it as the server's"):
            backend.answer(REQUEST)
        assert other.asked == []


@tried(
    Fault("A server answers in no HTTP", "a sentence says so", "correct the server's address", b"SSH-2.0-x\r\n\r\n"),
    Fault("A server sends a header of a megabyte", "a sentence says so", "correct the server's address",
          b"HTTP/1.1 200 OK\r\na: " + b"x" * (1 << 20) + b"\r\n\r\n"),
    Fault("A server sends 100,000 headers", "a sentence says so", "correct the server's address",
          b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 100_000 + b"\r\n"),
    Fault("A server hangs up in the middle of its answer", "the question is asked again", "nothing",
          JSON + b"content-length: 900\r\n\r\n{"),
    Fault("A server hangs up in the middle of a chunk", "the question is asked again", "nothing",
          CHUNKED + b"900\r\n{"),
)  # fmt: skip
def test_what_is_no_answer_of_http_is_a_typed_error(backend, server, fault):
    server.script = [(200, {}, lambda handler: handler.wfile.write(fault.inject))]
    with pytest.raises(BackendError, match="server: expected an? (answer|connection)"):
        backend.answer(REQUEST)


ECHOES = {
    "as it is": KEY,
    "reversed": KEY[::-1],
    "in upper case": KEY.upper(),
    "in base64": base64.b64encode(KEY.encode()).decode(),
    "in base64 of a whole header": base64.b64encode(f"Authorization: Bearer {KEY}".encode()).decode(),
    "reversed, in base64": base64.b64encode(KEY[::-1].encode()).decode(),
    "in base32": base64.b32encode(KEY.encode()).decode(),
    "in hexadecimal": KEY.encode().hex(),
    "in per cent escapes": "".join(f"%{ord(sign):02x}" for sign in KEY),
    "with blanks between its letters": " ".join(KEY),
    "over two lines": f"{KEY[:10]}\n{KEY[10:]}",
    "cut at its end": KEY[:-4],
    "cut at its beginning": KEY[4:],
    "cut to its middle": KEY[8 : 8 + CUT],
}


def _everything(folder) -> bytes:
    return b"".join(path.name.encode() + path.read_bytes() for path in folder.rglob("*") if path.is_file())


@tried(
    *(
        Fault(
            f"A server repeats the key {how} in an answer of status 200", "it is refused, nothing of it is kept",
            "withdraw the key", echo,
        )
        for how, echo in ECHOES.items()
    )
)  # fmt: skip
def test_no_byte_of_a_key_that_is_answered_reaches_disk_log_or_traceback(backend, server, tmp_path, caplog, fault):
    caplog.set_level(logging.DEBUG)
    cache = AnswerCache(tmp_path / "answers")
    for answer in (texts(f"segment {fault.inject} now"), completion(fault.inject)):
        server.script = [answer]
        with pytest.raises(BackendError, match="repeats a part of the key") as caught:
            Asker(backend, cache).ask_all([REQUEST])
        said = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(backend) + str(vars(backend))
        assert not backend._key.shows_in(said)
    assert _everything(tmp_path) == b""


@tried(
    *(
        Fault(
            f"A server repeats the key {how} in a refusal", "its words are withheld, its status is said",
            "correct the key; withdraw it if others saw it", echo,
        )
        for how, echo in ECHOES.items()
    )
)  # fmt: skip
def test_no_byte_of_a_key_stands_in_the_message_of_a_refusal(backend, server, fault):
    bodies = ({"error": {"message": f"Incorrect key {fault.inject}."}}, f"no: {fault.inject}")
    answers = [(status, {}, body) for status in (400, 401, 500) for body in bodies]
    answers += [(307, {"location": f"http://127.0.0.1/{fault.inject.replace(chr(10), '')}"}, "")]
    for answer in answers:
        server.script = [answer]
        with pytest.raises(BackendError, match=f"status {answer[0]}") as caught:
            backend.answer(REQUEST)
        assert "***" in str(caught.value) and not backend._key.shows_in(str(caught.value))


def test_what_an_honest_server_says_is_kept(backend, server):
    server.script = [texts("segment the liver with its tumour", "outline the right kidney without its cyst")]
    assert "right kidney" in backend.answer(REQUEST).text


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["choices", "message", "content", "usage", "total_tokens", "error"]), inner),
    max_leaves=12,
)


@given(VALUES | st.binary(max_size=60), st.sampled_from([200, 201, 204, 304, 400, 418, 429, 500, 599]))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],  # the first text takes seconds
)
def test_any_answer_is_a_reply_or_a_typed_error(server, status_and_body, status):
    body = status_and_body if isinstance(status_and_body, bytes) else json.dumps(status_and_body)
    server.script = [(status, {}, body)]
    try:
        reply = ServerBackend(base_url=server.url, model="tiny", timeout_s=5).answer(REQUEST)
    except BackendError:
        return
    assert isinstance(reply, Reply) and reply.tokens >= 0


@given(st.binary(max_size=200))
@settings(max_examples=100, deadline=None)
def test_any_bytes_on_the_line_are_a_typed_error(content):
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            with listening.accept()[0] as line:
                line.recv(1 << 16)
                line.sendall(content)
                line.shutdown(socket.SHUT_WR)
                line.recv(1 << 16)

        threading.Thread(target=answer, daemon=True).start()
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        with pytest.raises(BackendError):
            ServerBackend(base_url=address, model="tiny", timeout_s=5).answer(REQUEST)
