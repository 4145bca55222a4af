"""Faults as the project answers for them: one entry a fault, declared on the test that tries it.

`docs/faults.md` is made from these entries (`faults/table.py`), so no fault stands there that no test tries.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: what is done to the project, in words of a user, once in the whole table: "SIGKILL while DVC writes its
            lock".
        happens: what the project then does, a sentence without its end.
        remedy: what the user must do; "nothing" where the project mends it.
        inject: what the test needs to do it (a function, bytes, arguments); not shown.
    """

    name: str
    happens: str
    remedy: str
    inject: Any = field(default=None, compare=False, repr=False)


def tried(*faults: Fault) -> Callable[[Test], Test]:
    """Declares what faults a test tries; a test with the argument `fault` runs once for each of them."""

    def declare(test: Test) -> Test:
        test.faults = faults  # type: ignore[attr-defined]
        if "fault" in test.__code__.co_varnames[: test.__code__.co_argcount]:  # type: ignore[attr-defined]
            return pytest.mark.parametrize("fault", faults, ids=[fault.name for fault in faults])(test)
        return test

    return declare
