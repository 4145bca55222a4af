"""Turning and resampling: laws, and agreement with MONAI, nibabel and scipy."""

from __future__ import annotations

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from semantiseg.data import grid

AXES = ["".join(codes) for order in permutations(("RL", "AP", "SI")) for codes in product(*order)]


def field(affine, shape):
    """Voxel values that say where they are: 100 x + 10 y + z in RAS millimetres."""
    index = np.stack([*np.indices(shape, dtype=float), np.ones(shape)])
    x, y, z, _ = np.tensordot(affine, index, axes=1)
    return 100 * x + 10 * y + z


def affine_of(axes, spacing, origin=(7.0, -3.0, 11.0)):
    """An affine whose axes point as the codes say."""
    affine = np.eye(4)
    affine[:3, 3] = origin
    affine[:3, :3] = 0
    for axis, (code, edge) in enumerate(zip(axes, spacing, strict=True)):
        world = next(row for row, pair in enumerate(("RL", "AP", "SI")) if code in pair)
        affine[world, axis] = edge if code in "RAS" else -edge
    return affine


def at(affine, shape_dhw):
    """The field of `field` on a stored grid `[D, H, W]`, its affine in index order (w, h, d)."""
    return field(affine, shape_dhw[::-1]).transpose(2, 1, 0)


@pytest.mark.parametrize("axes", AXES)
def test_every_voxel_keeps_its_place_in_the_patient_for_all_48_orientations(axes):
    affine, shape = affine_of(axes, (1.5, 2.0, 3.0)), (4, 5, 6)
    turned, canonical = grid.to_canonical(field(affine, shape), affine)
    np.testing.assert_allclose(turned, at(canonical, turned.shape), atol=1e-9)
    assert grid.source_axes(canonical) == "RAS"
    assert turned.flags.c_contiguous


def test_turning_agrees_with_nibabel_on_an_oblique_scan():
    affine = affine_of("PIR", (0.8, 1.1, 4.0))
    angle = np.deg2rad(14)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    values = np.random.default_rng(0).normal(size=(5, 6, 7))
    turned, canonical = grid.to_canonical(values, turn @ affine)
    other = nib.as_closest_canonical(nib.Nifti1Image(values, turn @ affine))
    np.testing.assert_array_equal(turned, other.get_fdata().transpose(2, 1, 0))
    np.testing.assert_allclose(canonical, other.affine)


def test_spacing_is_told_in_the_order_right_anterior_superior():
    assert grid.source_spacing(affine_of("IPL", (0.5, 0.9, 0.7))) == (0.7, 0.9, 0.5)


def test_orientation_and_spacing_agree_with_monai():
    torch = pytest.importorskip("torch")
    transforms = pytest.importorskip("monai.transforms")
    meta_tensor = pytest.importorskip("monai.data").MetaTensor
    affine, shape = affine_of("LPS", (0.7, 0.8, 2.5)), (20, 18, 10)
    values = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=shape), 1).astype(np.float32)
    turned, canonical = grid.to_canonical(values, affine)
    positions = tuple(
        grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(turned.shape, (2.5, 0.8, 0.7), strict=True)
    )
    mine, target = grid.resample_image(turned, positions), grid.resampled_affine(canonical, positions)

    tensor = meta_tensor(torch.as_tensor(values)[None], affine=torch.as_tensor(affine))
    oriented = transforms.Orientationd(keys="image", axcodes="RAS", labels=None)({"image": tensor})["image"]
    np.testing.assert_array_equal(oriented[0].numpy().transpose(2, 1, 0), turned)
    theirs = transforms.SpatialResample(
        mode="bilinear", padding_mode="border", align_corners=True, dtype=torch.float64
    )(oriented, dst_affine=torch.as_tensor(target), spatial_size=mine.shape[::-1])
    np.testing.assert_allclose(theirs[0].numpy().transpose(2, 1, 0), mine, atol=1e-5)
    spaced = transforms.Spacingd(keys="image", pixdim=(1, 1, 1), scale_extent=True)({"image": oriented})["image"]
    assert spaced.shape[1:] == mine.shape[::-1]


@given(st.integers(2, 60), st.floats(0.3, 6), st.floats(0.5, 3))
def test_sampling_keeps_spacing_and_centre_and_covers_the_field_of_view(size, edge, spacing):
    where = grid.sampling(size, edge_mm=edge, spacing_mm=spacing)
    assert np.isclose(where.mean(), (size - 1) / 2)
    if len(where) > 1:
        np.testing.assert_allclose(np.diff(where) * edge, spacing, rtol=1e-5)
    # Half a voxel at either end at most is added or lost, more only where the field of view is thinner than one voxel.
    assert abs(len(where) * spacing - size * edge) <= max(spacing / 2 + 1e-4 * size, spacing - size * edge)


def test_a_header_that_stores_1_mm_in_float32_is_not_resampled():
    assert grid.sampling(9, edge_mm=float(np.float32(1.0)) - 6e-8, spacing_mm=1.0).tolist() == list(range(9))


def test_a_single_slice_stays_a_single_slice_and_keeps_its_thickness():
    image = np.random.default_rng(0).random((1, 8, 8), dtype=np.float32)
    positions = tuple(
        grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(image.shape, (5, 0.5, 0.5), strict=True)
    )
    assert grid.resample_image(image, positions).shape == (1, 4, 4)
    assert grid.resample_labels((image > 0.5).astype(np.uint8), positions).shape == (1, 4, 4)
    affine = grid.resampled_affine(np.diag([0.5, 0.5, 5, 1]), positions)
    np.testing.assert_allclose(np.linalg.norm(affine[:3, :3], axis=0), [1, 1, 5])


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.floats(0.4, 4)] * 3))
@settings(max_examples=25, deadline=None)
def test_resampled_voxels_hold_the_value_of_their_place(seed, edges):
    shape = tuple(np.random.default_rng(seed).integers(3, 12, 3))
    affine = np.diag([*edges[::-1], 1.0])
    positions = tuple(grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(shape, edges, strict=True))
    mine = grid.resample_image(at(affine, shape).astype(np.float32), positions)
    target = grid.resampled_affine(affine, positions)
    inside = tuple(slice(*np.searchsorted(p, [0, n - 1 + 1e-9])) for p, n in zip(positions, shape, strict=True))
    expected = at(target, mine.shape)
    if min(mine.shape) > 1:
        np.testing.assert_allclose(mine[inside], expected[inside], rtol=1e-4, atol=1e-2)


def test_linear_interpolation_agrees_with_scipy():
    image = np.random.default_rng(3).normal(size=(7, 11, 13)).astype(np.float32)
    positions = tuple(
        grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(image.shape, (2.5, 0.7, 1.3), strict=True)
    )
    theirs = ndimage.map_coordinates(image, np.meshgrid(*positions, indexing="ij"), order=1, mode="nearest")
    np.testing.assert_allclose(grid.resample_image(image, positions), theirs, atol=1e-5)


@given(st.integers(0, 2**32 - 1), st.tuples(*[st.floats(0.4, 4)] * 3))
@settings(max_examples=25, deadline=None)
def test_labels_are_those_of_the_largest_interpolated_indicator(seed, edges):
    generator = np.random.default_rng(seed)
    shape = tuple(generator.integers(2, 10, 3))
    labels = generator.integers(0, 4, shape).astype(np.uint8) * np.uint8(5)
    labels[generator.random(shape) < 0.5] = 0
    positions = tuple(grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(shape, edges, strict=True))
    leaning = (
        p if np.array_equal(p, np.arange(n)) else np.maximum(p - 1e-3, 0) for p, n in zip(positions, shape, strict=True)
    )
    where = np.meshgrid(*leaning, indexing="ij")
    share = np.stack(
        [ndimage.map_coordinates((labels == k).astype(float), where, order=1, mode="nearest") for k in (0, 5, 10, 15)]
    )
    ordered = np.sort(share, axis=0)
    decided = ordered[-1] - ordered[-2] > 1e-5
    mine = grid.resample_labels(labels, positions)
    np.testing.assert_array_equal(mine[decided], (5 * share.argmax(axis=0))[decided])


def test_a_ball_on_thick_slices_comes_out_rounder_than_by_nearest_neighbour():
    def ball(spacing, shape):
        centred = [(np.arange(n) - (n - 1) / 2) * e for n, e in zip(shape, spacing, strict=True)]
        z, y, x = np.meshgrid(*centred, indexing="ij")
        return (x**2 + y**2 + z**2 <= 15**2).astype(np.uint8)

    thick = ball((5, 0.8, 0.8), (9, 56, 56))
    positions = tuple(
        grid.sampling(n, edge_mm=e, spacing_mm=1.0) for n, e in zip(thick.shape, (5, 0.8, 0.8), strict=True)
    )
    mine = grid.resample_labels(thick, positions)
    nearest = thick[
        np.ix_(*(np.clip(np.rint(p).astype(int), 0, n - 1) for p, n in zip(positions, thick.shape, strict=True)))
    ]
    truth = ball((1, 1, 1), mine.shape)

    def dice(one, other):
        return 2 * (one & other).sum() / (one.sum() + other.sum())

    assert dice(mine, truth) > dice(nearest, truth) + 0.005
    assert abs(mine.sum() / truth.sum() - 1) < 0.05


def test_halving_the_resolution_neither_shrinks_nor_grows_boxes_on_average():
    # At 0.5 mm -> 1 mm every sample lies exactly between two voxels, so every edge is a tie.
    sizes = []
    for start in range(4, 8):
        for length in range(6, 10):
            labels = np.zeros((30, 4, 4), dtype=np.uint8)
            labels[start : start + length] = 1
            where = grid.sampling(30, edge_mm=0.5, spacing_mm=1.0)
            resampled = grid.resample_labels(labels, (where, np.arange(4.0), np.arange(4.0)))
            sizes.append(resampled[:, 0, 0].sum() - length / 2)
    assert abs(np.mean(sizes)) < 1e-6


def test_a_grid_that_fits_already_is_left_as_it_is():
    labels = np.random.default_rng(0).integers(0, 3, (4, 5, 6)).astype(np.uint8)
    image = labels.astype(np.float32)
    same = tuple(np.arange(n, dtype=float) for n in labels.shape)
    np.testing.assert_array_equal(grid.resample_labels(labels, same), labels)
    np.testing.assert_array_equal(grid.resample_image(image, same), image)
