"""The change of frame and back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.errors import ModelError
from semantiseg.models.gate import box_of
from semantiseg.models.segmenter import Frame, enter_image, enter_masks, frame_of

SIZES = st.integers(5, 70)


@settings(max_examples=40, deadline=None)
@given(height=SIZES, width=SIZES, size=st.sampled_from([32, 48, 64]))
def test_leaving_undoes_entering_for_smooth_maps(height, width, size):
    rows, columns = np.mgrid[:height, :width]
    ramp = (0.3 + 0.2 * rows / height + 0.4 * columns / width).astype(np.float32)
    frame = frame_of(ramp, size=size)
    back = frame.leave(enter_image(ramp, frame))[0].numpy()
    assert back.shape == (height, width)
    # Within two pixels of the coarser grid the zeros around the picture are averaged in.
    rim = 1 + 2 * -(-max(height, width) // size)
    inner = (slice(rim + height // 6, -rim - height // 6), slice(rim + width // 6, -rim - width // 6))
    np.testing.assert_allclose(back[inner], ramp[inner], atol=0.02)


@settings(max_examples=40, deadline=None)
@given(height=SIZES, width=SIZES, data=st.data())
def test_a_mask_keeps_its_place_and_its_share_of_the_square(height, width, data):
    top, left = data.draw(st.integers(0, height - 2)), data.draw(st.integers(0, width - 2))
    mask = np.zeros((height, width), dtype=bool)
    mask[top : data.draw(st.integers(top + 1, height)), left : data.draw(st.integers(left + 1, width))] = True
    frame = Frame(height=height, width=width, size=64)
    shares = enter_masks(mask[None], frame)[0] / 255
    scale = 64 / max(height, width)
    rows, columns = np.mgrid[:64, :64] + 0.5
    centre = np.array([(rows * shares).sum(), (columns * shares).sum()]) / shares.sum()
    where = np.argwhere(mask).mean(axis=0) + 0.5 + [frame.top, frame.left]
    np.testing.assert_allclose(centre, where * scale, atol=0.9)
    (box,) = frame.enter_boxes(box_of(mask)[None])
    np.testing.assert_allclose((box[:2] + box[2:]) / 2 * 64, where * scale, atol=1e-3)


def test_a_mask_survives_the_round_trip_when_the_frame_is_larger():
    mask = np.zeros((1, 20, 31), dtype=bool)
    mask[0, 4:9, 11:25] = True
    frame = Frame(height=20, width=31, size=96)
    back = frame.leave(torch.from_numpy(enter_masks(mask, frame)).float() / 255)
    assert np.array_equal(back.numpy() > 0.5, mask)


def test_no_box_stays_no_box():
    frame = Frame(height=10, width=20, size=32)
    assert np.array_equal(frame.enter_boxes(np.zeros((2, 4))), np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (np.zeros((3, 4, 5)), "one slice"),
        (np.full((4, 4), np.nan), r"\[0, 1\]"),
        (np.full((4, 4), 200.0), "window"),
        (np.zeros((0, 4)), "one slice"),
    ],
)
def test_images_that_are_no_prepared_slice_are_refused(image, words):
    with pytest.raises(ModelError, match=words):
        frame_of(image, size=32)
