"""Lesion-wise Dice as the BraTS challenges define it since 2023 (rachitsaluja/BraTS-2023-Metrics): every lesion counts
alike, a missed one as 0, a mark where there is none as 0 too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantiseg.conventions import Mask
from semantiseg.evaluation import metrics


@dataclass(frozen=True)
class Rules:
    """What one challenge counts as a lesion.

    Attributes:
        dilation: voxels by which lesions grow before it is seen which touch: those are one lesion, and what an answer
            marks within that reach belongs to it.
        ignored_mm3: true lesions up to this size are left out.
    """

    dilation: int
    ignored_mm3: float


CHALLENGES = {
    "GLI": Rules(dilation=3, ignored_mm3=50),
    "SSA": Rules(dilation=3, ignored_mm3=50),
    "MEN": Rules(dilation=1, ignored_mm3=50),
    "PED": Rules(dilation=3, ignored_mm3=50),
    "MET": Rules(dilation=1, ignored_mm3=2),
}
"""Rules of BraTS 2023 by challenge."""


@dataclass(frozen=True)
class LesionScore:
    """Lesion-wise Dice in [0, 1] (1 where there is nothing to find and nothing was marked) and what it counted: true
    lesions found and missed, marked components that belong to none."""

    dice: float
    found: int
    missed: int
    false: int


def lesionwise(answer: Mask, target: Mask, *, spacing_mm: float | tuple[float, ...], rules: Rules) -> LesionScore:
    """Score one answer lesion by lesion.

    Args:
        answer, target: `[D, H, W]` or `[H, W]`, of one shape.
        spacing_mm: edge of a voxel, or one for each axis.
        rules: of the challenge, such as `CHALLENGES["GLI"]`.

    Raises:
        DataError: a mask is not boolean, or the shapes differ.
    """
    metrics.check(answer, target)
    marks, _ = ndimage.label(answer, structure=np.ones((3,) * answer.ndim))
    reach = ndimage.generate_binary_structure(target.ndim, 2)
    grown, lesions = ndimage.label(_grow(target, reach, rules.dilation), structure=np.ones((3,) * target.ndim))
    scores, touched, found = [], set(), 0
    for number in range(1, lesions + 1):
        lesion = (grown == number) & target
        # A lesion's own reach, not that of its group: groups may lie in each other's bays.
        near = set(np.unique(marks[_grow(lesion, reach, rules.dilation)])) - {0}
        touched |= near
        if metrics.extent(lesion, spacing_mm=spacing_mm) > rules.ignored_mm3:
            scores.append(metrics.dice(np.isin(marks, list(near)), lesion))
            found += bool(near)
    false = len(set(np.unique(marks)) - {0} - touched)
    counted = len(scores) + false
    return LesionScore(
        dice=float(sum(scores) / counted) if counted else 1.0, found=found, missed=len(scores) - found, false=false
    )


def _grow(mask: Mask, reach: Mask, times: int) -> Mask:
    # With 0, SciPy would grow until nothing changes.
    return ndimage.binary_dilation(mask, structure=reach, iterations=times) if times else mask
