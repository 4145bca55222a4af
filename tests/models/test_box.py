"""Boxes as prompts."""

from __future__ import annotations

import numpy as np
import torch

from semantiseg.models.gate import box_of, soft_box


def test_the_box_of_a_mask_is_tight_and_in_pixel_edges():
    mask = np.zeros((6, 8), dtype=bool)
    mask[2, 3] = True
    assert box_of(mask).tolist() == [2, 3, 3, 4]
    mask[4, 6] = True
    assert box_of(mask).tolist() == [2, 3, 5, 7]


def test_an_empty_mask_has_no_box_and_no_box_draws_nothing():
    none = box_of(np.zeros((4, 4), dtype=bool))
    assert none.tolist() == [0, 0, 0, 0]
    assert not soft_box(torch.from_numpy(none)[None], rows=8, columns=8).any()


def test_a_box_on_pixel_edges_is_drawn_as_exactly_those_pixels():
    drawn = soft_box(torch.tensor([[0.25, 0.5, 0.75, 1.0]]), rows=4, columns=4)
    expected = torch.zeros(4, 4)
    expected[1:3, 2:4] = 1
    assert torch.equal(drawn[0, 0], expected)


def test_between_pixels_the_edge_is_soft():
    drawn = soft_box(torch.tensor([[0.0, 0.0, 1.0, 0.375]]), rows=4, columns=4)
    torch.testing.assert_close(drawn[0, 0, 0], torch.tensor([1.0, 0.5, 0.0, 0.0]))
