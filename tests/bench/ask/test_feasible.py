"""A program is asked only where the picture suffices and the answer does not hang on a hair."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.bench.ask.feasible import ask_absent, asked_on
from semantiseg.bench.ask.scene import Scene, scene_of
from semantiseg.bench.measure.labelled_slice import LabelledVolume
from semantiseg.language.program import parse

STRUCTURES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
MIDLINE = 29.5


def scene(draw) -> Scene:
    """A scene of 5 slices of 40 x 60 pixels; `draw` paints the labels."""
    labels = np.zeros((5, 40, 60), dtype=np.uint8)
    draw(labels)
    volume = LabelledVolume(
        labels=labels, image=None, structures=STRUCTURES, midline=MIDLINE, spacing_mm=1.0, modality="CT", channel="CT",
        window=(-150.0, 250.0), lateral=True,
    )  # fmt: skip
    return scene_of(volume, {"volume_id": "drawn:CT"})


def kidneys(labels: np.ndarray) -> None:
    labels[:, 10:30, 5:20] = labels[:, 10:30, 40:55] = 1


def asked(text: str, place: Scene, index: int = 2, minimum_pixels: int = 24):
    return asked_on(place, parse(text), index, minimum_pixels=minimum_pixels)


def test_a_target_below_the_minimum_is_not_asked():
    place = scene(kidneys)
    assert asked("organ(kidney)", place, minimum_pixels=600).target_pixels == 600
    assert asked("organ(kidney)", place, minimum_pixels=601) is None
    assert asked("lesion(kidney_tumour)", place) is None


def test_a_composition_that_changes_nothing_is_not_asked():
    def one_kidney(labels):
        labels[:, 10:30, 40:55] = 1

    assert asked("side(organ(kidney), right)", scene(kidneys)).parent_pixels == 600
    assert asked("side(organ(kidney), right)", scene(one_kidney)) is None


def test_an_exclusion_needs_something_to_leave_out_in_that_very_place():
    def cyst_on_the_left(labels):
        kidneys(labels)
        labels[:, 15:21, 8:14] = 3

    place = scene(cyst_on_the_left)
    found = asked("minus(side(organ(kidney), left), lesion(kidney_cyst))", place)
    assert found.facts["excluded_pixels"] == 36
    assert asked("minus(side(organ(kidney), right), lesion(kidney_cyst))", place) is None


@pytest.mark.parametrize(("cyst_columns", "expected"), [((42, 48), True), ((8, 14), False)])
def test_a_look_alike_is_left_out_only_if_it_lies_in_the_same_place(cyst_columns, expected):
    def draw(labels):
        kidneys(labels)
        labels[:, 15:21, slice(*cyst_columns)] = 3
        labels[:, 23:29, 46:52] = 2

    program = "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))"
    assert (asked(program, scene(draw)) is not None) == expected


def test_a_slice_that_cannot_tell_what_the_volume_says_is_not_asked():
    def touching_elsewhere(labels):
        kidneys(labels)
        labels[0, 15:21, 42:48] = 2

    # The tumour bears on slice 0 only: on slice 2 the picture shows two equal kidneys.
    place = scene(touching_elsewhere)
    assert asked("containing(organ(kidney), lesion(kidney_tumour))", place, index=0) is not None
    assert asked("containing(organ(kidney), lesion(kidney_tumour))", place, index=2) is None


def test_a_component_near_the_midline_is_on_neither_side():
    def central(column):
        def draw(labels):
            labels[:, 10:20, 5:15] = 2
            labels[:, 10:20, column : column + 10] = 2

        return draw

    assert asked("side(lesion(kidney_tumour), right)", scene(central(30))).facts["side_mm"] == pytest.approx(5)
    assert asked("side(lesion(kidney_tumour), right)", scene(central(27))) is None


def test_largest_is_asked_only_of_clearly_different_sizes():
    def two(width):
        def draw(labels):
            labels[:, 5:15, 5:15] = 3
            labels[:, 25:35, 5 : 5 + width] = 3

        return draw

    assert asked("largest(lesion(kidney_cyst))", scene(two(7))).facts["size_ratio"] == pytest.approx(100 / 70, abs=1e-3)
    assert asked("largest(lesion(kidney_cyst))", scene(two(9))) is None
    assert asked("smallest(lesion(kidney_cyst))", scene(two(9))) is None


def test_halves_are_asked_of_one_piece():
    def tumours(labels):
        labels[:, 5:15, 5:15] = labels[:, 20:30, 40:50] = 2
        labels[:, 20:30, 5:20] = 3

    place = scene(tumours)
    assert asked("half(lesion(kidney_cyst), anterior)", place) is not None
    assert asked("half(lesion(kidney_tumour), anterior)", place) is None


def test_absent_means_absent_on_the_slice_and_in_the_volume():
    def right_tumour(labels):
        kidneys(labels)
        labels[:, 15:21, 42:48] = 2

    place = scene(right_tumour)
    found = ask_absent(place, parse("within(lesion(kidney_tumour), side(organ(kidney), left))"), 2)
    assert found.target_pixels == 0 and found.parent_pixels == 600
    assert ask_absent(place, parse("within(lesion(kidney_tumour), side(organ(kidney), right))"), 2) is None
    assert ask_absent(place, parse("lesion(kidney_cyst)"), 2) is not None
