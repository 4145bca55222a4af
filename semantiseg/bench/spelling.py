"""Misspelt words: the one word of a vocabulary that a word must have been meant for, or none."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

SHORTEST = 5
"""Shorter words are never corrected: one letter makes another word of them."""


def edits_allowed(word: str) -> int:
    """One slip in a word of up to eight letters, two in a longer one."""
    return 0 if len(word) < SHORTEST else 1 if len(word) <= 8 else 2


@lru_cache(maxsize=20_000)
def corrected(word: str, vocabulary: frozenset[str]) -> str | None:
    """The word of the vocabulary that is nearest by the fewest slips (letters lost, added, changed or exchanged), or
    None: too far, or two words are equally near and differ by more than a plural's ending."""
    return _nearest(word, vocabulary)


def _nearest(word: str, vocabulary: Collection[str]) -> str | None:
    allowed = edits_allowed(word)
    if not allowed:
        return None
    found = process.extract(
        word, vocabulary, scorer=DamerauLevenshtein.distance, score_cutoff=allowed, limit=3
    )  # fmt: skip
    # The first letter is seldom wrong, and "hypodense" is no slip of "hyperdense".
    near = [(distance, known) for known, distance, _ in found if known[0] == word[0]]
    if not near:
        return None
    least = min(distance for distance, _ in near)
    best = sorted({known for distance, known in near if distance == least}, key=len)
    return best[0] if len({known.rstrip("s") for known in best}) == 1 else None
