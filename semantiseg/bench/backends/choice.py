"""A back end by name, ready to be asked."""

from __future__ import annotations

from pathlib import Path

from semantiseg.bench.backends.asking import Asker, Budget
from semantiseg.bench.backends.backend import Backend
from semantiseg.bench.backends.cache import AnswerCache
from semantiseg.errors import ParameterError


def asker_of(
    answers: Path, *, backend: str, base_url: str, model: str, key_variable: str, structured: str, at_once: int,
    budget_tokens: int | None, seed: int,
) -> Asker:  # fmt: skip
    """Whom to ask.

    Args:
        answers: folder of the kept answers.
        backend: grammar, server or local.
        base_url, model, key_variable, structured: of a server.
        at_once: requests on their way at a time.
        budget_tokens: most tokens, earlier runs included; None for no limit.
        seed: of what is drawn.

    Raises:
        ParameterError: an unknown back end, or a server without address or model.
        BackendError: the local model is not installed.
    """
    chosen = _backend(
        backend, base_url=base_url, model=model, key_variable=key_variable, structured=structured, seed=seed
    )
    return Asker(chosen, AnswerCache(answers), budget=Budget(tokens=budget_tokens), at_once=at_once)


def _backend(name: str, *, seed: int, **server: str) -> Backend:
    # Each brings a library of its own, which the others need not wait for.
    if name == "grammar":
        from semantiseg.bench.backends.grammar_backend import GrammarBackend

        return GrammarBackend(seed=seed)
    if name == "local":
        from semantiseg.bench.backends.local_model import LocalModelBackend

        return LocalModelBackend(seed=seed)
    if name != "server":
        raise ParameterError(f"backend: expected grammar, server or local, got {name!r}.")
    if not server["base_url"] or not server["model"]:
        raise ParameterError(
            "backend server: expected --base-url and --model, got none. Name the server and its model."
        )
    from semantiseg.bench.backends.server import ServerBackend

    return ServerBackend(seed=seed, **server)  # type: ignore[arg-type]
