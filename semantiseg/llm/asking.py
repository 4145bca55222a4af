"""Answers kept by content: what was asked of whom decides the file's name, so nothing is paid twice.

Asking many requests: kept answers first, a few at a time, again after a transient failure, within the budget.

A back end by name, ready to be asked.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from semantiseg.errors import ParameterError
from semantiseg.llm.backends import KEY_VARIABLE, Backend, BackendError, BudgetError, Reply, TransientError
from semantiseg.llm.request import ModelQuestion


class AnswerCache:
    """One JSON file an answer: `<folder>/<ab>/<abcd...>.json` with who was asked, what, and the reply.

    A file appears under its name only when complete, right after the answer came: a kill loses what was on its way
    and nothing else.

    Args:
        folder: where the files lie; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, identity: dict[str, Any], request: ModelQuestion) -> str:
        """SHA-256 of the asked one's identity and the request."""
        content = json.dumps({"identity": identity, "request": request.facts()}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def get(self, key: str) -> Reply | None:
        """The kept reply, or None.

        Raises:
            BackendError: the file is damaged.
        """
        path = self._path(key)
        return _read(path) if path.exists() else None

    def put(self, key: str, identity: dict[str, Any], request: ModelQuestion, reply: Reply) -> None:
        """Keep a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"identity": identity, "request": request.facts(), "reply": asdict(reply)}
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def spent(self) -> tuple[int, int]:
        """Answers kept and tokens paid for them, by all back ends together."""
        replies = [_read(path) for path in sorted(self.folder.glob("*/*.json"))]
        paid = [reply.tokens for reply in replies if reply.tokens]
        return len(paid), sum(paid)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _read(path: Path) -> Reply:
    try:
        return Reply(**json.loads(path.read_text(encoding="utf-8"))["reply"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{path}: expected a kept answer, got a damaged file ({error}). Delete it.") from None


LONGEST_WAIT_S = 120.0
"""Longest pause before asking again, whatever the server says."""


@dataclass
class Budget:
    """What may be spent in all, earlier runs with the same cache included. Only answers are counted: a failed call is
    not paid.

    Attributes:
        tokens: most tokens, or None for no limit.
        answers: most paid answers, or None for no limit.
    """

    tokens: int | None = None
    answers: int | None = None
    _spent_tokens: int = 0
    _spent_answers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self, answers: int, tokens: int) -> None:
        """Set what was spent before."""
        self._spent_answers, self._spent_tokens = answers, tokens

    def reserve(self, tokens: int) -> None:
        """Put aside the most that a request can cost.

        Raises:
            BudgetError: it might cost more than is left.
        """
        if tokens == 0:
            return
        with self._lock:
            if self.answers is not None and self._spent_answers + 1 > self.answers:
                raise BudgetError(f"budget: expected at most {self.answers} paid answers, and they are used. Raise it.")
            if self.tokens is not None and self._spent_tokens + tokens > self.tokens:
                raise BudgetError(
                    f"budget: expected at most {self.tokens} tokens; {self._spent_tokens} are spent or put aside, "
                    f"and the next request may cost {tokens}. Raise it."
                )
            self._spent_answers += 1
            self._spent_tokens += tokens

    def settle(self, reserved: int, paid: int) -> None:
        """Replace a reservation by what was paid; 0 gives it back."""
        if reserved == 0:
            return
        with self._lock:
            self._spent_tokens += paid - reserved
            self._spent_answers -= paid == 0


Kind = TypeVar("Kind", bound=ModelQuestion)


class Asker(Generic[Kind]):
    """Asks a back end questions of a kind.

    Args:
        backend: who answers.
        cache: where answers are kept.
        budget: what may be spent.
        at_once: requests on their way at a time.
        retries: further tries after a transient failure.
        pause_s: seconds before the first of them; doubled each time, unless the server names its own.
        sleep: waits.
    """

    def __init__(
        self, backend: Backend[Kind], cache: AnswerCache, *, budget: Budget | None = None, at_once: int = 4,
        retries: int = 5, pause_s: float = 1.0, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.backend, self.cache, self.budget = backend, cache, budget or Budget()
        self.at_once, self.retries, self.pause_s, self.sleep = at_once, retries, pause_s, sleep
        self.budget.begin(*cache.spent())
        self._failure: Exception | None = None

    def ask_all(self, requests: Sequence[Kind]) -> list[Reply]:
        """Replies in the order of the requests; equal requests are asked once. Every reply is kept when it comes.

        Raises:
            BudgetError: the budget does not allow the rest.
            BackendError: the back end cannot answer; nothing further is asked.
        """
        keys = [self.cache.key(self.backend.identity, request) for request in requests]
        replies = {key: self.cache.get(key) for key in dict.fromkeys(keys)}
        open_requests = {key: request for key, request in zip(keys, requests, strict=True) if replies[key] is None}
        self._failure = None
        with ThreadPoolExecutor(max_workers=max(self.at_once, 1)) as pool:
            futures = {key: pool.submit(self._ask, key, request) for key, request in open_requests.items()}
        if self._failure is not None:
            raise self._failure
        replies |= {key: future.result() for key, future in futures.items()}
        return [replies[key] for key in keys]  # type: ignore[misc]

    def _ask(self, key: str, request: Kind) -> Reply | None:
        """The reply, or None once anything has failed: the first failure is kept, and nothing is asked after it."""
        if self._failure is not None:
            return None
        try:
            reserved = self.backend.most_tokens(request)
            self.budget.reserve(reserved)
            paid = 0
            try:
                reply = self._patiently(request)
                paid = reply.tokens
            finally:
                self.budget.settle(reserved, paid)
            self.cache.put(key, self.backend.identity, request, reply)
        except Exception as error:
            self._failure = self._failure or error
            return None
        return reply

    def _patiently(self, request: Kind) -> Reply:
        for attempt in range(self.retries + 1):
            try:
                return self.backend.answer(request)
            except TransientError as error:
                if attempt == self.retries or self._failure is not None:
                    raise BackendError(
                        f"{error} Tried {attempt + 1} times. Answers so far are kept: run again to go on."
                    ) from None
                pause = self.pause_s * 2**attempt if error.wait_s is None else error.wait_s
                self.sleep(min(pause, LONGEST_WAIT_S))
        raise BackendError("expected at least one try, got retries below 0.")


Purpose = Literal["writing", "reading"]
_SETTINGS: dict[str, dict[Purpose, dict[str, Any]]] = {
    "server": {"writing": {}, "reading": {"temperature": 0.0}},
    "local": {"writing": {}, "reading": {"temperature": 0.0, "longest_text": 96}},
}
"""Many different sentences are wanted of a writer, the likeliest program of a reader."""


def asker_of(
    answers: Path, *, backend: str, base_url: str = "", model: str = "", key_variable: str = KEY_VARIABLE,
    structured: str = "json_schema", at_once: int = 4, budget_tokens: int | None = None, seed: int = 0,
    purpose: Purpose = "writing",
) -> Asker[Any]:  # fmt: skip
    """Whom to ask.

    Args:
        answers: folder of the kept answers.
        backend: grammar, server or local.
        base_url, model, key_variable, structured: of a server.
        at_once: requests on their way at a time.
        budget_tokens: most tokens, earlier runs included; None for no limit.
        seed: of what is drawn.
        purpose: writing, where variety is wanted, or reading.

    Raises:
        ParameterError: an unknown back end, or a server without address or model.
        BackendError: the local model is not installed.
    """
    chosen = _backend(
        backend, purpose, base_url=base_url, model=model, key_variable=key_variable, structured=structured, seed=seed
    )
    return Asker(chosen, AnswerCache(answers), budget=Budget(tokens=budget_tokens), at_once=at_once)


def _backend(name: str, purpose: Purpose, *, seed: int, **server: Any) -> Backend[Any]:
    # Each brings a library of its own, which the others need not wait for.
    if name == "grammar":
        from semantiseg.llm.backends import GrammarBackend

        return GrammarBackend(seed=seed)
    if name == "local":
        from semantiseg.llm.backends import LocalModelBackend

        return LocalModelBackend(seed=seed, **_SETTINGS["local"][purpose])
    if name != "server":
        raise ParameterError(f"backend: expected grammar, server or local, got {name!r}.")
    if not server["base_url"] or not server["model"]:
        raise ParameterError(
            "backend server: expected --base-url and --model (--reader-model of a reader), got none. Name the server "
            "and its model."
        )
    from semantiseg.llm.backends import ServerBackend

    return ServerBackend(seed=seed, **server, **_SETTINGS["server"][purpose])
