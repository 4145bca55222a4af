"""A back end by name, ready to be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from semantiseg.bench.backends.asking import Asker, Budget
from semantiseg.bench.backends.backend import KEY_VARIABLE, Backend
from semantiseg.bench.backends.cache import AnswerCache
from semantiseg.errors import ParameterError

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
) -> Asker:  # fmt: skip
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


def _backend(name: str, purpose: Purpose, *, seed: int, **server: str) -> Backend:
    # Each brings a library of its own, which the others need not wait for.
    if name == "grammar":
        from semantiseg.bench.backends.grammar_backend import GrammarBackend

        return GrammarBackend(seed=seed)
    if name == "local":
        from semantiseg.bench.backends.local_model import LocalModelBackend

        return LocalModelBackend(seed=seed, **_SETTINGS["local"][purpose])
    if name != "server":
        raise ParameterError(f"backend: expected grammar, server or local, got {name!r}.")
    if not server["base_url"] or not server["model"]:
        raise ParameterError(
            "backend server: expected --base-url and --model (--reader-model of a reader), got none. Name the server "
            "and its model."
        )
    from semantiseg.bench.backends.server import ServerBackend

    return ServerBackend(seed=seed, **server, **_SETTINGS["server"][purpose])  # type: ignore[arg-type]
