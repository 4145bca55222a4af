"""Where a region lies, against boxes whose places and gaps are known."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.bench.measure.cases import case_attributes
from semantiseg.bench.measure.regions import CLEAR_MM, Region, nearest, place, regions, surface

SHAPE = (40, 44, 48)


def box(*spans: tuple[int, int]) -> Region:
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(*span) for span in spans)] = True
    return regions(mask, spacing_mm=1.0)[0]


def at(centre: tuple[int, int, int]) -> Region:
    return box(*((middle - 2, middle + 3) for middle in centre))


ORGAN = box((5, 35), (7, 37), (9, 39))


def words(region: Region, *, parent: Region = ORGAN, shape=SHAPE, lateral: bool = True) -> dict[str, str | None]:
    return {one.attribute: one.value for one in place(region, parent, shape=shape, lateral=lateral)}


def test_each_axis_has_its_own_words_in_thirds_of_the_organs_box():
    assert words(at((9, 11, 13))) == {
        "height in parent": "inferior part", "depth in parent": "posterior part", "width in parent": "left part",
    }  # fmt: skip
    assert set(words(at((20, 22, 24))).values()) == {"middle"}
    assert words(at((31, 33, 35))) == {
        "height in parent": "superior part", "depth in parent": "anterior part", "width in parent": "right part",
    }  # fmt: skip


def test_near_the_limit_of_a_third_no_word_is_earned_and_the_margin_grows_away_from_it():
    assert words(at((15, 22, 24)))["height in parent"] is None
    margins = [
        next(one.margin for one in place(at((height, 22, 24)), ORGAN, shape=SHAPE, lateral=True))
        for height in (13, 11, 9)
    ]
    assert margins == sorted(margins) and margins[0] < margins[-1]


def test_left_and_right_are_not_said_where_headers_do_not_tell_nor_ends_of_what_is_cut_off():
    assert set(words(at((9, 11, 13)), lateral=False)) == {"height in parent", "depth in parent"}
    assert set(words(at((9, 11, 13)), shape=(35, 44, 48))) == {"depth in parent", "width in parent"}
    cut = box((5, 35), (0, 37), (9, 39))
    assert "depth in parent" not in words(at((9, 11, 13)), parent=cut)


def gap(region: Region, spacing_mm: float = 1.0, **others: Region):
    surfaces = {key: surface(one.mask) + [part.start for part in one.box] for key, one in others.items()}
    return list(nearest(region, surfaces, spacing_mm=spacing_mm))


def test_a_gap_is_zero_where_structures_touch_and_else_the_millimetres_between_them():
    assert gap(at((20, 20, 20)), liver=at((20, 20, 25)))[0].number == 0
    (found,) = gap(at((20, 20, 20)), 2.0, liver=at((20, 20, 31)))
    assert (found.number, found.unit, found.value) == (12.0, "mm", "liver")
    assert gap(at((20, 20, 20))) == []


@pytest.mark.parametrize(("further", "named"), [(2, None), (4, "liver")])
def test_the_nearest_is_named_only_with_a_clear_lead(further, named):
    (found,) = gap(at((20, 20, 20)), liver=at((20, 20, 27)), spleen=at((20, 27 + further, 20)))
    assert found.value == named and found.number == 2
    assert found.margin == pytest.approx(max(further - CLEAR_MM, 0))


FACTS = {"channel": "CT", "modality": "CT", "lateral": True, "midline": 23.5, "spacing_mm": 1.0,
         "source_spacing_mm": [1, 1, 1], "window_low": -150.0, "window_high": 250.0}  # fmt: skip


def measured(structures: dict[int, str]) -> dict[tuple[str, str], str | None]:
    labels = np.zeros(SHAPE, np.uint8)
    labels[5:35, 7:37, 9:39] = 1
    labels[8:13, 9:14, 11:16] = 2
    image = np.random.default_rng(0).normal(0.5, 0.02, SHAPE)
    rows = case_attributes(labels, {"c:CT": image}, structures=structures, facts={"c:CT": FACTS})
    return {(row["structure"], row["attribute"]): row["value"] for row in rows}


def test_a_case_places_a_lesion_in_its_organ_and_neither_is_its_own_neighbour():
    found = measured({1: "liver_parenchyma", 2: "liver_tumour"})
    assert found["liver_tumour", "height in parent"] == "inferior part"
    assert found["liver_tumour", "width in parent"] == "left part"
    assert not [key for key in found if key[1] == "nearest structure"], "a liver contains its tumour"
    assert not [key for key in found if key[0] == "liver" and "parent" in key[1]]


def test_without_a_labelled_organ_a_lesion_has_no_place_and_other_structures_are_neighbours():
    found = measured({1: "spleen", 2: "liver_tumour"})
    assert not [key for key in found if "parent" in key[1]]
    assert found["liver_tumour", "nearest structure"] == "spleen"
    assert found["spleen", "nearest structure"] == "liver_tumour"
