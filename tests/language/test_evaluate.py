"""The value of programs: hand-worked cases and laws that hold on any label map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from semantiseg.errors import ProgramError
from semantiseg.language.evaluate import components, evaluate, is_defined
from semantiseg.language.program import Program, atom, call, parse

KIDNEYS = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
KIDNEY, TUMOUR, CYST = (atom(key) for key in ("kidney", "kidney_tumour", "kidney_cyst"))

MAPS = hnp.arrays(
    np.uint8, st.tuples(st.integers(3, 12), st.integers(3, 14)), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 3])
)
VOLUMES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 4), st.integers(3, 8), st.integers(3, 8)),
    elements=st.sampled_from([0, 0, 1, 2, 3]),
)


def value(program: Program | str, labels: np.ndarray, midline: float | None = None) -> np.ndarray:
    program = parse(program) if isinstance(program, str) else program
    return evaluate(
        program, labels, structures=KIDNEYS, midline=(labels.shape[-1] - 1) / 2 if midline is None else midline
    )


def test_a_hand_worked_slice():
    # Columns grow to the patient's right: the kidney on the right of this array is the right one.
    labels = np.array(
        [
            [1, 1, 0, 0, 1, 1, 3],
            [1, 0, 0, 0, 2, 1, 1],
        ],
        dtype=np.uint8,
    )
    right = np.zeros((2, 7), dtype=bool)
    right[:, 4:] = True
    np.testing.assert_array_equal(value("side(organ(kidney), right)", labels), right)
    np.testing.assert_array_equal(value("side(organ(kidney), left)", labels), (labels > 0) & ~right)
    np.testing.assert_array_equal(value("containing(organ(kidney), lesion(kidney_tumour))", labels), right)
    np.testing.assert_array_equal(value("without(organ(kidney), lesion(kidney_tumour))", labels), (labels > 0) & ~right)
    np.testing.assert_array_equal(
        value("minus(organ(kidney), lesion(kidney_cyst))", labels), (labels > 0) & (labels != 3)
    )
    np.testing.assert_array_equal(value("largest(organ(kidney))", labels), right)
    # Rows grow to anterior: of the right kidney's two rows the second is the anterior one.
    anterior = np.zeros((2, 7), dtype=bool)
    anterior[1, 4:] = True
    np.testing.assert_array_equal(value("half(side(organ(kidney), right), anterior)", labels), anterior)
    np.testing.assert_array_equal(
        value("facing(lesion(kidney_cyst), right, lesion(kidney_tumour))", labels), labels == 3
    )
    assert not value("facing(lesion(kidney_cyst), left, lesion(kidney_tumour))", labels).any()


@given(MAPS)
def test_minus_is_disjoint_from_what_it_leaves_out_and_lies_in_the_rest(labels):
    rest = value(call("minus", KIDNEY, TUMOUR), labels)
    assert not (rest & value(TUMOUR, labels)).any()
    assert not (rest & ~value(KIDNEY, labels)).any()
    np.testing.assert_array_equal(rest | (value(KIDNEY, labels) & value(TUMOUR, labels)), value(KIDNEY, labels))


@given(MAPS)
def test_union_is_the_smallest_mask_that_holds_both(labels):
    np.testing.assert_array_equal(value(call("union", TUMOUR, CYST), labels), (labels == 2) | (labels == 3))


@given(MAPS)
def test_sides_are_disjoint_and_make_up_everything_off_the_midline(labels):
    left, right = (
        value(call("side", KIDNEY, side), labels, midline=labels.shape[1] / 2 + 0.123) for side in ("left", "right")
    )
    assert not (left & right).any()
    np.testing.assert_array_equal(left | right, value(KIDNEY, labels))


@given(MAPS)
def test_mirroring_the_patient_swaps_the_sides(labels):
    left = value(call("side", KIDNEY, "left"), labels)
    np.testing.assert_array_equal(value(call("side", KIDNEY, "right"), labels[:, ::-1])[:, ::-1], left)


@given(MAPS, st.sampled_from([("left", "right"), ("anterior", "posterior")]))
def test_halves_are_disjoint_and_leave_out_only_the_line_through_the_centroid(labels, directions):
    one, other = (value(call("half", KIDNEY, direction), labels) for direction in directions)
    whole = value(KIDNEY, labels)
    assert not (one & other).any()
    left_out = whole & ~one & ~other
    axis = 1 if "left" in directions else 0
    assert len(np.unique(np.nonzero(left_out)[axis])) <= 1
    if whole.any():
        centre = np.nonzero(whole)[axis].mean()
        assert all(np.isclose(position, centre) for position in np.nonzero(left_out)[axis])


@given(VOLUMES)
def test_halves_of_a_volume_are_the_halves_of_its_slices(labels):
    program = call("half", KIDNEY, "anterior")
    whole = value(program, labels)
    for index, plane in enumerate(labels):
        np.testing.assert_array_equal(whole[index], value(program, plane))


@given(MAPS)
def test_within_keeps_whole_components(labels):
    kept = value(call("within", call("union", TUMOUR, CYST), KIDNEY), labels)
    np.testing.assert_array_equal(kept, (labels == 2) | (labels == 3))
    right = call("side", KIDNEY, "right")
    inside = value(call("within", TUMOUR, right), labels)
    assert not (inside & ~value(TUMOUR, labels)).any()
    labelled, count = components(value(TUMOUR, labels))
    for number in range(1, count + 1):
        part = labelled == number
        share = value(right, labels)[part].mean()
        assert inside[part].all() == (share >= 0.5) and inside[part].any() == (share >= 0.5)


@given(MAPS)
def test_containing_and_without_part_the_components(labels):
    bearing, free = (value(call(operation, KIDNEY, TUMOUR), labels) for operation in ("containing", "without"))
    assert not (bearing & free).any()
    np.testing.assert_array_equal(bearing | free, value(KIDNEY, labels))
    assert not (free & value(TUMOUR, labels)).any()


@given(MAPS)
def test_largest_and_smallest_are_single_components_of_extreme_size(labels):
    sizes = np.bincount(components(value(CYST, labels))[0].ravel())[1:]
    for operation, extreme in (("largest", np.max), ("smallest", np.min)):
        mask = value(call(operation, CYST), labels)
        assert components(mask)[1] == min(len(sizes), 1)
        assert mask.sum() == (extreme(sizes) if len(sizes) else 0)


@given(MAPS)
def test_facing_compares_centroids(labels):
    kept = value(call("facing", CYST, "anterior", TUMOUR), labels)
    tumour = value(TUMOUR, labels)
    labelled, count = components(value(CYST, labels))
    for number in range(1, count + 1):
        expected = tumour.any() and ndimage.center_of_mass(labelled == number)[0] > ndimage.center_of_mass(tumour)[0]
        assert kept[labelled == number].all() == expected


@given(MAPS)
def test_a_memo_changes_no_value(labels):
    memo: dict = {}
    for program in (
        call("minus", KIDNEY, CYST),
        call("side", KIDNEY, "right"),
        call("minus", call("side", KIDNEY, "right"), CYST),
    ):
        shared = evaluate(program, labels, structures=KIDNEYS, midline=3.0, memo=memo)
        np.testing.assert_array_equal(shared, evaluate(program, labels, structures=KIDNEYS, midline=3.0))


def test_a_structure_that_the_collection_does_not_label_is_an_error_and_not_an_empty_mask():
    labels = np.zeros((4, 4), dtype=np.uint8)
    assert not is_defined(atom("spleen"), KIDNEYS) and is_defined(KIDNEY, KIDNEYS)
    with pytest.raises(ProgramError, match="expected a collection that labels one of .*spleen"):
        value("organ(spleen)", labels)
    assert not value("lesion(kidney_cyst)", labels).any()
