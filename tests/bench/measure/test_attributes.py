"""Attributes are what their formulas say on images whose answer is known, and borderline numbers earn no word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from semantiseg.bench.measure.attributes import clauses_of, holds, measure
from semantiseg.bench.measure.labelled_slice import LabelledSlice, Memo
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.program import atom, parse

SIZE = 64
WINDOW = (-160.0, 240.0)
GRID = np.indices((SIZE, SIZE)) - (SIZE - 1) / 2


def disc(radius: float, *, stretch: float = 1.0) -> np.ndarray:
    return (GRID[0] / stretch) ** 2 + (GRID[1] * stretch) ** 2 <= radius**2


def scan(
    target: np.ndarray, *, difference: float, noise: float = 0.02, target_noise: float | None = None, blur: float = 0.0
) -> np.ndarray:
    """Background 0.5 and target 0.5 + difference, with normal noise; `blur` smooths the boundary before the noise."""
    rng = np.random.default_rng(3)
    clean = 0.5 + difference * ndimage.gaussian_filter(target.astype(float), blur)
    return clean + rng.normal(0, 1, target.shape) * np.where(
        target, noise if target_noise is None else target_noise, noise
    )


def measured(
    image: np.ndarray, target: np.ndarray, *, modality: str = "CT", reference: np.ndarray | None = None
) -> dict:
    reference = ~target if reference is None else reference
    return measure(image, target, reference, modality=modality, window=WINDOW, spacing_mm=1.0)


@pytest.mark.parametrize(
    ("difference_hu", "value"),
    [(-60, "hypodense"), (-14, "hypodense"), (-10, None), (-6, "isodense"), (0, "isodense"), (6, "isodense"),
     (10, None), (14, "hyperdense"), (60, "hyperdense")],
)  # fmt: skip
def test_density_is_the_mean_difference_in_hu_with_a_dead_band(difference_hu, value):
    target = disc(12)
    found = measured(scan(target, difference=difference_hu / 400), target)["density"]
    assert found.number == pytest.approx(difference_hu, abs=1.0)
    assert found.value == value and (found.margin > 0) == (value is not None)


@pytest.mark.parametrize(
    ("sd", "value"), [(-3, "hypointense"), (-0.5, None), (0.1, "isointense"), (0.5, None), (2, "hyperintense")]
)
def test_signal_is_counted_in_standard_deviations_of_the_reference(sd, value):
    target = disc(15)
    found = measured(scan(target, difference=sd * 0.05, noise=0.05), target, modality="MR")["signal"]
    assert found.number == pytest.approx(sd, abs=0.12)
    assert found.value == value


@given(gain=st.floats(0.2, 5), offset=st.floats(-2, 2))
@settings(max_examples=25, deadline=None)
def test_mr_attributes_do_not_depend_on_gain_and_offset(gain, offset):
    target = disc(12)
    image = scan(target, difference=0.1, noise=0.03, blur=0.7)
    plain, changed = (measured(picture, target, modality="MR") for picture in (image, image * gain + offset))
    assert plain.keys() == changed.keys()
    for name in plain:
        assert changed[name].number == pytest.approx(plain[name].number, rel=1e-6, abs=1e-6)
        assert changed[name].value == plain[name].value


def test_a_ct_without_hounsfield_units_is_judged_by_the_spread_of_the_reference():
    target = disc(15)
    image = scan(target, difference=0.1, noise=0.05)
    found = measure(image, target, ~target, modality="CT", window=(0.0, 255.0), spacing_mm=1.0)["density"]
    assert (found.unit, found.value) == ("sd", "hyperdense")
    assert found.number == pytest.approx(2, abs=0.15)


def test_texture_compares_spreads_and_ignores_the_level():
    target = disc(12)
    values = {
        spread: measured(scan(target, difference=0.2, target_noise=spread), target)["texture"]
        for spread in (0.01, 0.02, 0.031, 0.06)
    }
    assert [item.value for item in values.values()] == ["homogeneous", "homogeneous", None, "heterogeneous"]
    assert values[0.06].number == pytest.approx(3, rel=0.15)


def test_two_tissues_around_a_target_do_not_count_as_a_coarse_reference():
    target = disc(10)
    image = scan(target, difference=0.0)
    image += np.where(GRID[1] > 0, 0.3, 0.0) * ~target
    assert measured(image, target)["texture"].number == pytest.approx(1, rel=0.25)


def test_a_sharp_border_is_well_defined_and_a_blurred_one_is_not():
    target = disc(14)
    sharp, between, blurred = (
        measured(scan(target, difference=0.3, blur=blur), target)["margin"] for blur in (0.0, 0.9, 2.0)
    )
    assert (sharp.value, between.value, blurred.value) == ("well_defined", None, "ill_defined")
    assert sharp.number == pytest.approx(1, abs=0.05)


def test_noise_does_not_sharpen_a_border():
    target = disc(14)
    calm, noisy = (
        measured(scan(target, difference=0.4, blur=2.0, noise=noise), target)["margin"].number
        for noise in (0.002, 0.08)
    )
    assert noisy == pytest.approx(calm, abs=0.12)


def test_no_margin_is_told_without_contrast_or_across_a_capsule():
    target = disc(14)
    assert "margin" not in measured(scan(target, difference=0.01), target)
    capsule = ndimage.binary_dilation(target, iterations=2) & ~ndimage.binary_erosion(target)
    assert "margin" not in measured(scan(target, difference=0.3) - 0.6 * capsule, target)


def test_shapes_that_a_person_would_name():
    thick_l = np.zeros((SIZE, SIZE), dtype=bool)
    thick_l[10:50, 10:20] = thick_l[40:50, 10:50] = True
    ring = disc(15) & ~disc(8)
    for mask, value in (
        (disc(12), "round"),
        (ring, "round"),
        (disc(12, stretch=1.6), "elongated"),
        (thick_l, "irregular"),
    ):
        assert measured(scan(mask, difference=0.1), mask)["shape"].value == value
    between = measured(scan(disc(12, stretch=1.2), difference=0.1), disc(12, stretch=1.2))["shape"]
    assert between.value is None and between.number == pytest.approx(1.2**-2, abs=0.03)


@pytest.mark.parametrize("radius", [5.0, 9.5, 20.0])
def test_the_diameter_of_a_disc_is_its_diameter_in_mm(radius):
    target = disc(radius)
    image = scan(target, difference=0.1)
    found = measured(image, target)["diameter"]
    assert found.number == pytest.approx(2 * radius, abs=1.5)
    assert found.value == str(round(found.number))
    fine = measure(image, target, ~target, modality="CT", window=WINDOW, spacing_mm=0.5)["diameter"]
    assert fine.number == pytest.approx(found.number / 2)


@given(st.integers(0, 3), st.booleans())
@settings(max_examples=8, deadline=None)
def test_turning_and_mirroring_the_picture_changes_nothing(turns, mirrored):
    target = disc(11, stretch=1.3)
    image = scan(target, difference=0.2, blur=0.8)

    def turned(array):
        return np.rot90(array[:, ::-1] if mirrored else array, turns)

    plain, other = measured(image, target), measured(turned(image), turned(target))
    assert {name: (round(item.number, 6), item.value) for name, item in plain.items()} == {
        name: (round(item.number, 6), item.value) for name, item in other.items()
    }


def test_shape_and_diameter_are_told_of_one_piece_only():
    two = np.zeros((SIZE, SIZE), dtype=bool)
    two[10:20, 10:20] = two[40:50, 40:50] = True
    found = measured(scan(two, difference=0.2), two)
    assert "density" in found and not {"shape", "diameter"} & set(found)


def test_a_thin_reference_gives_shape_only():
    target = disc(12)
    reference = np.zeros_like(target)
    reference[:2, :5] = True
    assert set(measured(scan(target, difference=0.2), target, reference=reference)) == {"shape", "diameter"}


def test_clauses_carry_their_evidence_and_hold_while_their_opposites_do_not():
    target = disc(12)
    found = measured(scan(target, difference=-0.2), target)
    clauses = dict(clauses_of(found))
    assert Clause("density", "hypodense") in clauses
    evidence = clauses[Clause("density", "hypodense")]
    assert evidence["unit"] == "HU" and evidence["number"] < -70 and evidence["margin"] > 50
    assert all(holds(clause, found) for clause in clauses)
    assert not holds(Clause("density", "hyperdense"), found)
    assert not holds(Clause("signal", "hypointense"), found)


def test_wrong_input_is_refused():
    with pytest.raises(PromptError, match="one shape"):
        measured(np.zeros((3, 3)), disc(5))
    with pytest.raises(PromptError, match="empty mask"):
        measured(np.zeros((SIZE, SIZE)), np.zeros((SIZE, SIZE), dtype=bool))


def test_a_lesion_is_compared_with_its_organ_and_not_with_other_lesions():
    structures = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
    labels = np.where(disc(25), 1, 0)
    labels[disc(8)] = 2
    labels[6:14, 28:34] = 3
    image = np.select([labels == 2, labels == 3, labels == 1], [0.5, 0.0, 0.6], 0.2)
    here = LabelledSlice(
        labels=labels, image=image, structures=structures, midline=10.0, spacing_mm=1.0, modality="CT", channel="CT",
        window=WINDOW, lateral=True,
    )  # fmt: skip
    tumour, name = here.reference(atom("kidney_tumour"))
    assert name == "parent"
    np.testing.assert_array_equal(tumour, labels == 1)
    organ, name = here.reference(atom("kidney"))
    assert name == "shell" and not (organ & (labels > 0)).any()
    distance = ndimage.distance_transform_edt(labels == 0)
    assert distance[organ].max() <= 6
    found, name = here.measure(parse("lesion(kidney_tumour)"))
    assert name == "parent" and found["density"].number == pytest.approx(-40)
    absent, name = replace(here, labels=np.zeros_like(labels), memo=Memo()).measure(parse("lesion(kidney_cyst)"))
    assert absent == {} and name == ""
