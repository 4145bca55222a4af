"""The Haar transform against PyWavelets and pytorch_wavelets."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.models.frequency import HaarTransform, Pixels, PublishedHaar
from semantiseg.models.registry import FULL, WIDTHS, build_streams


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(1, 9), columns=st.integers(1, 9), seed=st.integers(0, 1000))
def test_twelve_bands_equal_pywavelets(rows, columns, seed):
    images = np.random.default_rng(seed).random((2, 3, 2 * rows, 2 * columns)).astype(np.float32)
    low, (horizontal, vertical, diagonal) = pywt.dwt2(images, "haar")
    for transform in (HaarTransform(), PublishedHaar()):
        bands = transform(torch.from_numpy(images)).numpy()
        assert bands.shape == (2, 12, rows, columns)
        np.testing.assert_allclose(bands, np.concatenate([low, horizontal, vertical, diagonal], axis=1), atol=1e-5)


def test_gradients_are_those_of_pytorch_wavelets():
    images, weights = torch.rand(1, 3, 8, 12, requires_grad=True), torch.rand(1, 12, 4, 6)
    ours, theirs = (
        torch.autograd.grad((transform(images) * weights).sum(), images)[0]
        for transform in (HaarTransform(), PublishedHaar())
    )
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(("width", "size", "kind"), [("tiny", 64, HaarTransform), ("paper_tiny", 64, PublishedHaar)])
def test_the_full_size_takes_the_published_transform_and_small_presets_their_own(width, size, kind):
    assert width in {**WIDTHS, **FULL}
    assert type(build_streams(width=width, image_size=size).wavelet) is kind


def test_a_small_model_is_built_without_pytorch_wavelets_and_without_a_warning():
    code = (
        "import sys; sys.modules['pytorch_wavelets'] = sys.modules['pkg_resources'] = None\n"
        "from semantiseg.models.registry import build_streams; build_streams(width='small', image_size=64)"
    )
    command = [sys.executable, "-W", "error:pkg_resources is deprecated:UserWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
