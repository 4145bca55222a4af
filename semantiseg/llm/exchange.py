"""One question to a server and its answer, however slowly or much it sends: bounded in time and size from the first
byte of the head on. Redirects are not followed, nothing is logged."""

from __future__ import annotations

import http.client
import io
import socket
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from functools import partial
from typing import Any

LARGEST_ANSWER = 16 << 20
"""Bytes of an answer, its head included; a chat completion has some thousand."""

_PIECE = 1 << 16


class TooLarge(Exception):
    """The answer has more bytes than allowed."""


@dataclass(frozen=True)
class HttpAnswer:
    """What came back.

    Attributes:
        status: of HTTP.
        headers: names in lower case.
        body: as sent, all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


def post(
    url: str, body: bytes, *, headers: dict[str, str], timeout_s: float, largest: int = LARGEST_ANSWER
) -> HttpAnswer:
    """`POST` a body of JSON; the environment's proxies are used.

    Args:
        url: http or https.
        body: JSON.
        headers: sent as they are.
        timeout_s: seconds for the whole exchange.
        largest: bytes of the answer at most.

    Raises:
        TimeoutError: there was no whole answer in time, even if bytes kept coming.
        TooLarge: the answer has more than `largest` bytes.
        OSError, http.client.HTTPException: no connection, or no answer of HTTP.
    """
    bound = _Bound(time.monotonic() + timeout_s, largest)
    opener = urllib.request.build_opener(_Http(bound), _Https(bound), _AsItIs)
    asked = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "semantiseg", **headers}
    request = urllib.request.Request(url, data=body, headers=asked, method="POST")
    try:
        with opener.open(request, timeout=timeout_s) as response:
            # In pieces: asked for all, the client would allocate whatever length the server names.
            pieces = list(iter(lambda: response.read(_PIECE), b""))
            if response.length:
                raise http.client.IncompleteRead(b"", response.length)
            named = {name.lower(): value for name, value in response.headers.items()}
            return HttpAnswer(response.status, named, b"".join(pieces))
    except urllib.error.URLError as error:
        raise error.reason if isinstance(error.reason, OSError) else OSError("no connection") from None


@dataclass
class _Bound:
    """When an exchange must have ended, and how many bytes may still come."""

    deadline: float
    left: int


class _BoundedSocket(io.RawIOBase):
    """The reading side of a socket; its own timeout would begin anew with every byte."""

    def __init__(self, sock: socket.socket, bound: _Bound) -> None:
        self._socket, self._bound = sock, bound
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left_s = self._bound.deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the answer was not complete in time")
        self._socket.settimeout(left_s)
        count = self._raw.readinto(buffer) or 0
        self._bound.left -= count
        if self._bound.left < 0:
            raise TooLarge
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, bound: _Bound, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedSocket(sock, bound))


def _connection(kind: type[http.client.HTTPConnection], bound: _Bound, *arguments: Any, **named: Any) -> Any:
    made: Any = kind(*arguments, **named)
    made.response_class = partial(_Response, bound=bound)  # annotated as a class; called as a function
    return made


class _Http(urllib.request.HTTPHandler):
    def __init__(self, bound: _Bound) -> None:
        super().__init__()
        self._bound = bound

    def http_open(self, request: urllib.request.Request) -> Any:
        return self.do_open(partial(_connection, http.client.HTTPConnection, self._bound), request)


class _Https(urllib.request.HTTPSHandler):
    def __init__(self, bound: _Bound) -> None:
        super().__init__()
        self._bound = bound

    def https_open(self, request: urllib.request.Request) -> Any:
        made = partial(_connection, http.client.HTTPSConnection, self._bound)
        return self.do_open(made, request)


class _AsItIs(urllib.request.HTTPErrorProcessor):
    """Every status is an answer: redirects are not followed, refusals not raised."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response
