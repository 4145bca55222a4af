"""Grids, frames, fields, shapes and lesions of the phantoms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.data.phantom.anatomy import largest_piece, without_specks
from semantiseg.data.phantom.field import (
    Grid,
    Pose,
    blend,
    ellipsoid,
    patient_frame,
    smooth_noise,
    tube,
    union,
    without,
)
from semantiseg.data.phantom.lesion import Blob, blob_depth, choose_centre, descending_radii, room_inside
from semantiseg.randomness import Streams, stream

STILL = Pose(size=0, turn=0, shift=0, warp=0)


def still_frame(*, spacing=(1.0, 1.0, 2.0), scale=0.5, half=(50, 50, 50)):
    grid = Grid.covering(half_extent=half, centre=(0, 0, 0), spacing=spacing, scale=scale)
    return patient_frame(grid, stream("still"), pose=STILL)


def test_a_stream_depends_on_its_names_only():
    assert stream(1, "a").random() == stream(1, "a").random()
    assert stream(1, "a").random() != stream(1, "b").random()
    patient = Streams(1, "collection", "patient")
    first = patient("liver").random()
    patient("spleen").random()
    assert patient("liver").random() == first


def test_the_affine_places_the_grid_in_scan_millimetres_around_its_centre():
    grid = Grid.covering(half_extent=(30, 20, 10), centre=(4, 0, -10), spacing=(1.0, 1.0, 2.5), scale=0.4)
    assert grid.shape == (24, 16, 4)
    middle = grid.affine @ [*(np.array(grid.shape) - 1) / 2, 1]
    assert middle[:3] == pytest.approx([4 * 0.4, 0, -10 * 0.4])
    assert np.diff(grid.axes[2])[0] == pytest.approx(2.5 / 0.4)


def test_without_pose_the_patient_coordinates_are_the_scanner_coordinates():
    frame = still_frame()
    x, y, z = np.meshgrid(*frame.grid.axes, indexing="ij")
    for own, axis in zip((frame.x, frame.y, frame.z), (x, y, z), strict=True):
        assert own == pytest.approx(axis, abs=1e-3)


def test_a_pose_moves_and_deforms_but_keeps_directions():
    grid = Grid.covering(half_extent=(60, 60, 60), centre=(0, 0, 0), spacing=(2, 2, 2), scale=0.5)
    frame = patient_frame(grid, stream("anyone"), pose=Pose())
    for own, axis in ((frame.x, 0), (frame.y, 1), (frame.z, 2)):
        assert np.diff(own, axis=axis).min() > 0, "no folding: coordinates grow along their own axis"


@settings(max_examples=15, deadline=None)
@given(length=st.floats(2, 20), seed=st.integers(0, 10_000))
def test_smooth_noise_is_reproducible_and_of_about_unit_variance(length, seed):
    axes = tuple(np.arange(n) * s for n, s in ((60, 2.0), (50, 2.0), (40, 2.5)))
    field = smooth_noise(axes, np.random.default_rng(seed), length=length)
    assert field.shape == (60, 50, 40)
    assert (field == smooth_noise(axes, np.random.default_rng(seed), length=length)).all()
    assert 0.4 < field.std() < 1.6
    rough = np.abs(np.diff(field, axis=0)).mean()
    smoother = smooth_noise(axes, np.random.default_rng(seed), length=3 * length)
    assert np.abs(np.diff(smoother, axis=0)).mean() < rough


def test_the_depth_of_a_sphere_is_the_distance_to_its_surface():
    frame = still_frame()
    distance = np.sqrt(frame.x**2 + frame.y**2 + frame.z**2)
    depth = ellipsoid(frame, (0, 0, 0), (20, 20, 20))
    near = distance < 30
    assert depth[near] == pytest.approx(20 - distance[near], abs=0.05)
    assert (depth[distance > 36] < 0).all()


@settings(max_examples=10, deadline=None)
@given(radii=st.tuples(*[st.floats(12, 30)] * 3), turn=st.floats(0, 180))
def test_turning_an_ellipsoid_keeps_its_volume(radii, turn):
    frame = still_frame(spacing=(1, 1, 1))
    volume = 4 / 3 * np.pi * np.prod(radii)
    drawn = (ellipsoid(frame, (0, 0, 0), radii, about_z=turn, about_x=turn / 2) > 0).sum() * np.prod(frame.grid.voxel)
    assert drawn == pytest.approx(volume, rel=0.06)


def test_a_straight_tube_of_one_radius_is_a_capsule():
    frame = still_frame()
    depth = tube(frame, [(-20, 0, 0), (0, 0, 0), (20, 0, 0)], [8, 8, 8])
    along = np.clip(frame.x, -20, 20)
    distance = np.sqrt((frame.x - along) ** 2 + frame.y**2 + frame.z**2)
    near = distance < 15
    assert depth[near] == pytest.approx(8 - distance[near], abs=0.05)


def test_union_blend_and_without_obey_set_algebra():
    frame = still_frame()
    first, second = (ellipsoid(frame, (x, 0, 0), (20, 20, 20)) for x in (-10, 12))
    assert ((union(first, second) > 0) == ((first > 0) | (second > 0))).all()
    assert ((without(first, second) > 0) == ((first > 0) & (second < 0))).all()
    assert (without(first, second, gap=5) <= without(first, second)).all()
    assert (blend(first, second, width=8) >= union(first, second)).all()


@settings(max_examples=10, deadline=None)
@given(radius=st.floats(10, 25), roughness=st.floats(0.5, 3), seed=st.integers(0, 1000))
def test_a_rough_lesion_has_the_volume_of_its_radius(radius, roughness, seed):
    frame = still_frame(spacing=(1, 1, 1))
    depth = blob_depth(frame, np.random.default_rng(seed), Blob((0, 0, 0), radius, roughness=roughness))
    drawn = (depth > 0).sum() * np.prod(frame.grid.voxel)
    assert drawn == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)


@given(count=st.integers(0, 5), seed=st.integers(0, 1000))
def test_each_lesion_is_clearly_smaller_than_the_one_before(count, seed):
    radii = descending_radii(np.random.default_rng(seed), largest=(20, 30), count=count, ratio=1.5)
    assert len(radii) == count
    assert all(big / small >= 1.5 for big, small in zip(radii, radii[1:], strict=False))


def test_a_centre_is_allowed_clear_of_other_lesions_or_none():
    frame, rng = still_frame(), np.random.default_rng(0)
    allowed = ellipsoid(frame, (0, 0, 0), (40, 40, 40)) > 0
    other = Blob((0.0, 0.0, 0.0), 20)
    for _ in range(20):
        centre = choose_centre(frame, rng, allowed, apart=[other], radius=8)
        assert 1.2 * 28 + 6 < np.linalg.norm(centre) <= 41
    assert choose_centre(frame, rng, allowed, apart=[other], radius=40) is None
    assert choose_centre(frame, rng, np.zeros_like(allowed), radius=8) is None


def test_room_is_the_distance_to_the_border_of_the_host():
    frame = still_frame(spacing=(1, 1, 1))
    room = room_inside(frame, ellipsoid(frame, (0, 0, 0), (24, 24, 24)) > 0)
    assert room.max() == pytest.approx(24, abs=2.5)
    assert room_inside(frame, np.zeros(frame.grid.shape, bool)).max() == 0


def test_specks_go_and_pieces_stay():
    mask = np.zeros((20, 20, 20), bool)
    mask[2:10, 2:10, 2:10] = True
    mask[12:16, 12:16, 12:16] = True
    mask[18, 18, 18] = True
    assert without_specks(mask).sum() == 512 + 64
    assert largest_piece(mask).sum() == 512
    assert not without_specks(np.zeros_like(mask)).any()
