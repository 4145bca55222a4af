"""Whether left and right of a case can be believed: what the headers say, and where one-sided organs lie."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from semantiseg.conventions import LabelArray, Side
from semantiseg.language.ontology import STRUCTURES

ORGANS: dict[str, Side] = {leaf: side for item in STRUCTURES.values() for leaf, side in item.sided_leaves.items()}
"""On which side of the midline a leaf's centroid lies."""


@dataclass(frozen=True)
class Count:
    """One-sided organs of a case by where they lie, judged by the affine.

    Attributes:
        own: on their own side.
        other: on the other.
    """

    own: int = 0
    other: int = 0

    @property
    def mirrored(self) -> bool:
        """At least two organs, most of them on the wrong side: one alone may be cut by the field of view."""
        return self.own + self.other >= 2 and self.other > self.own


def leaf_sides(labels: LabelArray, structures: Mapping[int, str], midline: float) -> dict[str, Side]:
    """One-sided leaf -> side on which its centroid lies, of those that occur in `[D, H, W]`."""
    found: dict[str, Side] = {}
    for number, leaf in structures.items():
        if leaf in ORGANS and (columns := np.nonzero(labels == number)[2]).size:
            found[leaf] = "right" if columns.mean() > midline else "left"
    return found


def count(labels: LabelArray, structures: Mapping[int, str], midline: float) -> Count:
    """How many one-sided organs lie on their own side of the midline and how many on the other."""
    own = [ORGANS[leaf] == side for leaf, side in leaf_sides(labels, structures, midline).items()]
    return Count(sum(own), len(own) - sum(own))


def mirrored_cases(counts: Mapping[str, tuple[str, Count]]) -> frozenset[str]:
    """Cases whose affine is mirrored by the evidence of their organs, told in a warning.

    Where most organs of a collection (at least two) lie on the wrong side, so are all of its cases.

    Args:
        counts: case id -> collection and count.
    """
    mirrored = {case for case, (_, found) in counts.items() if found.mirrored}
    for collection in sorted({collection for collection, _ in counts.values()}):
        mine = [(case, found) for case, (home, found) in counts.items() if home == collection]
        whole = Count(sum(found.own for _, found in mine), sum(found.other for _, found in mine))
        if whole.mirrored:
            mirrored |= {case for case, _ in mine}
            warnings.warn(
                f"{collection}: {whole.other} of {whole.own + whole.other} one-sided organs lie on the wrong side: the "
                "affine is mirrored, so no side is asked of this collection",
                stacklevel=2,
            )
    return frozenset(mirrored)
