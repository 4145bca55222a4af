"""A real HTTP server on loopback that can be told to misbehave, and the true layouts that it serves."""

from __future__ import annotations

import io
import re
import tarfile
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from semantiseg.data.official.transfer import Line, Patience


class Site:
    """What is served, how it misbehaves, and what was asked.

    Attributes:
        files: path -> content, or a function of the request's headers to (status, headers, content).
        faults: path -> faults, one used up by every request that it meets: ("status", code, headers), ("cut", bytes
            sent), ("wrong", content), ("drip", seconds between bytes), ("silence", seconds), ("shift", bytes).
        ranges: whether Range is honoured.
        asked: (path, Range header or "") of every request, in order.
    """

    def __init__(self) -> None:
        self.files: dict = {}
        self.faults: dict[str, list[tuple]] = defaultdict(list)
        self.ranges, self.tags = True, True
        self.asked: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.address = ""

    def requests(self, path: str) -> list[str]:
        return [wanted for name, wanted in self.asked if name == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.do_GET()

    def do_GET(self):
        site, path = self.site, self.path
        wanted = self.headers.get("Range", "")
        site.asked.append((path, wanted))
        site.headers.append(dict(self.headers))
        fault = site.faults[path].pop(0) if site.faults[path] else ("none",)
        if fault[0] == "status":
            return self.answer(fault[1], fault[2], b"")
        if path not in site.files:
            return self.answer(404, {}, b"no such file")
        content = site.files[path]
        if callable(content):
            return self.answer(*content(self))
        if fault[0] == "wrong":
            content = fault[1]
        tag = f'"{len(content)}-{hash(content)}"'
        headers = {"ETag": tag} if site.tags else {}
        matched = re.fullmatch(r"bytes=(\d+)-(\d*)", wanted)
        same = self.headers.get("If-Range", tag) == tag
        if not matched or not site.ranges or not same:
            return self.send(200, headers, content, fault)
        start, stop = int(matched[1]), min(int(matched[2] or len(content)) + 1, len(content))
        if start >= len(content):
            return self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
        if fault[0] == "shift":
            start += fault[1]
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return self.send(206, headers, content[start:stop], fault)

    def answer(self, status, headers, content):
        self.send(status, headers, content, ("none",))

    def send(self, status, headers, content, fault):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault[0] == "cut":
            self.wfile.write(content[: fault[1]])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
        elif fault[0] in ("drip", "silence"):
            try:
                for byte in range(len(content)):
                    self.wfile.write(content[byte : byte + 1])
                    self.wfile.flush()
                    time.sleep(fault[1])
            except OSError:
                self.close_connection = True
        else:
            self.wfile.write(content)


@pytest.fixture
def site():
    """A server on loopback, alive for one test."""
    shown = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("SiteHandler", (Handler,), {"site": shown}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    shown.address = f"http://127.0.0.1:{server.server_port}"
    yield shown
    server.shutdown()
    server.server_close()


@pytest.fixture
def waits() -> list[float]:
    """Seconds that the code under test wanted to wait; it does not wait really."""
    return []


QUICK = Patience(failures=4, progress_bytes=1000, backoff_s=0.5, longest_wait_s=60, silence_s=0.4, slowest=50_000,
                 slow_for_s=0.2)  # fmt: skip
"""Patience in tests: the same rules, sooner."""


@pytest.fixture
def line(waits) -> Line:
    """A line with little patience that does not really wait."""
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        yield Line(client, QUICK, sleep=waits.append)


def _tar_of(contents: dict[str, bytes], *, form: int = tarfile.PAX_FORMAT) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as archive:
        for name, content in contents.items():
            item = tarfile.TarInfo(name)
            item.size = len(content)
            archive.addfile(item, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def tar_of():
    """Makes an uncompressed tar of names and contents."""
    return _tar_of
