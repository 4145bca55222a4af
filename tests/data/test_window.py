"""Windows and the midline."""

from __future__ import annotations

import numpy as np

from semantiseg.data import window


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
