"""What one check of the artifact found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from semantiseg.errors import SemantiSegError


@dataclass(frozen=True)
class Check:
    """One question a reviewer asks, and its answer.

    Attributes:
        name: one word, for machines.
        question: in a reader's words.
        passed: True, False, or None where there is nothing to check here (`summary` says what it would take).
        summary: the answer in one line.
        details: one line each: what is wrong if it failed, else what was looked at.
        facts: the same for tools, as JSON can hold it.
    """

    name: str
    question: str
    passed: bool | None
    summary: str
    details: list[str] = field(default_factory=list)
    facts: Any = None

    def record(self) -> dict[str, Any]:
        """The check as JSON can hold it."""
        return asdict(self)


Look = Callable[[], tuple[bool | None, str, list[str], Any]]
"""How a question is answered: passed, summary, details, facts of a `Check`."""


def answered(name: str, question: str, look: Look) -> Check:
    """Ask one question; what cannot be read is a failed check with the reason, so that the other checks still run."""
    try:
        return Check(name, question, *look())
    except (SemantiSegError, OSError, ValueError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
        return Check(name, question, passed=False, summary="could not be checked", details=[reason])
