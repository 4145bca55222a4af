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
        holds: whether the claim holds; None if it cannot be tested here.
        printed: what the paper says, as short as can be.
        computed: what was computed, or what a test would take.
        measured: whether images of this run decided it (then the verdict names their origin).
    """

    holds: bool | None
    printed: str
    computed: str
    measured: bool = False
