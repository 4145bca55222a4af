"""The grammar as a back end: deterministic, free, and the default."""

from __future__ import annotations

import json
from typing import Any

from semantiseg.bench.backends.backend import BackendError, Reply
from semantiseg.bench.backends.request import Request, write_answer
from semantiseg.bench.clause import from_json
from semantiseg.bench.grammar import texts
from semantiseg.bench.program import parse
from semantiseg.data.phantom.stream import stream
from semantiseg.errors import PromptError


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
