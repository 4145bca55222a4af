"""On which scale intensities are, by what evidence, and what is shown."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.data import window
from semantiseg.data.case import Channel
from semantiseg.data.intensity import ABDOMEN_HU, LUNG_HU, in_hounsfield, modality_of, recognise
from semantiseg.data.nifti import image_values, read
from semantiseg.errors import DataError


def ct(values, *, origin="user", leaves=("spleen",), stated=""):
    return recognise(np.asarray(values, np.float32), modality="CT", origin=origin, leaves=leaves, stated=stated)


def mr(values):
    return recognise(np.asarray(values, np.float32), modality="MR", origin="user", leaves=())


def body(seed: int = 0) -> np.ndarray:
    """Air, lung, fat, soft tissue and bone in HU with noise, as `[D, H, W]`."""
    tissue = np.array([-1000, -1000, -800, -100, 40, 60, 120, 900])
    rng = np.random.default_rng(seed)
    image = rng.choice(tissue, (6, 30, 40)) + rng.normal(0, 10, (6, 30, 40))
    return np.clip(np.rint(image), -1024, 3000)


def clipped(image, low, high):
    """The image rescaled from its window to [0, 1]."""
    return (np.clip(image, low, high) - low) / (high - low)


SCALES = {
    "HU": (lambda hu: hu, ABDOMEN_HU),
    "HU, air cut off": (lambda hu: np.clip(hu, -160, 240), ABDOMEN_HU),
    "HU+1024": (lambda hu: hu + 1024, (874, 1274)),
    "8-bit": (lambda hu: np.rint(255 * clipped(hu, -160, 240)), (0, 255)),
    "0 to 1": (lambda hu: clipped(hu, -160, 240), (0, 1)),
    "-1 to 1": (lambda hu: 2 * clipped(hu, -1000, 1000) - 1, (-1, 1)),
    "0 to 1000": (lambda hu: 1000 * clipped(hu, -1000, 1000), (0, 1000)),
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("seed", range(3))
def test_each_way_to_store_a_ct_is_recognised_and_gets_its_window(name, seed):
    stored, limits = SCALES[name]
    found = ct(stored(body(seed)))
    assert (found.scale, found.window) == (name.partition(",")[0], limits)
    assert in_hounsfield(found.low) == (found.scale == "HU")


def test_a_z_scored_ct_is_recognised_and_shown_by_percentiles():
    hu = body()
    found = ct((hu - hu.mean()) / hu.std())
    assert found.scale == "z-scored" and "standard deviation 1" in found.evidence
    assert -3 < found.low < found.high < 3
    assert not in_hounsfield(found.low)


def test_hounsfield_units_with_an_offset_show_the_same_picture_and_the_same_body():
    hu = body().astype(np.float32)
    pictures = [window.shown(image, ct(image).window) for image in (hu, hu + 1024)]
    np.testing.assert_allclose(*pictures, atol=1e-6)
    bodies = [image > window.body_threshold(image, ct(image)) for image in (hu, hu + 1024)]
    np.testing.assert_array_equal(*bodies)


def test_a_ct_of_no_known_scale_stops_with_the_parameter_to_set():
    with pytest.raises(DataError, match="got values from 0 to 20000 .*--set prepare.intensity=HU"):
        ct([0, 5000, 20000])
    assert ct([0, 5000, 20000], stated="HU").window == ABDOMEN_HU


def test_what_is_stated_is_believed_unless_the_values_rule_it_out():
    assert ct(body() + 1024, stated="HU").scale == "HU"
    assert ct([0, 0.7], stated="rescaled").window == (0, 1)
    with pytest.raises(DataError, match="prepare.intensity=rescaled: .* got -1000 to 1500"):
        ct([-1000, 1500], stated="rescaled")


def test_ct_is_windowed_by_site():
    assert ct([-1000, 1500]).window == ABDOMEN_HU
    assert ct([-1000, 1500], leaves=("lung_tumour",)).window == LUNG_HU


def test_published_collections_are_in_hu_whatever_their_range():
    assert ct([0, 254], origin="official").window == ABDOMEN_HU


def test_the_share_that_a_window_cuts_off_is_counted():
    found = ct([-1000, -1000, -151, -150, 0, 250, 251, 3000])
    assert (found.below, found.above) == (3 / 8, 2 / 8)
    assert "cuts off 37.5% of the voxels below and 25.0% above" in str(found)


def test_mr_percentiles_do_not_count_the_empty_background():
    image = np.zeros(10_000, np.float32)
    image[:1000] = np.linspace(100, 200, 1000)
    assert 100 < mr(image).low < 101 and 199 < mr(image).high < 200


def test_mr_windows_follow_a_change_of_scale_so_that_the_picture_stays():
    image = np.random.default_rng(0).gamma(3, 50, (4, 20, 20)).astype(np.float32)
    np.testing.assert_allclose(*(window.shown(one, mr(one).window) for one in (image, image * 1024)), atol=1e-5)


@given(st.lists(st.floats(-40000, 40000, width=32), min_size=2, max_size=30, unique=True))
def test_any_values_get_a_window_or_a_sentence(values):
    try:
        found = ct(values)
    except DataError as error:
        assert "expected" in str(error)
    else:
        assert found.low < found.high and 0 <= found.below + found.above <= 1


def test_a_modality_that_nobody_states_is_told_with_its_evidence():
    assert modality_of(body()) == ("CT", "taken for a CT, since its values go down to -1024")
    assert modality_of(np.array([0, 900.0]))[0] == "MR"


@pytest.mark.parametrize(
    ("folder", "scale"), [("ct-plus1024", "HU+1024"), ("ct-minus1-1", "-1 to 1"), ("no-lesion-label", "HU")]
)
def test_the_shared_cases_are_recognised(shared, folder, scale):
    for path in sorted((shared.parent / "cases" / folder / "imagesTr").iterdir()):
        assert ct(image_values(read(path)[0], Channel("CT", "CT", path))).scale == scale


def test_the_shared_slices_are_8_bit(shared):
    paths = sorted((shared / "Task101_AbdomenSlices/imagesTr").iterdir())
    assert {ct(np.asanyarray(nib.load(path).dataobj)).scale for path in paths[::10]} == {"8-bit"}


@pytest.mark.parametrize("seed", range(5))
def test_the_body_of_an_unknown_scale_is_parted_where_scikit_image_parts_it(seed):
    from skimage.filters import threshold_otsu

    rng = np.random.default_rng(seed)
    image = np.concatenate([np.zeros(50), rng.normal(40, 9, 300), rng.normal(120, 30, 500)])
    image = image.clip(0, 255).astype(np.float32)
    unknown = ct(image, stated="rescaled")
    assert window.body_threshold(image, unknown) == pytest.approx(float(threshold_otsu(image[image > image.min()])))


@pytest.mark.parametrize("image", [np.full(9, 3.0, np.float32), np.array([0, 5, 5], np.float32)])
def test_an_image_of_one_or_two_values_has_no_middle_and_no_error(image):
    unknown = ct(np.arange(256, dtype=np.float32), stated="rescaled")
    assert window.body_threshold(image, unknown) == image.max()
