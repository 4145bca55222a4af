"""Scores of one answer against one target: binary masks `[H, W]` of one slice, or `[D, H, W]` of one volume.

Conventions for empty masks, so that a missed structure never vanishes from a mean:

| answer, target | Dice | IoU | NSD | HD95 |
|---|---|---|---|---|
| both empty | 1 | 1 | 1 | 0 mm |
| one empty | 0 | 0 | 0 | the grid's diagonal in mm, the largest distance that the picture allows |

The normalised surface Dice weighs surfaces by length (area), as DeepMind's surface-distance does; MONAI agrees with
`use_subvoxels=True`. MONAI's default counts edge pixels instead, which weighs a diagonal less than a straight line.

Lesion-wise Dice as the BraTS challenges define it since 2023 (rachitsaluja/BraTS-2023-Metrics): every lesion counts
alike, a missed one as 0, a mark where there is none as 0 too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.conventions import Mask
from semantiseg.errors import DataError
from semantiseg.evaluation import surface
from semantiseg.evaluation.surface import Spacing

_SHARE = 0.95

KITS23_TOLERANCES_MM = {
    "kidney_and_mass": 1.0330772532390826,
    "mass": 1.1328796488598762,
    "tumor": 1.1498198361434828,
}
"""Tolerances of the surface Dice in KiTS23's own evaluation, by its classes (neheller/kits23,
configuration/labels.py)."""


@dataclass(frozen=True)
class Metric:
    """What is said of a metric wherever its numbers stand: results, Table 1, submissions, the explorer.

    Attributes:
        key: its column in `results.parquet`, and its field of `Score`.
        label: its name, with its unit where it has one.
        better: "higher" or "lower"; what is higher lies in [0, 1].
        worst: its value for the worst answer, from the grid's shape and the edges of a voxel in mm.
        digits: how many are shown.
        tabled: whether its mean is a column of Table 1 and of submissions (Dice has its own there, by level).
    """

    key: str
    label: str
    better: Literal["higher", "lower"]
    worst: Callable[[tuple[int, ...], Spacing], float]
    digits: int = 2
    tabled: bool = True


def _nothing(shape: tuple[int, ...], spacing: Spacing) -> float:
    return 0.0


def _diagonal(shape: tuple[int, ...], spacing: Spacing) -> float:
    return float(np.linalg.norm(np.multiply(shape, spacing)))


METRICS: tuple[Metric, ...] = (
    Metric("dice", "Dice", "higher", _nothing, tabled=False),
    Metric("iou", "IoU", "higher", _nothing, tabled=False),
    Metric("nsd", "NSD", "higher", _nothing),
    Metric("hd95_mm", "HD95, mm", "lower", _diagonal, digits=1),
)
"""All metrics of an answer, in the order of their columns."""


@dataclass(frozen=True)
class Score:
    """How one answer compares with its target; Dice, IoU and NSD in [0, 1], the distance in mm."""

    dice: float
    iou: float
    nsd: float
    hd95_mm: float


def check_masks(answer: NDArray, target: NDArray) -> None:
    """Refuse what is no pair of boolean masks of one shape.

    Raises:
        DataError: a mask is not boolean with two or three axes, or the shapes differ.
    """
    for name, mask in (("answer", answer), ("target", target)):
        if mask.dtype != np.bool_ or mask.ndim not in (2, 3):
            raise DataError(
                f"{name}: expected a boolean mask [H, W] or [D, H, W], got {mask.dtype} of shape {mask.shape}. "
                "Threshold probabilities first."
            )
    if answer.shape != target.shape:
        raise DataError(
            f"answer: expected the target's shape {target.shape}, got {answer.shape}. Resample the answer to the "
            "target's grid."
        )


def _spacing(spacing_mm: float | Sequence[float], axes: int) -> Spacing:
    edges = spacing_mm if isinstance(spacing_mm, Sequence) else (spacing_mm,) * axes
    steps = tuple(float(edge) for edge in edges)
    if len(steps) != axes or not all(0 < step < np.inf for step in steps):
        raise DataError(
            f"spacing_mm: expected one positive edge in mm, or one for each of {axes} axes, got {spacing_mm}. Take it "
            "from the volume."
        )
    return steps


def dice(answer: Mask, target: Mask) -> float:
    """Dice coefficient 2|A n T| / (|A| + |T|) of two masks of one shape; 1 if both are empty."""
    check_masks(answer, target)
    total = int(np.count_nonzero(answer)) + int(np.count_nonzero(target))
    if total == 0:
        return 1.0
    return 2.0 * int(np.count_nonzero(answer & target)) / total


def iou(answer: Mask, target: Mask) -> float:
    """Intersection over union of two masks of one shape; 1 if both are empty."""
    check_masks(answer, target)
    union = int(np.count_nonzero(answer | target))
    if union == 0:
        return 1.0
    return int(np.count_nonzero(answer & target)) / union


def extent(mask: Mask, *, spacing_mm: float | Sequence[float]) -> float:
    """Area in mm2 of a mask `[H, W]`, volume in mm3 of a mask `[D, H, W]`."""
    return int(np.count_nonzero(mask)) * float(np.prod(_spacing(spacing_mm, mask.ndim)))


def _surface_dice(answer: Mask, target: Mask, spacing: Spacing, tolerance_mm: float) -> float:
    """Of two cut masks, neither empty."""
    codes = [surface.element_codes(mask) for mask in (answer, target)]
    places = [surface.Places(surface.is_element(code)) for code in codes]
    near, whole = 0.0, 0.0
    for code, mine, others in zip(codes, places, places[::-1], strict=True):
        sizes = surface.element_sizes(spacing)[code[mine.mask]]
        near += float(sizes[mine.near(others, spacing_mm=spacing, tolerance_mm=tolerance_mm)].sum())
        whole += float(sizes.sum())
    return near / whole


def _hausdorff(answer: Mask, target: Mask, spacing: Spacing) -> float:
    """Of two cut masks, neither empty."""
    edges = [surface.Places(surface.edge(mask)) for mask in (answer, target)]
    directed = [mine.distances_mm(others, spacing_mm=spacing) for mine, others in (edges, edges[::-1])]
    return max(_percentile(distances) for distances in directed)


def _percentile(values: NDArray[np.float64]) -> float:
    """As NumPy's to the last digit; for a few hundred values its generality costs more than the sorting."""
    place = _SHARE * (len(values) - 1)
    below = int(place)
    ordered, part = np.sort(values), place - below
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(values) - 1)])
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part


def nsd(answer: Mask, target: Mask, *, spacing_mm: float | Sequence[float], tolerance_mm: float) -> float:
    """Normalised surface Dice of two masks of one shape: the share of both surfaces, by length (area), that lies within
    `tolerance_mm` of the other (Nikolov et al. 2018, arXiv:1809.04430). Both empty 1, one empty 0.
    """
    check_masks(answer, target)
    spacing = _spacing(spacing_mm, answer.ndim)
    if not answer.any() or not target.any():
        return float(answer.any() == target.any())
    return _surface_dice(*surface.common_box(answer, target), spacing, tolerance_mm)


def hd95(answer: Mask, target: Mask, *, spacing_mm: float | Sequence[float]) -> float:
    """95th percentile Hausdorff distance in mm of two masks of one shape: the larger of the two directed percentiles
    over edge pixels, linearly interpolated (MONAI's definition). Both empty 0; one empty the grid's diagonal.
    """
    check_masks(answer, target)
    spacing = _spacing(spacing_mm, answer.ndim)
    if not answer.any() or not target.any():
        return 0.0 if answer.any() == target.any() else _diagonal(answer.shape, spacing)
    return _hausdorff(*surface.common_box(answer, target), spacing)


def worst(shape: tuple[int, ...], *, spacing_mm: float | Sequence[float]) -> Score:
    """The scores of the worst answer on a grid: nothing right."""
    spacing = _spacing(spacing_mm, len(shape))
    return Score(**{metric.key: metric.worst(shape, spacing) for metric in METRICS})


def unmeasured(score: Score) -> Score:
    """A score on a grid whose voxel size is not known: surfaces are not measured (NaN)."""
    return replace(score, nsd=float("nan"), hd95_mm=float("nan"))


def score_masks(answer: Mask, target: Mask, *, spacing_mm: float | Sequence[float], nsd_tolerance_mm: float) -> Score:
    """All scores of one answer against its target, `[H, W]` or `[D, H, W]`; conventions for empty masks stand in the
    module's table.

    Args:
        spacing_mm: edge of a pixel (voxel), or one for each axis of the masks.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.

    Raises:
        DataError: a mask is not boolean with two or three axes, the shapes differ, or the spacing does not fit.
    """
    check_masks(answer, target)
    spacing = _spacing(spacing_mm, answer.ndim)
    if not answer.any() or not target.any():
        both_empty = bool(answer.any() == target.any())
        return Score(dice=1.0, iou=1.0, nsd=1.0, hd95_mm=0.0) if both_empty else worst(answer.shape, spacing_mm=spacing)
    answer, target = surface.common_box(answer, target)
    return Score(
        dice=dice(answer, target),
        iou=iou(answer, target),
        nsd=_surface_dice(answer, target, spacing, nsd_tolerance_mm),
        hd95_mm=_hausdorff(answer, target, spacing),
    )


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
    check_masks(answer, target)
    marks, _ = ndimage.label(answer, structure=np.ones((3,) * answer.ndim))
    reach = ndimage.generate_binary_structure(target.ndim, 2)
    grown, lesions = ndimage.label(_grow(target, reach, rules.dilation), structure=np.ones((3,) * target.ndim))
    scores, touched, found = [], set(), 0
    for number in range(1, lesions + 1):
        lesion = (grown == number) & target
        # A lesion's own reach, not that of its group: groups may lie in each other's bays.
        near = set(np.unique(marks[_grow(lesion, reach, rules.dilation)])) - {0}
        touched |= near
        if extent(lesion, spacing_mm=spacing_mm) > rules.ignored_mm3:
            scores.append(dice(np.isin(marks, list(near)), lesion))
            found += bool(near)
    false = len(set(np.unique(marks)) - {0} - touched)
    counted = len(scores) + false
    return LesionScore(
        dice=float(sum(scores) / counted) if counted else 1.0, found=found, missed=len(scores) - found, false=false
    )


def _grow(mask: Mask, reach: Mask, times: int) -> Mask:
    # With 0, SciPy would grow until nothing changes.
    return ndimage.binary_dilation(mask, structure=reach, iterations=times) if times else mask
