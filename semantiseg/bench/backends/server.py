"""A language model behind any OpenAI-compatible server: the vendors', or one's own (vLLM, llama.cpp, Ollama)."""

from __future__ import annotations

import os
from typing import Any, Literal
from urllib.parse import urlsplit

import openai

from semantiseg.bench.backends.backend import KEY_VARIABLE, BackendError, Reply, TransientError
from semantiseg.bench.backends.request import Question
from semantiseg.errors import ParameterError

Structured = Literal["json_schema", "json_object", "none"]
"""How the server is told to answer in JSON; not every server knows every way."""

_AGAIN = frozenset({408, 409, 425, 429})


class ServerBackend:
    """Asks `POST {base_url}/chat/completions`.

    The key never leaves this object but in the request's header: not in `identity`, `repr` or a message.

    Args:
        base_url: address up to and with the version, such as `http://127.0.0.1:8000/v1`.
        model: the name that the server knows it by.
        key_variable: environment variable that holds the key; a server without keys needs none.
        structured: how JSON is asked for.
        temperature: of the sampling.
        seed: sent along; servers that know it answer alike.
        longest_answer: tokens of an answer at most.
        timeout_s: seconds until a silent server counts as gone.

    Raises:
        ParameterError: the address is none or holds credentials, or the key is no single word.
    """

    def __init__(
        self, *, base_url: str, model: str, key_variable: str = KEY_VARIABLE, structured: Structured = "json_schema",
        temperature: float = 0.8, seed: int = 0, longest_answer: int = 512, timeout_s: float = 60.0,
    ) -> None:  # fmt: skip
        _check_address(base_url)
        self._key = _key(key_variable)
        self._client = openai.OpenAI(base_url=base_url, api_key=self._key or "none", max_retries=0, timeout=timeout_s)
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
            TransientError: no connection, timeout, 408, 409, 425, 429 or 5xx.
            BackendError: any other answer that is no completion.
        """
        options = self._format(request.schema)
        settings = self._settings | {"seed": self._settings["seed"] + request.attempt}
        # `from None` throughout: the client's own exceptions hold the request with its headers.
        try:
            made = self._client.chat.completions.create(messages=request.messages(), **settings, **options)
        except openai.APITimeoutError:
            raise TransientError("server: expected an answer in time, got none.") from None
        except openai.APIConnectionError as error:
            cause = type(error.__cause__).__name__
            raise TransientError(f"server: expected a connection, got {cause}. Is the server running?") from None
        except openai.APIStatusError as error:
            raise self._refusal(error) from None
        except (openai.OpenAIError, ValueError) as error:
            raise BackendError(f"server: expected a chat completion, got {type(error).__name__}.") from None
        choices = getattr(made, "choices", None)
        if not choices:
            raise BackendError("server: expected a chat completion with a choice, got none. Is the address the API's?")
        tokens = made.usage.total_tokens if made.usage else self.most_tokens(request)
        return Reply(choices[0].message.content or "", tokens=tokens, finished=choices[0].finish_reason != "length")

    def _format(self, schema: dict[str, Any]) -> dict[str, Any]:
        if self._structured == "none":
            return {}
        if self._structured == "json_object":
            return {"response_format": {"type": "json_object"}}
        named = {"name": "answer", "schema": schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def _refusal(self, error: openai.APIStatusError) -> BackendError:
        said = str(error.message)
        said = (said.replace(self._key, "***") if self._key else said)[:300]
        quota = getattr(error, "code", None) == "insufficient_quota"
        if (error.status_code in _AGAIN or error.status_code >= 500) and not quota:
            return TransientError(
                f"server: expected an answer, got status {error.status_code}: {said}", wait_s=_wait_s(error)
            )
        remedy = {401: "Set the key in the environment.", 403: "Ask for access.", 404: "Correct address or model."}
        advice = remedy.get(error.status_code, "Correct the request's parameters.")
        return BackendError(f"server: expected an answer, got status {error.status_code}: {said} {advice}")


def _check_address(base_url: str) -> None:
    parts = urlsplit(base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError("base_url: expected http(s)://host/..., got no scheme or host. Give the server's address.")
    if parts.username or parts.password or parts.query:
        raise ParameterError(
            "base_url: expected an address without credentials or query, got one with. Set the key in the environment."
        )


def _key(variable: str) -> str:
    key = os.environ.get(variable, "")
    if key and (not key.isascii() or not key.isprintable() or " " in key):
        raise ParameterError(f"{variable}: expected a key of one word, got one with blanks or line ends. Set it again.")
    return key


def _wait_s(error: openai.APIStatusError) -> float | None:
    try:
        return max(float(error.response.headers.get("retry-after", "")), 0.0)
    except ValueError:
        return None
