"""Attributes of regions against bodies whose numbers are known."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.bench.measure import regions as measured
from semantiseg.bench.measure.cases import case_attributes

SHAPE = (40, 44, 48)


def ball(radius, centre=(20, 22, 24), shape=SHAPE):
    where = np.ogrid[tuple(slice(size) for size in shape)]
    return sum((axis - middle) ** 2 for axis, middle in zip(where, centre, strict=True)) <= radius**2


def only(mask, **options):
    return measured.regions(mask, spacing_mm=options.get("spacing_mm", 1.0))[0]


def values(found):
    return {one.attribute: one for one in found}


def test_a_ball_has_its_volume_its_diameter_and_sphericity_one():
    found = values(measured.geometry(only(ball(10)), spacing_mm=2.0, slice_mm=1.0))
    assert found["volume"].number == pytest.approx(4 / 3 * np.pi * 20**3 / 1000, rel=0.02)
    assert found["renal_size"].number == pytest.approx(42, abs=1.5)  # 21 voxels with their edges
    assert found["sphericity"].number == pytest.approx(1, abs=0.05)
    cube = np.zeros(SHAPE, bool)
    cube[10:30, 10:30, 10:30] = True
    assert values(measured.geometry(only(cube), spacing_mm=1, slice_mm=1))["sphericity"].number == pytest.approx(
        (np.pi / 6) ** (1 / 3),
        abs=0.07,  # smoothing rounds the edges
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_longest_diameter_is_the_largest_distance_between_corners_of_a_slice(seed):
    image = np.random.default_rng(seed).random((1, 9, 13)) > 0.8
    corners = np.concatenate([np.argwhere(image[0]) + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    farthest = np.linalg.norm(corners[:, None] - corners[None], axis=-1).max()
    region = measured.Region((slice(0, 1), slice(0, 9), slice(0, 13)), image, int(image.sum()))
    size = values(measured.geometry(region, spacing_mm=2.0, slice_mm=3.0))["renal_size"]
    assert size.number == pytest.approx(2 * farthest)


def test_an_organ_is_asked_for_no_core():
    around = measured.surroundings(only(ball(8)), None, others=ball(8), spacing_mm=1.0, cored=False)
    image = np.random.default_rng(0).random(SHAPE)
    assert set(values(measured.intensity(image, around, unit=1.0))) == {"contrast", "heterogeneity"}


def test_on_thick_slices_no_sphericity_is_measured():
    assert "sphericity" not in values(measured.geometry(only(ball(8)), spacing_mm=1.0, slice_mm=3.0))


@pytest.mark.parametrize("thickness", [1, 2, 3])
def test_sphericity_is_measured_only_where_a_region_has_a_surface_at_this_grid(thickness):
    """A sheet of one voxel lies below half everywhere once it is smoothed; real oedema has such regions."""
    sheet = np.zeros(SHAPE, bool)
    sheet[10 : 10 + thickness, 5:35, 5:35] = True
    found = values(measured.geometry(only(sheet), spacing_mm=1.0, slice_mm=1.0))
    assert ("sphericity" in found) == (thickness > 1)
    assert found["volume"].number == pytest.approx(0.9 * thickness)
    if thickness > 1:
        assert 0 < found["sphericity"].number < 0.5


def test_a_region_whose_surface_would_lose_its_thin_part_has_no_sphericity():
    """Volume of the whole over the surface of its thick part would make it rounder than a ball."""
    mask = np.zeros(SHAPE, bool)
    mask[10, 5:35, 5:35] = True
    mask[8:13, 8:13, 8:13] = True
    assert "sphericity" not in values(measured.geometry(only(mask), spacing_mm=1.0, slice_mm=1.0))


@pytest.mark.parametrize(("radius", "word"), [(12, "small"), (20, None), (27, "medium"), (45, "large")])
def test_size_has_the_words_of_renal_outside_their_dead_bands(radius, word):
    region = only(ball(9))
    scaled = measured.geometry(region, spacing_mm=radius / 9.5, slice_mm=3.0)
    size = values(scaled)["renal_size"]
    assert size.value == word and (size.margin > 0) == (word is not None)


def test_a_side_is_said_only_clear_of_the_midline():
    region = only(ball(6))
    assert [measured.side(region, midline=column, spacing_mm=1.0).value for column in (10, 22, 24, 26, 40)] == [
        "right", None, None, None, "left",
    ]  # fmt: skip
    assert measured.side(region, midline=14.0, spacing_mm=2.0).margin == pytest.approx(20 - measured.CLEAR_MM)


def test_poles_are_thirds_of_the_organ_and_unknown_where_it_is_cut_off():
    organ = np.zeros(SHAPE, bool)
    organ[5:35, 10:30, 10:30] = True
    home = only(organ)
    words = [measured.pole(only(ball(4, (height, 20, 20))), home, depth=40).value for height in (9, 15, 20, 31)]
    assert words == ["lower pole", None, "interpolar", "upper pole"]
    assert measured.pole(only(ball(4)), home, depth=35) is None


def test_ranks_need_a_clear_lead():
    mask = ball(8, (20, 12, 12)) | ball(5, (20, 30, 12)) | ball(5, (20, 30, 35)) | ball(1, (3, 3, 44))
    found = measured.regions(mask, spacing_mm=1.0)
    assert len(found) == 3, "a piece of 7 mm3 is no region"
    assert [one.value for one in measured.ranks(found)] == ["largest", None, None]
    assert measured.ranks(found[:1])[0].value == "solitary"


def lesion(contrast_hu, core_hu, *, seed=0):
    """A ball of 8 mm in an organ, on a window of 400 HU with noise of 8 HU."""
    rng = np.random.default_rng(seed)
    mask, organ = ball(8), ball(18)
    image = np.full(SHAPE, 50.0) + rng.normal(0, 8, SHAPE)
    image[mask] += contrast_hu
    image[ball(4)] += core_hu
    around = measured.surroundings(only(mask), organ, others=mask, spacing_mm=1.0)
    return values(measured.intensity((image + 150) / 400, around, unit=400.0))


def test_contrast_is_the_difference_to_the_organ_in_hu():
    assert lesion(-30, 0)["contrast"].number == pytest.approx(-30, abs=1.5)
    assert lesion(0, 0)["heterogeneity"].number == pytest.approx(1, abs=0.1)


def test_a_dark_core_is_said_beyond_its_dead_band_only():
    assert lesion(0, -40)["core"].value == "low-density core"
    assert lesion(0, 0)["core"].value == "no low-density core"
    assert lesion(0, -12.5)["core"].value is None


def test_proportions_fall_into_vasaris_bins():
    whole = np.zeros((10, 10, 10), bool)
    whole[:] = True
    part = np.zeros_like(whole)
    part[:2] = True
    (found,) = measured.proportions({"enhancing_tumour": part}, whole=whole)
    assert found.number == pytest.approx(0.2) and found.value == "5 to 33%"
    part[:] = False
    part[0, :5] = True
    assert next(measured.proportions({"x": part}, whole=whole)).value is None, "5% is on the limit"


def test_a_shell_around_a_core_is_a_ring_of_its_thickness():
    core = ball(8)
    found = values(measured.rim(ball(14) & ~core, core, spacing_mm=1.0))
    assert found["rim share"].value == "ring-enhancing" and found["rim thickness"].value == "thick"
    half = ball(14) & ~core
    half[23:] = False
    assert values(measured.rim(half, core, spacing_mm=1.0))["rim share"].value is None


def test_a_case_is_measured_region_by_region_on_each_channel():
    labels = np.zeros(SHAPE, np.uint8)
    labels[4:36, 8:34, 6:20], labels[4:36, 8:34, 28:42] = 1, 1
    labels[ball(5, (20, 20, 34))] = 2
    facts = {"channel": "CT", "modality": "CT", "lateral": True, "midline": 23.5, "spacing_mm": 1.0,
             "source_spacing_mm": [1, 1, 1], "window_low": -150.0, "window_high": 250.0}  # fmt: skip
    structures = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
    image = np.random.default_rng(0).normal(0.5, 0.02, SHAPE)
    rows = case_attributes(labels, {"c:CT": image}, structures=structures, facts={"c:CT": facts})
    found = {(row["structure"], row["region"], row["attribute"]): row["value"] for row in rows}
    assert {key[:2] for key in found} == {("kidney", 1), ("kidney", 2), ("kidney_tumour", 1)}
    assert found["kidney_tumour", 1, "side"] == "right" and found["kidney_tumour", 1, "pole"] == "interpolar"
    assert found["kidney_tumour", 1, "rank"] == "solitary"
