"""Asking many requests: kept answers first, a few at a time, again after a transient failure, within the budget."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from semantiseg.bench.backends.backend import Backend, BackendError, BudgetError, Reply, TransientError
from semantiseg.bench.backends.cache import AnswerCache
from semantiseg.bench.backends.request import Question

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


class Asker:
    """Asks a back end.

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
        self, backend: Backend, cache: AnswerCache, *, budget: Budget | None = None, at_once: int = 4, retries: int = 5,
        pause_s: float = 1.0, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        self.backend, self.cache, self.budget = backend, cache, budget or Budget()
        self.at_once, self.retries, self.pause_s, self.sleep = at_once, retries, pause_s, sleep
        self.budget.begin(*cache.spent())
        self._failure: Exception | None = None

    def ask_all(self, requests: Sequence[Question]) -> list[Reply]:
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

    def _ask(self, key: str, request: Question) -> Reply | None:
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

    def _patiently(self, request: Question) -> Reply:
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
