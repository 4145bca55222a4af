"""Random streams named after what they draw, so that a phantom does not depend on the order or process that drew it."""

from __future__ import annotations

import hashlib

import numpy as np


def stream(*names: str | int) -> np.random.Generator:
    """A generator seeded by the SHA-256 of its names, such as `stream(seed, "Task03_Liver", "liver_004", "spleen")`."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


class Streams:
    """The streams of one patient: `streams("spleen")` draws the spleen, whatever else is drawn before it."""

    def __init__(self, *names: str | int) -> None:
        self.names = names

    def __call__(self, name: str) -> np.random.Generator:
        return stream(*self.names, name)
