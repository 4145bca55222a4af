"""Deformations move the image and its masks alike, and never exchange left and right."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.training.batch import Augmentation

S = 64


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A bright patch on the left half and a dim one on the right; their masks."""
    masks = np.zeros((2, S, S), dtype=np.float32)
    masks[0, 20:36, 12:24] = 1
    masks[1, 28:50, 40:52] = 1
    return 0.8 * masks[0] + 0.4 * masks[1], masks


@pytest.mark.parametrize("distortion", [0.0, 1.0])
def test_image_and_masks_move_alike(distortion):
    augmentation = Augmentation(distortion=distortion, seed=0)
    image, masks = scene()
    for _ in range(30):
        moved, moved_masks = augmentation(image, masks)
        # Grey values are changed too, so the patches are found by rank: brightest, then dim, then background.
        low, high = np.percentile(moved[moved_masks.sum(axis=0) < 0.01], 99), moved[moved_masks[0] > 0.99].mean()
        middle = moved[moved_masks[1] > 0.99].mean()
        assert low < middle < high
        bright = moved > (middle + high) / 2
        overlap = 2 * (bright & (moved_masks[0] > 0.5)).sum() / (bright.sum() + (moved_masks[0] > 0.5).sum())
        assert overlap > 0.9


def test_something_does_move():
    image, masks = scene()
    moved, moved_masks = Augmentation(distortion=1.0, seed=0)(image, masks)
    assert np.abs(moved_masks - masks).mean() > 0.005
    assert moved.shape == image.shape and moved_masks.shape == masks.shape


def test_left_stays_left():
    augmentation = Augmentation(distortion=1.0, seed=1)
    image, masks = scene()
    for _ in range(40):
        _, (left, right) = augmentation(image, masks)
        columns = np.arange(S)
        assert (left.sum(axis=0) * columns).sum() / left.sum() < (right.sum(axis=0) * columns).sum() / right.sum()


def test_two_streams_of_one_seed_are_equal_and_of_two_seeds_differ():
    image, masks = scene()
    one, same, other = (Augmentation(distortion=0.5, seed=seed) for seed in (7, 7, 8))
    for _ in range(5):
        a, b, c = one(image, masks), same(image, masks), other(image, masks)
        assert np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
        assert not np.array_equal(a[0], c[0])


def test_the_deformation_does_not_depend_on_how_many_masks_ride_along():
    image, masks = scene()
    two, six = Augmentation(distortion=1.0, seed=3), Augmentation(distortion=1.0, seed=3)
    for _ in range(5):
        a, b = two(image, masks), six(image, np.concatenate([masks, masks, masks]))
        np.testing.assert_allclose(a[0], b[0], atol=1e-6)
        np.testing.assert_allclose(a[1], b[1][:2], atol=0.04)  # OpenCV weighs more than four channels more coarsely


def test_values_stay_in_range():
    image, masks = scene()
    moved, moved_masks = Augmentation(distortion=1.0, seed=0)(image, masks)
    for values in (moved, moved_masks):
        assert values.min() >= 0 and values.max() <= 1 and values.dtype == np.float32
