"""How servers are reached: what is asked of them, how often, and when to give up.

Whether the disk has room for what is about to be written.

Copy one file, or one stretch of it, from an HTTP server to disk, whatever the server or the line does meanwhile.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from semantiseg.errors import DataError

RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses that another try may mend; every other error status ends the transfer at once."""


@dataclass(frozen=True)
class Patience:
    """When to try again, and when to stop.

    Attributes:
        failures: failed tries in a row after which the transfer ends; a try that brought `progress_bytes` starts the
            count anew, so that a long file survives any number of cuts.
        progress_bytes: what a try must bring to count as progress.
        backoff_s: wait after the first failure; it doubles up to `longest_wait_s`.
        longest_wait_s: also the most that a server's Retry-After is obeyed; beyond it the transfer ends.
        silence_s: a connection that sends nothing for so long is given up.
        text_s: seconds for a whole answer of text, however the server spreads it; beyond them it is asked again.
        largest_text: bytes of such an answer, unpacked; a listing of KiTS23 has a megabyte.
        slowest: bytes per second, over `slow_for_s` seconds, below which a connection is given up.
    """

    failures: int = 6
    progress_bytes: int = 1 << 20
    backoff_s: float = 1.0
    longest_wait_s: float = 300.0
    silence_s: float = 60.0
    slowest: float = 2048.0
    slow_for_s: float = 60.0
    text_s: float = 300.0
    largest_text: int = 64 << 20


@dataclass(frozen=True)
class Remote:
    """A file on a server, or the bytes `[start, stop)` of it.

    Attributes:
        name: what messages and the ledger call it; never a signed address.
        address: asked before every try: signed addresses expire.
        start, stop: first byte, and one past the last (None: to the end).
        size: bytes expected, None if not known.
        checksum: "md5:..." or "sha256:...", or "" where the publisher gives none.
        remedy: what to do when the server refuses.
        headers: sent along; they may hold a token, so no message shows them.
    """

    name: str
    address: Callable[[], str]
    start: int = 0
    stop: int | None = None
    size: int | None = None
    checksum: str = ""
    remedy: str = "Check the address, or download it by hand."
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Line:
    """How to reach servers: one for all transfers of a run, shared by its threads.

    Attributes:
        client: follows redirects; its timeout is replaced by `patience.silence_s`.
        patience: when to try again, and when to stop.
        sleep: waits; replaced in tests.
        progress: told every count of bytes; a negative count takes back what is fetched again.
    """

    client: httpx.Client
    patience: Patience = Patience()
    sleep: Callable[[float], None] = time.sleep
    progress: Callable[[int], object] = lambda count: None


class TryAgain(Exception):
    """A failure that another try may mend; `wait_s` is what the server asked for."""

    def __init__(self, reason: str, *, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


def insist(name: str, attempt: Callable[[], None], *, arrived: Callable[[], int], line: Line) -> None:
    """Call `attempt` until it succeeds, as long as patience lasts."""
    patience, failures, wait = line.patience, 0, line.patience.backoff_s
    while True:
        before = arrived()
        try:
            return attempt()
        except (TryAgain, httpx.TransportError) as error:
            reason, asked = str(error) or type(error).__name__, getattr(error, "wait_s", None) or 0.0
        if arrived() - before >= patience.progress_bytes:
            failures, wait = 0, patience.backoff_s
        failures += 1
        if failures >= patience.failures or asked > patience.longest_wait_s:
            raise DataError(
                f"{name}: expected to fetch it, got {reason} at the {failures}. try. What arrived is kept: run the "
                "same command again later and it goes on from there."
            )
        line.sleep(max(asked, wait))
        wait = min(2 * wait, patience.longest_wait_s)


def refuse(remote: Remote, response: httpx.Response) -> None:
    """Raise what a status other than success means."""
    status = response.status_code
    if status in RETRIED:
        raise TryAgain(f"status {status}", wait_s=retry_after(response.headers.get("Retry-After", "")))
    if status not in (200, 201, 206):
        raise DataError(f"{remote.name}: expected the file, got status {status}. {remote.remedy}")


def retry_after(value: str) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None where it says nothing readable."""
    if value.strip().isdigit():
        return float(value)
    with suppress(ValueError, TypeError):
        return max(parsedate_to_datetime(value).timestamp() - time.time(), 0.0)
    return None


SPARE = 1 << 30
"""Bytes left free whatever is fetched: a full disk breaks more than a download."""


def require_space(folder: Path, needed: int, *, purpose: str, spare: int = SPARE) -> None:
    """Stop before writing what would fill the disk that `folder` lies on.

    Raises:
        DataError: fewer than `needed` + `spare` bytes are free; says how many and for what.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > 0 and free < needed + spare:
        raise DataError(
            f"{folder}: expected {_gib(needed + spare)} GiB free for {purpose}, got {_gib(free)} GiB. Free some space, "
            "name another folder, or fetch fewer cases (--limit) or collections."
        )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"


def download(remote: Remote, target: Path, *, line: Line) -> None:
    """Bring `remote` to `target`; the file appears under its name only when it is complete and its checksum right.

    What arrived before a cut or a kill lies in `.<name>.partial` and is gone on with, if the server still has the same
    file (its entity tag is kept beside it and sent as If-Range).

    Raises:
        DataError: the server refuses, has not what was promised, or the tries are used up; names `remote` and the
            remedy.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    line.progress(_size(partial))
    for last in (False, True):
        insist(remote.name, lambda: _try(remote, partial, line), arrived=lambda: _size(partial), line=line)
        found = checksum(partial, remote.checksum)
        if found == remote.checksum:
            break
        line.progress(-_size(partial))
        _forget(partial)
        if last:
            raise DataError(
                f"{remote.name}: expected {remote.checksum}, got {found} twice. The server's file is another one, or "
                f"damaged. {remote.remedy}"
            )
    os.replace(partial, target)
    _forget(partial)


def text_of(remote: Remote, *, line: Line, post: object = None) -> str:
    """The text that a server answers with, to a GET or to a JSON body `post`; tried again like a file.

    Raises:
        DataError: as `download`.
    """
    found: list[str] = []

    def ask() -> None:
        method, body = ("GET", None) if post is None else ("POST", post)
        asked: dict[str, Any] = {"json": body, "headers": dict(remote.headers), "timeout": line.patience.silence_s}
        with line.client.stream(method, remote.address(), **asked) as response:
            refuse(remote, response)
            found.append(_text(remote, response, line))

    insist(remote.name, ask, arrived=lambda: 0, line=line)
    return found[-1]


def _text(remote: Remote, response: httpx.Response, line: Line) -> str:
    """The answer's text, given up when it comes too slowly or grows too large."""
    content, until = bytearray(), time.monotonic() + line.patience.text_s
    # Unpacked piece by piece, so that a small answer which unpacks to gigabytes is noticed on the way.
    for block in response.iter_bytes(1 << 16):
        content += block
        if len(content) > line.patience.largest_text:
            raise DataError(
                f"{remote.name}: expected an answer of at most {line.patience.largest_text} bytes, got more. "
                f"{remote.remedy}"
            )
        if time.monotonic() > until:
            raise TryAgain(f"{len(content)} bytes of text in {line.patience.text_s:g} s")
    return content.decode("utf-8", errors="replace")


def size_of(remote: Remote, *, line: Line) -> tuple[int | None, bool]:
    """Bytes of the whole file (None if the server does not say), and whether stretches of it can be had.

    Raises:
        DataError: as `download`.
    """
    found: list[tuple[int | None, bool]] = []

    def ask() -> None:
        headers = {"Accept-Encoding": "identity", "Range": "bytes=0-0", **remote.headers}
        with line.client.stream("GET", remote.address(), headers=headers, timeout=line.patience.silence_s) as response:
            refuse(remote, response)
            total = re.fullmatch(r"bytes 0-0/(\d+)", response.headers.get("Content-Range", ""))
            length = response.headers.get("Content-Length")
            if response.status_code == 206 and total:
                found.append((int(total[1]), True))
            else:
                found.append((int(length) if length is not None and response.status_code == 200 else None, False))

    insist(remote.name, ask, arrived=lambda: 0, line=line)
    return found[-1]


def checksum(path: Path, like: str) -> str:
    """The file's checksum in the notation and by the algorithm of `like` ("" gives "")."""
    if not like:
        return ""
    algorithm = like.partition(":")[0]
    with path.open("rb") as stream:
        return f"{algorithm}:{hashlib.file_digest(stream, algorithm).hexdigest()}"


def _try(remote: Remote, partial: Path, line: Line) -> None:
    """One request; returns when the partial file holds all bytes."""
    have, tag = _size(partial), _tag(partial)
    expected = remote.size if remote.stop is None else remote.stop - remote.start
    if expected is not None and have == expected and have:
        return
    # Without a tag or a checksum nobody would notice that the rest comes from another file.
    if have and not (tag or remote.checksum):
        line.progress(-have)
        have = 0
    # A file is wanted as it lies there, not squeezed for the journey.
    headers = {"Accept-Encoding": "identity", **remote.headers}
    if have or remote.start or remote.stop is not None:
        headers["Range"] = f"bytes={remote.start + have}-{'' if remote.stop is None else remote.stop - 1}"
        if have and tag:
            headers["If-Range"] = tag
    with line.client.stream("GET", remote.address(), headers=headers, timeout=line.patience.silence_s) as response:
        have, expected = _begin(remote, response, partial, have=have, expected=expected, told=line.progress)
        if expected is not None:
            require_space(partial.parent, expected - have, purpose=remote.name)
        _receive(response, partial, have=have, expected=expected, line=line)
    if expected is not None and _size(partial) != expected:
        raise TryAgain(f"{_size(partial)} of {expected} bytes")


def _begin(
    remote: Remote, response: httpx.Response, partial: Path, *, have: int, expected: int | None, told: Callable
) -> tuple[int, int | None]:
    """Judge the answer's head: from which byte of the partial file to write, and how many there will be."""
    status = response.status_code
    if status == 416:
        total = re.fullmatch(r"bytes \*/(\d+)", response.headers.get("Content-Range", ""))
        told(-have)
        _forget(partial)
        if not have:
            size = total[1] if total else "unknown"
            raise DataError(f"{remote.name}: expected more bytes, got a file of {size} bytes. {remote.remedy}")
        raise TryAgain(f"status 416 after {have} bytes, so the server's file is another one")
    refuse(remote, response)
    length = response.headers.get("Content-Length")
    offered: int | None
    if status == 206:
        stated = re.match(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
        if not stated or int(stated[1]) != remote.start + have:
            raise TryAgain(f"the range {response.headers.get('Content-Range')!r}, which was not asked for")
        offered = int(stated[2]) + 1 - remote.start
    elif have and (remote.start or remote.stop is not None):
        told(-have)
        _forget(partial)
        raise TryAgain("another file than before")
    elif remote.start or remote.stop is not None:
        raise DataError(
            f"{remote.name}: expected a server that answers range requests, got the whole file. Fetch the whole "
            "archive: leave out the limit."
        )
    else:
        told(-have)
        have, offered = 0, int(length) if length is not None else None
    if offered is not None and expected is not None and offered != expected:
        _forget(partial)
        raise DataError(f"{remote.name}: expected {expected} bytes, got {offered}. {remote.remedy}")
    tag = response.headers.get("ETag") or ""
    # Weak tags may stand for files that differ in some bytes.
    if tag and not tag.startswith("W/"):
        _tag_path(partial).write_text(tag, encoding="utf-8")
    else:
        _tag_path(partial).unlink(missing_ok=True)
    return have, expected if expected is not None else offered


def _receive(response: httpx.Response, partial: Path, *, have: int, expected: int | None, line: Line) -> None:
    """Append what arrives; give up when it is more than promised or comes too slowly."""
    since, arrived = time.monotonic(), 0
    with partial.open("r+b" if partial.exists() else "wb") as file:
        file.truncate(have)
        file.seek(have)
        # As they come: blocks of a fixed size would be lost with the cut that keeps them from filling up.
        for block in response.iter_raw():
            have += len(block)
            if expected is not None and have > expected:
                raise TryAgain(f"more than {expected} bytes")
            file.write(block)
            line.progress(len(block))
            arrived += len(block)
            seconds = time.monotonic() - since
            if seconds >= line.patience.slow_for_s:
                if arrived < line.patience.slowest * seconds:
                    raise TryAgain(f"{arrived / seconds:.0f} bytes a second")
                since, arrived = time.monotonic(), 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _tag_path(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}-tag")


def _tag(partial: Path) -> str:
    path = _tag_path(partial)
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _tag_path(partial).unlink(missing_ok=True)
