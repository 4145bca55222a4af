"""Layers of a mask are those that a full distance transform finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from semantiseg.bench.measure.regions import eroded, shell


def scattered(seed: int) -> np.ndarray:
    """A few boxes in `[17, 23, 19]`, some at its border."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((17, 23, 19), bool)
    for _ in range(3):
        corner = [int(rng.integers(size)) for size in mask.shape]
        mask[tuple(slice(start, start + int(rng.integers(1, 5))) for start in corner)] = True
    return mask


@pytest.mark.parametrize(("low", "high"), [(2.0, 10.0), (1.0, 1.0), (2.5, 12.5), (1.2, 3.4)])
@pytest.mark.parametrize("seed", range(4))
def test_a_shell_is_what_a_distance_transform_finds_between_its_limits(seed, low, high):
    mask = scattered(seed)
    distance = ndimage.distance_transform_edt(~mask)
    expected = (distance >= low) & (distance <= high)
    assert expected.any() and np.array_equal(shell(mask, low=low, high=high), expected)


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_eroding_takes_off_what_shares_a_face_with_the_outside(seed, beyond):
    mask = scattered(seed) | ndimage.binary_dilation(scattered(seed + 9), iterations=2)
    expected = ndimage.binary_erosion(mask, border_value=beyond)
    assert expected.any() and np.array_equal(eroded(mask, beyond=beyond), expected)
