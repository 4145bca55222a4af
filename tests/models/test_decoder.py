"""The frame of what was located."""

from __future__ import annotations

import pytest
import torch

from semantiseg.models.decoder import FARTHEST, LocatedFrame


def told(logits: torch.Tensor, *, grid: tuple[int, int]) -> torch.Tensor:
    """The three maps that the frame adds, as they are: region, row and column relative to it."""
    frame = LocatedFrame(channels=3)
    torch.nn.init.eye_(frame.tell.weight.view(3, 3))
    torch.nn.init.zeros_(frame.tell.bias)
    return frame(torch.zeros(len(logits), 3, *grid), logits).detach()


def block(*, rows: slice, columns: slice, size: int = 16) -> torch.Tensor:
    logits = torch.full((1, size, size), -20.0)
    logits[0, rows, columns] = 20.0
    return logits


def test_coordinates_are_zero_in_the_middle_of_the_region_and_one_at_a_standard_deviation():
    maps = told(block(rows=slice(4, 12), columns=slice(2, 6)), grid=(16, 16))[0]
    assert maps[0, 7, 3] == pytest.approx(1) and maps[0, 0, 0] == pytest.approx(0, abs=1e-6)
    assert maps[1, 7:9, 3].mean() == pytest.approx(0, abs=1e-4)
    # Uniform over eight rows: standard deviation sqrt((8**2 - 1) / 12) = 2.29 rows, so a row is 0.44 of it.
    assert maps[1, 9, 3] - maps[1, 8, 3] == pytest.approx(1 / 2.29, abs=0.02)
    assert maps[2, 0, 4] - maps[2, 0, 3] == pytest.approx(1 / 1.118, abs=0.1)


def test_moving_the_region_moves_its_frame_and_nothing_else():
    here = told(block(rows=slice(4, 8), columns=slice(4, 8)), grid=(16, 16))[0]
    there = told(block(rows=slice(7, 11), columns=slice(6, 10)), grid=(16, 16))[0]
    torch.testing.assert_close(here[:, 2:10, 2:10], there[:, 5:13, 4:12], atol=0.02, rtol=0)


def test_far_positions_are_all_alike_and_an_empty_region_gives_finite_maps():
    maps = told(block(rows=slice(0, 2), columns=slice(0, 2)), grid=(16, 16))[0]
    assert maps[1].max() == FARTHEST and (maps[1, 12:] == FARTHEST).all()
    assert told(torch.full((1, 16, 16), -100.0), grid=(16, 16)).isfinite().all()


def test_the_region_may_come_on_another_grid():
    assert told(block(rows=slice(2, 4), columns=slice(2, 4), size=8), grid=(16, 12)).shape == (1, 3, 16, 12)
