"""A language model behind any OpenAI-compatible server: the vendors', or one's own (vLLM, llama.cpp, Ollama)."""

from __future__ import annotations

import json
import math
import os
from http.client import HTTPException, IncompleteRead
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from semantiseg.bench.backends.backend import KEY_VARIABLE, BackendError, Reply, TransientError
from semantiseg.bench.backends.exchange import LARGEST_ANSWER, Answer, TooLarge, post
from semantiseg.bench.backends.request import Question
from semantiseg.errors import ParameterError
from semantiseg.secret import from_environment

Structured = Literal["json_schema", "json_object", "none"]
"""How the server is told to answer in JSON; not every server knows every way."""

_AGAIN = frozenset({408, 409, 425, 429})


class ServerBackend:
    """Asks `POST {base_url}/chat/completions`.

    The key never leaves this object but in the request's header: not in `identity`, `repr`, a message or a reply.
    Redirects are not followed: to follow one, name its address.

    Args:
        base_url: address up to and with the version, such as `http://127.0.0.1:8000/v1`.
        model: the name that the server knows it by.
        key_variable: environment variable that holds the key; a server without keys needs none.
        structured: how JSON is asked for.
        temperature: of the sampling.
        seed: sent along; servers that know it answer alike.
        longest_answer: tokens of an answer at most.
        timeout_s: seconds for a whole answer, from the question on, however the server spreads them.
        largest_answer: bytes of an answer at most.

    Raises:
        ParameterError: the address is none or holds credentials, or the key is no single word.
    """

    def __init__(
        self, *, base_url: str, model: str, key_variable: str = KEY_VARIABLE, structured: Structured = "json_schema",
        temperature: float = 0.8, seed: int = 0, longest_answer: int = 512, timeout_s: float = 60.0,
        largest_answer: int = LARGEST_ANSWER,
    ) -> None:  # fmt: skip
        _check_address(base_url)
        self._key = from_environment((key_variable,), os.environ)
        self._url = f"{base_url.rstrip('/')}/chat/completions"
        self._timeout_s, self._largest = timeout_s, largest_answer
        self._settings = {"model": model, "temperature": temperature, "seed": seed, "max_tokens": longest_answer}
        self._structured = structured
        self.identity: dict[str, Any] = {
            "backend": "server", "base_url": base_url, "structured": structured, **self._settings,
        }  # fmt: skip

    def most_tokens(self, request: Question) -> int:
        """Bytes of the question (a token is at least one) and the longest answer."""
        asked = sum(len(message["content"].encode()) + 16 for message in request.messages())
        return asked + int(self._settings["max_tokens"])

    def answer(self, request: Question) -> Reply:
        """One call; retries are the caller's.

        Raises:
            TransientError: no connection, no whole answer in time, 408, 409, 425, 429 or 5xx.
            BackendError: any other answer that is no completion, is too large, or repeats a part of the key: nothing
                of such an answer is handed on, so nothing of it can be kept.
        """
        answer = self._ask(request)
        if answer.status != 200:
            raise self._refusal(answer)
        try:
            made = _Completion.model_validate_json(answer.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise BackendError(
                f"server: expected a chat completion, got at {place}: {self._key.masked(first['msg'])}. Is the address "
                "the API's?"
            ) from None
        choice = made.choices[0]
        text = choice.message.content or ""
        if self._key.shows_in(text):
            raise BackendError(
                f"server: expected an answer, got one that repeats a part of the key in {self._key.name}. Nothing of "
                "it was kept. Do not trust this server: withdraw the key."
            )
        tokens = made.usage.total_tokens if made.usage else self.most_tokens(request)
        return Reply(text, tokens=tokens, finished=choice.finish_reason != "length")

    def _ask(self, request: Question) -> Answer:
        settings = self._settings | {"seed": self._settings["seed"] + request.attempt}
        asked = {"messages": request.messages(), **settings, **self._format(request.schema)}
        headers = {"Authorization": f"Bearer {self._key.value}"} if self._key else {}
        # `from None` throughout: what the client raises may hold what the server said.
        try:
            return post(
                self._url, json.dumps(asked).encode(), headers=headers, timeout_s=self._timeout_s, largest=self._largest
            )
        except TimeoutError:
            raise TransientError(f"server: expected an answer within {self._timeout_s:g} s, got none.") from None
        except TooLarge:
            raise BackendError(
                f"server: expected an answer of at most {self._largest} bytes, got more. Is the address the API's?"
            ) from None
        except OSError as error:
            cause = type(error).__name__
            raise TransientError(f"server: expected a connection, got {cause}. Is the server running?") from None
        except (HTTPException, ValueError) as error:
            cut = isinstance(error, IncompleteRead)
            kind = TransientError if cut else BackendError
            raise kind(f"server: expected an answer of HTTP, got {type(error).__name__}.") from None

    def _format(self, schema: dict[str, Any]) -> dict[str, Any]:
        if self._structured == "none":
            return {}
        if self._structured == "json_object":
            return {"response_format": {"type": "json_object"}}
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def _refusal(self, answer: Answer) -> BackendError:
        said, code = _complaint(answer.body)
        said = self._key.masked(said)[:300]
        if 300 <= answer.status < 400:
            where = self._key.masked(answer.headers.get("location", "nowhere"))[:200]
            return BackendError(
                f"server: expected an answer, got a redirect (status {answer.status}) to {where!r}, which was not "
                "asked. If you trust that address, name it as the server's."
            )
        if (answer.status in _AGAIN or answer.status >= 500) and code != "insufficient_quota":
            return TransientError(
                f"server: expected an answer, got status {answer.status}: {said}",
                wait_s=_wait_s(answer.headers.get("retry-after", "")),
            )
        remedy = {401: "Set the key in the environment.", 403: "Ask for access.", 404: "Correct address or model."}
        advice = remedy.get(answer.status, "Correct the request's parameters.")
        return BackendError(f"server: expected an answer, got status {answer.status}: {said} {advice}")


class _Message(BaseModel):
    content: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    total_tokens: int = Field(strict=True, ge=0, le=1_000_000_000)


class _Completion(BaseModel):
    """What is read of a completion; whatever else a server adds is left alone."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


class _Complaint(BaseModel):
    message: str = ""
    code: str | None = None


class _Refusal(BaseModel):
    error: _Complaint


def _complaint(body: bytes) -> tuple[str, str | None]:
    """What a refusal says and its code, as OpenAI's API documents it; of any other body its beginning."""
    try:
        error = _Refusal.model_validate_json(body).error
        return error.message, error.code
    except ValidationError:
        return body[:4096].decode("utf-8", errors="replace"), None


def _check_address(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError("base_url: expected http(s)://host/..., got no scheme or host. Give the server's address.")
    if parts.username or parts.password or parts.query:
        raise ParameterError(
            "base_url: expected an address without credentials or query, got one with. Set the key in the environment."
        )


def _wait_s(said: str) -> float | None:
    try:
        seconds = float(said)
    except ValueError:
        return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
