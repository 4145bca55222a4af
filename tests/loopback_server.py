"""A language model server on loopback that answers as scripted: properly, or in one of the ways that real ones fail."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "sk-secret-0123456789"


def completion(content: str, *, finish: str = "stop", tokens: int = 50) -> dict[str, Any]:
    """A chat completion as OpenAI's API documents it."""
    return {
        "id": "c", "object": "chat.completion", "created": 0, "model": "m",
        "choices": [{"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": content}}],
        "usage": {"prompt_tokens": 30, "completion_tokens": tokens - 30, "total_tokens": tokens},
    }  # fmt: skip


def texts(*said: str) -> dict[str, Any]:
    """A completion that keeps to the schema."""
    return completion(json.dumps({"texts": list(said)}))


@dataclass
class Server:
    """What was asked, and how it is answered.

    Attributes:
        script: answers one after the other: a body (status 200), or (status, headers, body), or "cut", or a number of
            seconds to be silent, or a function that writes whatever it likes to the handler; when it runs out,
            `default` answers.
        default: from the request's body to an answer.
        asked: bodies of all requests.
        headers: headers of all requests.
        most_at_once: the most requests that were answered at the same time.
    """

    url: str = ""
    script: list[Any] = field(default_factory=list)
    default: Callable[[dict], Any] = lambda body: texts("liver")
    asked: list[dict] = field(default_factory=list)
    headers: list[dict] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self, body: dict, headers: dict) -> Any:
        with self._lock:
            self.asked.append(body)
            self.headers.append(headers)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            return self.script.pop(0) if self.script else self.default(body)

    def done(self) -> None:
        with self._lock:
            self._now -= 1


def _bytes(content: Any) -> bytes:
    if isinstance(content, bytes):
        return content
    return content.encode() if isinstance(content, str) else json.dumps(content).encode()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            answer = server.next(body, {name.lower(): value for name, value in self.headers.items()})
            try:
                with suppress(ConnectionError):  # the client has gone: killed, or out of patience
                    self._answer(answer)
            finally:
                server.done()

        def _answer(self, answer: Any) -> None:
            if answer == "cut":
                self.close_connection = True
                self.connection.close()
                return
            if isinstance(answer, int | float):
                time.sleep(answer)
                answer = texts("late")
            status, headers, content = answer if isinstance(answer, tuple) else (200, {}, answer)
            data = b"" if callable(content) else _bytes(content)
            if callable(content):
                content(self)
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@contextmanager
def serve() -> Iterator[Server]:
    """A running server."""
    made = Server()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(made))
    http.daemon_threads = True
    made.url = f"http://127.0.0.1:{http.server_address[1]}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield made
    http.shutdown()
    http.server_close()
