"""Masks in space and on grids whose edges differ, against two independent libraries, on random and on real masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter, shift

from semantiseg.errors import DataError
from semantiseg.evaluation import metrics, surface

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def bodies(seed: int, *, shape: tuple[int, ...] = (18, 22, 20)) -> tuple[np.ndarray, np.ndarray]:
    """Two overlapping smooth random masks."""
    rng = np.random.default_rng(seed)
    field, other = (gaussian_filter(rng.standard_normal(shape), 2.5) for _ in range(2))
    return field > 0.04, field + 0.4 * other > 0.04


def agrees_with_surface_distance(answer, target, spacing, tolerances) -> None:
    import surface_distance

    theirs = surface_distance.compute_surface_distances(target, answer, spacing)
    for tolerance in tolerances:
        expected = surface_distance.compute_surface_dice_at_tolerance(theirs, tolerance)
        assert metrics.nsd(answer, target, spacing_mm=spacing, tolerance_mm=tolerance) == pytest.approx(expected, 1e-6)


def agrees_with_monai(answer, target, spacing, tolerance) -> None:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_iou, compute_surface_dice

    a, t = (torch.from_numpy(mask)[None, None].float() for mask in (answer, target))
    mine = metrics.score_masks(answer, target, spacing_mm=spacing, nsd_tolerance_mm=tolerance)
    assert mine.dice == pytest.approx(float(compute_dice(a, t)), abs=1e-6)
    assert mine.iou == pytest.approx(float(compute_iou(a, t)), abs=1e-6)
    options = {"include_background": True, "spacing": list(spacing)}
    theirs = compute_surface_dice(a, t, class_thresholds=[tolerance], use_subvoxels=True, **options)
    assert mine.nsd == pytest.approx(float(theirs), abs=1e-5)
    assert mine.hd95_mm == pytest.approx(float(compute_hausdorff_distance(a, t, percentile=95, **options)), rel=1e-5)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.8), (0.5, 2.0, 1.25)])
def test_areas_of_all_256_neighbourhoods_are_those_of_both_libraries(spacing: tuple[float, ...]) -> None:
    import surface_distance
    from monai.metrics.utils import create_table_neighbour_code_to_surface_area

    sizes = surface.element_sizes(spacing)
    np.testing.assert_allclose(sizes, create_table_neighbour_code_to_surface_area(spacing)[0].numpy(), rtol=1e-6)
    theirs = surface_distance.lookup_tables.create_table_neighbour_code_to_surface_area(spacing)
    np.testing.assert_allclose(sizes, theirs, rtol=1e-12)


class TestWorkedByHand:
    def test_a_voxel_and_its_neighbour(self) -> None:
        answer, target = np.zeros((3, 3, 4), dtype=bool), np.zeros((3, 3, 4), dtype=bool)
        answer[1, 1, 1] = target[1, 1, 2] = True
        # Each voxel's surface is eight equal corners, four of them shared.
        assert metrics.nsd(answer, target, spacing_mm=1.0, tolerance_mm=0.5) == pytest.approx(0.5)
        assert metrics.nsd(answer, target, spacing_mm=(1.0, 1.0, 3.0), tolerance_mm=3.0) == 1.0
        assert metrics.hd95(answer, target, spacing_mm=(1.0, 1.0, 3.0)) == 3.0

    def test_a_slice_of_unequal_edges(self) -> None:
        answer, target = np.zeros((5, 5), dtype=bool), np.zeros((5, 5), dtype=bool)
        answer[0, 0] = target[3, 4] = True
        assert metrics.hd95(answer, target, spacing_mm=(2.0, 2.0)) == 10.0
        assert metrics.hd95(answer, target, spacing_mm=(1.0, 0.0 + 1e-9)) == pytest.approx(3.0)

    def test_extent_is_area_or_volume(self) -> None:
        assert metrics.extent(np.ones((2, 3), dtype=bool), spacing_mm=0.5) == 1.5
        assert metrics.extent(np.ones((2, 3, 4), dtype=bool), spacing_mm=(1.0, 2.0, 0.5)) == 24.0

    def test_empty_volumes_follow_the_table(self) -> None:
        empty, full = np.zeros((2, 3, 6), dtype=bool), np.ones((2, 3, 6), dtype=bool)
        assert metrics.score_masks(empty, empty, spacing_mm=1.0, nsd_tolerance_mm=1.0) == metrics.Score(
            1.0, 1.0, 1.0, 0.0
        )
        assert metrics.score_masks(full, empty, spacing_mm=1.0, nsd_tolerance_mm=1.0) == metrics.Score(
            0.0, 0.0, 0.0, 7.0
        )


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 0.7, 0.8)])
@pytest.mark.parametrize("seed", range(3))
def test_volumes_agree_with_both_libraries(seed: int, spacing: tuple[float, ...]) -> None:
    answer, target = bodies(seed)
    agrees_with_surface_distance(answer, target, spacing, (0.5, 1.0, 2.0))
    agrees_with_monai(answer, target, spacing, 1.5)


@pytest.mark.parametrize("seed", range(4))
def test_slices_of_unequal_edges_agree_with_both_libraries(seed: int) -> None:
    answer, target = bodies(seed, shape=(40, 36))
    agrees_with_surface_distance(answer, target, (0.8, 2.5), (0.8, 1.0, 2.5))
    agrees_with_monai(answer, target, (0.8, 2.5), 1.5)


@pytest.mark.parametrize("shape", [(30, 26), (14, 12, 16)])
@pytest.mark.parametrize("tolerance", [0.0, 0.9, 1.8, 4.0])
def test_looking_around_and_searching_find_the_same_places(shape, tolerance, monkeypatch) -> None:
    spacing = (0.9, 1.3, 2.0)[: len(shape)]
    first, second = (surface.Places(surface.edge(np.pad(mask, 1))) for mask in bodies(5, shape=shape))
    looked = first.near(second, spacing_mm=spacing, tolerance_mm=tolerance)
    monkeypatch.setattr(surface, "_BALL", 0)
    assert (looked == first.near(second, spacing_mm=spacing, tolerance_mm=tolerance)).all()
    assert 0 < looked.sum()


def test_distances_are_those_of_a_distance_transform() -> None:
    first, second = (surface.edge(np.pad(mask, 1)) for mask in bodies(7))
    expected = distance_transform_edt(~second, sampling=(3.0, 0.7, 0.8))[first]
    found = surface.Places(first).distances_mm(surface.Places(second), spacing_mm=(3.0, 0.7, 0.8))
    assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), 0.0, -1.0, float("nan"), (1.0, 1.0, 0.0)])
def test_a_spacing_that_does_not_fit_is_named(spacing) -> None:
    cube = np.ones((2, 2, 2), dtype=bool)
    with pytest.raises(DataError, match="spacing_mm: expected one positive edge"):
        metrics.score_masks(cube, cube, spacing_mm=spacing, nsd_tolerance_mm=1.0)


def test_real_kidneys_and_tumours_agree_with_both_libraries() -> None:
    import nibabel as nib

    paths = sorted((SHARED / "kits23_labels").rglob("*.nii.gz"))[:1]
    if not paths:
        pytest.skip(f"the shared real data are not at {SHARED}")
    image = nib.load(paths[0])
    labels, spacing = np.asarray(image.dataobj), tuple(float(edge) for edge in image.header.get_zooms()[:3])
    for wanted in ([1, 2, 3], [2]):
        whole = np.isin(labels, wanted)
        box = tuple(slice(max(i.min() - 6, 0), i.max() + 7) for i in np.nonzero(whole))
        target = whole[box][:, ::2, ::2]
        answer = binary_dilation(shift(target.astype(np.float32), (1, 2, 0), order=0) > 0)
        steps = (spacing[0], 2 * spacing[1], 2 * spacing[2])
        agrees_with_surface_distance(answer, target, steps, metrics.KITS23_TOLERANCES_MM.values())
        agrees_with_monai(answer, target, steps, metrics.KITS23_TOLERANCES_MM["tumor"])
