"""How servers are reached: what is asked of them, how often, and when to give up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

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
