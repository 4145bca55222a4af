"""Windows and the midline."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.data import window


def ct(values, *, origin="official", leaves=("spleen",)):
    return window.window(np.asarray(values, np.float32), modality="CT", origin=origin, leaves=leaves)


def test_ct_is_windowed_by_site():
    assert ct([-1000, 1500]) == window.ABDOMEN_HU
    assert ct([-1000, 1500], leaves=("lung_tumour",)) == window.LUNG_HU


@pytest.mark.parametrize(
    ("values", "limits"), [([0, 254], (0, 255)), ([0, 0.7], (0, 1)), ([-5, 200], window.ABDOMEN_HU)]
)
def test_a_users_ct_without_hounsfield_units_keeps_its_whole_range(values, limits):
    assert ct(values, origin="user") == limits


def test_the_8_bit_rule_is_for_users_folders_only():
    assert ct([0, 254], origin="official") == window.ABDOMEN_HU


def test_mr_percentiles_do_not_count_the_empty_background():
    image = np.zeros(10_000, np.float32)
    image[:1000] = np.linspace(100, 200, 1000)
    low, high = window.window(image, modality="MR", origin="official", leaves=())
    assert 100 < low < 101 and 199 < high < 200


def test_mr_windows_follow_a_change_of_scale_so_that_the_picture_stays():
    image = np.random.default_rng(0).gamma(3, 50, (4, 20, 20)).astype(np.float32)
    pictures = [
        window.shown(scaled, window.window(scaled, modality="MR", origin="official", leaves=()))
        for scaled in (image, image * 1024)
    ]
    np.testing.assert_allclose(*pictures, atol=1e-5)


def test_the_window_is_mapped_to_0_and_1_and_clipped():
    image = np.array([-1000, -150, 50, 250, 3000], np.float32)
    np.testing.assert_allclose(window.shown(image, (-150, 250)), [0, 0, 0.5, 1, 1])


def body(*, left=20, right=60, width=100):
    """A trunk, columns `left` to `right`, on a table that spans the picture and touches nothing."""
    mask = np.zeros((5, 50, width), dtype=bool)
    mask[:, 15:40, left : right + 1] = True
    mask[:, 5, :] = True
    return mask


def test_the_midline_is_the_middle_of_the_trunk_and_not_of_the_table():
    assert window.midline(body()) == 40.0
    assert window.midline(body(left=21)) == 40.5


def test_mirroring_the_patient_mirrors_the_midline():
    mask = body(left=13, right=70)
    assert window.midline(mask[..., ::-1]) == mask.shape[2] - 1 - window.midline(mask)


def test_an_arm_on_few_slices_does_not_shift_the_midline():
    mask = body()
    mask[0, 20:30, 61:95] = True
    assert window.midline(mask) == 40.0


def test_without_a_body_the_midline_is_the_middle_of_the_image():
    assert window.midline(np.zeros((2, 4, 9), dtype=bool)) == 4.0
