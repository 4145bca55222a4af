"""The Haar transform against PyWavelets."""

from __future__ import annotations

import numpy as np
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.models.frequency import HaarTransform, Pixels


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 1000))
def test_twelve_bands_equal_pywavelets(rows, columns, seed):
    images = np.random.default_rng(seed).random((2, 3, 2 * rows, 2 * columns)).astype(np.float32)
    bands = HaarTransform()(torch.from_numpy(images)).numpy()
    assert bands.shape == (2, 12, rows, columns)
    low, (horizontal, vertical, diagonal) = pywt.dwt2(images, "haar")
    np.testing.assert_allclose(bands, np.concatenate([low, horizontal, vertical, diagonal], axis=1), atol=1e-5)


def test_energy_is_kept():
    images = torch.rand(1, 3, 16, 16)
    torch.testing.assert_close(HaarTransform()(images).square().sum(), images.square().sum())


def test_a_flat_image_has_no_detail():
    bands = HaarTransform()(torch.full((1, 3, 8, 8), 0.5))
    assert bands[:, 3:].abs().max() < 1e-6 and torch.allclose(bands[:, :3], torch.ones(1))


def test_the_bands_are_an_invertible_map_of_the_pixels_that_stand_in_for_them():
    images = torch.rand(1, 3, 16, 16, dtype=torch.float64)
    bands, pixels = HaarTransform().double()(images), Pixels()(images)
    ours, theirs = (maps.flatten(2)[0] for maps in (pixels, bands))
    transform = torch.linalg.lstsq(ours.T, theirs.T).solution
    torch.testing.assert_close(ours.T @ transform, theirs.T)
    torch.testing.assert_close(transform.T @ transform, torch.eye(12, dtype=torch.float64))
