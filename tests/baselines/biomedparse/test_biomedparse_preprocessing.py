"""How pictures and scans enter BiomedParse, and how its masks leave."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from semantiseg.baselines.biomedparse.biomedparse import CT_WINDOWS, DEVIATION, MEAN, SquashedFrame, enter, scan_picture
from semantiseg.errors import ModelError


def test_a_picture_of_the_networks_size_is_only_normed():
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    entered = enter(picture, size=32)
    np.testing.assert_allclose(entered[0].permute(1, 2, 0), (picture - np.array(MEAN)) / DEVIATION, atol=1e-5)


def test_a_picture_is_squashed_whatever_its_aspect():
    picture = np.zeros((8, 64, 3), dtype=np.uint8)
    picture[:, 32:] = 255
    red = enter(picture, size=32)[0, 0]
    assert red.shape == (32, 32)
    np.testing.assert_allclose(red[:, 2], -MEAN[0] / DEVIATION[0], atol=1e-5)
    np.testing.assert_allclose(red[:, 29], (255 - MEAN[0]) / DEVIATION[0], atol=1e-5)


def test_every_site_has_the_official_window():
    assert dict(CT_WINDOWS) == {
        "abdomen": (-150, 250), "lung": (-1000, 1000), "pelvis": (-55, 200), "liver": (-25, 230), "colon": (-68, 187),
        "pancreas": (-100, 200),
    }  # fmt: skip


@pytest.mark.parametrize(("site", "low", "high"), [(site, *window) for site, window in CT_WINDOWS.items()])
def test_ct_is_clipped_to_the_sites_window(site, low, high):
    values = np.full((32, 32), (low + high) / 2)
    values[:8], values[24:] = low - 500, high + 500
    picture, frame = scan_picture(values, modality="CT", site=site, size=32)
    assert frame == SquashedFrame(32, 32)
    assert picture[0, 0, 0] == 0 and picture[16, 5, 1] in (127, 128) and picture[30, 5, 2] == 255


def test_a_ct_slice_is_stretched_from_its_own_extremes_within_the_window():
    values = np.full((32, 32), 0.0)
    values[16:] = 50.0  # neither end of the abdomen's window, yet black and white: the official habit
    picture, _ = scan_picture(values, modality="CT", site="abdomen", size=32)
    assert picture[2, 2, 0] == 0 and picture[30, 2, 0] == 255


def test_mr_is_windowed_by_percentiles_of_what_is_above_zero():
    values = np.zeros((40, 40))
    values[20:] = np.linspace(1, 1000, 800).reshape(20, 40)
    values[39, 39] = 1e6
    low, high = np.percentile(values[values > 0], [0.5, 99.5])
    picture, _ = scan_picture(values, modality="MR", size=40)
    expected = (np.clip(values, low, high) - low) / (high - low) * 255
    np.testing.assert_allclose(picture[..., 0], expected, atol=1.01)  # truncated to 8 bits


def test_a_scan_is_padded_to_a_square_and_its_masks_are_cut_back():
    values = np.zeros((64, 32))
    values[:, 16:] = 100.0
    picture, frame = scan_picture(values, modality="CT", site="abdomen", size=64)
    assert frame == SquashedFrame(64, 32, top=0, left=16)
    assert picture[:, :16].max() == 0 and picture[:, 50:].max() == 0 and picture[32, 40, 0] == 255
    logits = torch.from_numpy(picture[..., 0].astype(np.float32))[None, 2::4, 2::4] / 255 - 0.5
    mask = frame.leave(logits, resizing="demo", size=64)[0] > 0
    assert mask.shape == (64, 32) and not mask[:, :14].any() and mask[:, 18:].all()


def test_odd_differences_of_the_sides_are_padded_as_officially():
    _, frame = scan_picture(np.arange(35.0).reshape(5, 7) + 1, modality="MR", size=32)
    assert frame == SquashedFrame(5, 7, top=1)
    _, frame = scan_picture(np.arange(40.0).reshape(8, 5) + 1, modality="MR", size=32)
    assert frame == SquashedFrame(8, 5, left=1)


def test_both_resizings_agree_on_a_picture_of_the_networks_size_and_only_there():
    logits = torch.randn(2, 16, 16, generator=torch.Generator().manual_seed(0))
    same, other = SquashedFrame(64, 64), SquashedFrame(40, 30)
    leave = [[frame.leave(logits, resizing=way, size=64) for way in ("demo", "evaluation")] for frame in (same, other)]
    torch.testing.assert_close(*leave[0], atol=1e-5, rtol=1e-5)
    assert leave[1][0].shape == leave[1][1].shape == (2, 40, 30)
    assert (leave[1][0] - leave[1][1]).abs().max() > 0.01
    torch.testing.assert_close(leave[1][0], F.interpolate(logits[None], size=(40, 30), mode="bilinear")[0])


def test_the_evaluations_last_step_is_pillows_bicubic():
    logits = torch.randn(1, 16, 16, generator=torch.Generator().manual_seed(0))
    left = SquashedFrame(24, 20).leave(logits, resizing="evaluation", size=64)[0]
    square = F.interpolate(logits[None], size=(64, 64), mode="bilinear")[0, 0]
    pillow = Image.fromarray(square.numpy()).resize((20, 24), Image.Resampling.BICUBIC)
    np.testing.assert_allclose(left, np.asarray(pillow), atol=1e-4)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (np.zeros((4, 4, 3)), {"modality": "MR"}, "one slice"),
        (np.full((4, 4), np.nan), {"modality": "MR"}, "finite"),
        (np.ones((4, 4)), {"modality": "CT"}, "site: expected one of"),
        (np.ones((4, 4)), {"modality": "CT", "site": "knee"}, "'knee'"),
        (np.ones((4, 4)), {"modality": "MR", "site": "liver"}, "Only CT"),
        (np.zeros((4, 4)), {"modality": "MR"}, "above 0"),
        (np.full((4, 4), -1000.0), {"modality": "CT", "site": "liver"}, "contrast"),
    ],
)
def test_scans_that_show_nothing_are_refused(values, options, words):
    with pytest.raises(ModelError, match=words):
        scan_picture(values, size=32, **options)
