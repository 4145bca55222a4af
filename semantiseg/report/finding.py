"""What a check of a claim finds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        holds: whether the claim holds; None if it cannot be tested here, or cannot be decided.
        printed: what the paper says, as short as can be.
        computed: what was computed, or what a test would take.
        measured: whether images decided it (then the verdict names their origin).
        origin: of these images, in words, where they are not those of this run.
        apart: False where images were measured and cannot tell what is compared apart; `holds` is None then.
    """

    holds: bool | None
    printed: str
    computed: str
    measured: bool = False
    origin: str = ""
    apart: bool = True
