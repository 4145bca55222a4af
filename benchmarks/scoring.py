"""Scoring against MONAI's metrics on the same masks in the same run: Dice, surface Dice and HD95 of one answer."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Mask
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics

TOLERANCE_MM = 2.0
SLICE_TIMES, VOLUME_TIMES = 10, 3
RADII = (4, 8, 16, 32, 64, 100)
"""Of targets on a slice of 352 x 352 pixels of 1 mm: from a lesion to the liver."""

Pair = tuple[Mask, Mask]


def speed(_: Path) -> Iterator[dict[str, Any]]:
    """How many times as fast as MONAI (surface elements weighed by length, as here), the median over masks.

    Raises:
        DataError: the two disagree.
    """
    slices = [pair for radius in RADII for pair in _pairs((352, 352), radius, count=4)]
    volumes = [pair for radius in (10, 25, 50) for pair in _pairs((256, 256, 128), radius, count=1)]
    for name, pairs, target in (("2d", slices, SLICE_TIMES), ("3d", volumes, VOLUME_TIMES)):
        yield {
            "name": f"score_speed_vs_monai_{name}",
            "value": round(_ratio(pairs), 1),
            "unit": "x",
            "target": target,
            "better": "higher",
        }


def _pairs(shape: Sequence[int], radius: float, *, count: int) -> Iterator[Pair]:
    """Rounded bodies with wavy outlines, and answers that are a little off."""
    steps = [axis - size / 2 for axis, size in zip(np.ogrid[tuple(map(slice, shape))], shape, strict=True)]
    distance = np.sqrt(sum(step**2 for step in steps))
    for seed in range(count):
        rng = np.random.default_rng([seed, int(radius)])
        yield _body(steps, distance, radius, rng), _body(steps, distance, radius, rng)


def _body(steps: Sequence[NDArray], distance: NDArray, radius: float, rng: np.random.Generator) -> Mask:
    waves = [0.08 * np.sin(step / radius * rng.uniform(2, 5) + rng.uniform(0, 6)) for step in steps]
    return distance < radius * (1 + sum(waves))


def _ratio(pairs: Sequence[Pair]) -> float:
    """Median over pairs of MONAI's time by ours; the shortest of three tries each, as others use the machine."""
    ratios = []
    for answer, target in pairs:
        (mine, mine_seconds), (theirs, their_seconds) = (
            _timed(lambda score=score, pair=(answer, target): score(*pair)) for score in (_ours, _monai)
        )
        if not np.allclose(mine, theirs, rtol=1e-4, atol=1e-5):
            raise DataError(f"benchmark scoring: expected MONAI's Dice, surface Dice and HD95 {theirs}, got {mine}.")
        ratios.append(their_seconds / mine_seconds)
    return float(np.median(ratios))


def _timed(work: Callable[[], tuple[float, ...]]) -> tuple[tuple[float, ...], float]:
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        found = work()
        seconds.append(time.perf_counter() - started)
    return found, min(seconds)


def _ours(answer: Mask, target: Mask) -> tuple[float, ...]:
    found = metrics.score_masks(answer, target, spacing_mm=1.0, nsd_tolerance_mm=TOLERANCE_MM)
    return found.dice, found.nsd, found.hd95_mm


def _monai(answer: Mask, target: Mask) -> tuple[float, ...]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    torch.set_num_threads(1)
    a, t = (torch.from_numpy(mask)[None, None].float() for mask in (answer, target))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of MONAI about MONAI
        surface_dice = compute_surface_dice(
            a, t, class_thresholds=[TOLERANCE_MM], include_background=True, use_subvoxels=True
        )
        distance = compute_hausdorff_distance(a, t, include_background=True, percentile=95)
    return float(compute_dice(a, t)), float(surface_dice), float(distance)


BENCHMARKS = (speed,)
