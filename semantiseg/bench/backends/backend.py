"""What writes texts for prompts: one interface for the grammar, a server's language model and a local one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from semantiseg.bench.backends.request import Request
from semantiseg.errors import SemantiSegError

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


class Backend(Protocol):
    """Answers requests; called from several threads at once."""

    @property
    def identity(self) -> dict[str, Any]:
        """Everything but the request that the answer depends on; part of the cache's key, so never a secret."""

    def most_tokens(self, request: Request) -> int:
        """No answer to the request costs more than this; 0 where nothing is paid."""

    def answer(self, request: Request) -> Reply:
        """Ask once.

        Raises:
            TransientError: asking again may help.
            BackendError: it will not.
        """
