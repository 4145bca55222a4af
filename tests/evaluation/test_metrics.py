from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.errors import DataError
from semantiseg.evaluation import metrics


def mask(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def blobs(seed: int, *, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping smooth random masks."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((size, size)), 3)
    other = field + 0.5 * gaussian_filter(rng.standard_normal((size, size)), 3)
    return field > 0.05, other > 0.05


class TestWorkedByHand:
    def test_one_of_two_pixels_shared(self) -> None:
        answer, target = mask("##", ".."), mask("#.", "#.")
        assert metrics.dice(answer, target) == 0.5
        assert metrics.iou(answer, target) == pytest.approx(1 / 3)

    def test_nested_squares(self) -> None:
        inner, outer = mask("....", ".##.", ".##.", "...."), np.ones((4, 4), dtype=bool)
        assert metrics.dice(inner, outer) == 2 * 4 / 20
        assert metrics.iou(inner, outer) == 4 / 16
        # Every corner pixel of the outer ring is sqrt(2) from the inner square, the other eight ring pixels are 1 away.
        assert metrics.hd95(inner, outer, spacing_mm=2.0) == pytest.approx(2 * np.sqrt(2))

    def test_single_pixels_three_and_four_apart(self) -> None:
        answer, target = np.zeros((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
        answer[0, 0] = target[3, 4] = True
        assert metrics.hd95(answer, target, spacing_mm=1.0) == 5.0
        assert metrics.hd95(answer, target, spacing_mm=0.5) == 2.5

    def test_surface_dice_counts_contour_length_within_tolerance(self) -> None:
        # A pixel's contour is four corners of half a diagonal each; its right neighbour shares two of them.
        answer, target = mask("....", ".#..", "...."), mask("....", "..#.", "....")
        assert metrics.nsd(answer, target, spacing_mm=1.0, tolerance_mm=0.5) == pytest.approx(0.5)
        assert metrics.nsd(answer, target, spacing_mm=1.0, tolerance_mm=1.0) == 1.0
        assert metrics.nsd(answer, target, spacing_mm=2.0, tolerance_mm=1.0) == pytest.approx(0.5)

    def test_touching_the_border_of_the_picture_is_a_contour_too(self) -> None:
        full = np.ones((3, 3), dtype=bool)
        assert metrics.nsd(full, mask("...", ".#.", "..."), spacing_mm=1.0, tolerance_mm=0.1) == 0.0


class TestEmpty:
    empty = np.zeros((3, 4), dtype=bool)
    something = mask("#...", "....", "....")

    def test_both_empty_is_perfect(self) -> None:
        assert metrics.score_masks(self.empty, self.empty, spacing_mm=1.0, nsd_tolerance_mm=1.0) == metrics.Score(
            1.0, 1.0, 1.0, 0.0
        )

    @pytest.mark.parametrize("swapped", [False, True])
    def test_one_empty_is_worst_and_the_distance_is_the_diagonal(self, swapped: bool) -> None:
        pair = (self.something, self.empty) if swapped else (self.empty, self.something)
        assert metrics.score_masks(*pair, spacing_mm=2.0, nsd_tolerance_mm=1.0) == metrics.Score(0.0, 0.0, 0.0, 10.0)

    def test_a_miss_stays_finite(self) -> None:
        assert np.isfinite(metrics.hd95(self.empty, self.something, spacing_mm=1.0))


@given(st.integers(0, 10_000), st.floats(0.2, 3.0))
@settings(max_examples=40, deadline=None)
def test_scores_are_symmetric_bounded_and_one_for_the_truth(seed: int, spacing: float) -> None:
    answer, target = blobs(seed, size=24)
    there = metrics.score_masks(answer, target, spacing_mm=spacing, nsd_tolerance_mm=1.0)
    back = metrics.score_masks(target, answer, spacing_mm=spacing, nsd_tolerance_mm=1.0)
    assert (there.dice, there.iou, there.hd95_mm) == (back.dice, back.iou, back.hd95_mm)
    assert there.nsd == pytest.approx(back.nsd, abs=1e-12)
    assert 0 <= there.iou <= there.dice <= 1 and 0 <= there.nsd <= 1
    assert there.dice == pytest.approx(2 * there.iou / (1 + there.iou))
    assert there.hd95_mm <= np.hypot(24, 24) * spacing * (1 + 1e-12)
    assert metrics.score_masks(target, target, spacing_mm=spacing, nsd_tolerance_mm=0.0) == metrics.Score(
        1.0, 1.0, 1.0, 0.0
    )


@given(st.integers(0, 10_000), st.integers(0, 7), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_scores_do_not_change_when_both_masks_move(seed: int, rows: int, columns: int) -> None:
    answer, target = (np.pad(m[:16, :16], 1) for m in blobs(seed, size=20))
    moved = [np.pad(m, ((rows, 7 - rows), (columns, 5 - columns))) for m in (answer, target)]
    still = [np.pad(m, ((0, 7), (0, 5))) for m in (answer, target)]
    assert metrics.score_masks(*moved, spacing_mm=1.0, nsd_tolerance_mm=1.5) == metrics.score_masks(
        *still, spacing_mm=1.0, nsd_tolerance_mm=1.5
    )


@pytest.mark.parametrize("seed", range(12))
def test_surface_dice_agrees_with_surface_distance(seed: int) -> None:
    import surface_distance

    answer, target = blobs(seed)
    distances = surface_distance.compute_surface_distances(target, answer, (0.8, 0.8))
    for tolerance in (0.5, 0.8, 1.0, 2.0):
        theirs = surface_distance.compute_surface_dice_at_tolerance(distances, tolerance)
        assert metrics.nsd(answer, target, spacing_mm=0.8, tolerance_mm=tolerance) == pytest.approx(theirs, abs=1e-12)
    # Their robust Hausdorff weighs by contour length and takes corners, not pixel centres: neighbouring percentiles
    # bracket it.
    low, high = (surface_distance.compute_robust_hausdorff(distances, percent) for percent in (90, 99))
    assert low - 0.8 * np.sqrt(2) <= metrics.hd95(answer, target, spacing_mm=0.8) <= high + 0.8 * np.sqrt(2)


@pytest.mark.parametrize("seed", range(12))
def test_distances_and_overlaps_agree_with_monai(seed: int) -> None:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    answer, target = blobs(seed)
    a, t = (torch.from_numpy(m)[None, None].float() for m in (answer, target))
    mine = metrics.score_masks(answer, target, spacing_mm=1.0, nsd_tolerance_mm=1.5)
    assert mine.dice == pytest.approx(float(compute_dice(a, t)), abs=1e-6)
    assert mine.iou == pytest.approx(float(compute_iou(a, t)), abs=1e-6)
    theirs = compute_surface_dice(a, t, class_thresholds=[1.5], include_background=True, use_subvoxels=True)
    assert mine.nsd == pytest.approx(float(theirs), abs=1e-6)
    theirs = compute_hausdorff_distance(a, t, include_background=True, percentile=95)
    assert mine.hd95_mm == pytest.approx(float(theirs), abs=1e-5)


@pytest.mark.parametrize(
    ("answer", "target", "names"),
    [
        (np.zeros((2, 2)), np.zeros((2, 2), dtype=bool), "answer: expected a boolean mask"),
        (np.zeros((2, 2), dtype=bool), np.zeros((1, 1, 2, 2), dtype=bool), "target: expected a boolean mask"),
        (np.zeros((2, 2), dtype=bool), np.zeros((2, 3), dtype=bool), "expected the target's shape"),
    ],
)
def test_wrong_masks_are_named(answer: np.ndarray, target: np.ndarray, names: str) -> None:
    with pytest.raises(DataError, match=names):
        metrics.score_masks(answer, target, spacing_mm=1.0, nsd_tolerance_mm=1.0)


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=60))
def test_the_percentile_is_numpys_to_the_last_digit(values: list[float]) -> None:
    assert metrics._percentile(np.array(values)) == np.percentile(values, 95)
