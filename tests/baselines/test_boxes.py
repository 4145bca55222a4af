"""Box protocols."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.baselines.boxes import PARENT, TARGET, LabelledPrompts, check_boxes, grounder, turned
from semantiseg.errors import ModelError
from semantiseg.models.protocol import Answer


def mask(top, left, bottom, right):
    there = np.zeros((8, 10), dtype=bool)
    there[top:bottom, left:right] = True
    return there


def never():
    raise AssertionError("this ground truth must not be looked at")


def asked(**given):
    return LabelledPrompts(
        np.zeros((8, 10)), ["a", "b"], **({"targets": never, "parents": never, "features": None} | given)
    )


class Marks:
    """Answers two prompts, the second with nothing."""

    needs_box = False

    def segment(self, image, texts, *, features=None, boxes=None):
        assert boxes is None
        return Answer(np.stack([mask(2, 3, 4, 5) * 0.9, mask(0, 0, 8, 10) * 0.5]).astype(np.float32), None)


def test_the_oracle_of_the_target_looks_at_targets_alone():
    targets = [mask(1, 2, 3, 4), np.zeros((8, 10), dtype=bool)]
    assert TARGET.draw(asked(targets=lambda: targets)).tolist() == [[1, 2, 3, 4], [0, 0, 0, 0]]


def test_the_oracle_of_the_parent_looks_at_parents_alone():
    parents = [mask(0, 0, 8, 4), mask(5, 5, 6, 6)]
    assert PARENT.draw(asked(parents=lambda: parents)).tolist() == [[0, 0, 8, 4], [5, 5, 6, 6]]


def test_a_grounder_sees_no_ground_truth_and_finds_nothing_where_it_marks_nothing():
    protocol = grounder(Marks(), name="marks")
    assert protocol.name == "grounder_marks"
    assert protocol.draw(asked()).tolist() == [[2, 3, 4, 5], [0, 0, 0, 0]]


def test_what_needs_a_box_grounds_nothing():
    model = Marks()
    model.needs_box = True
    with pytest.raises(ModelError, match="marks, which needs a box"):
        grounder(model, name="marks")


def test_protocols_have_names_of_their_own():
    assert len({TARGET.name, PARENT.name, grounder(Marks(), name="a").name, grounder(Marks(), name="b").name}) == 4


def test_every_wrong_box_is_named():
    boxes = [[0, 0, 8, 10], [3, 3, 3, 5], [-1, 0, 2, 2], [0, 0, 9, 1], [np.nan, 0, 1, 1]]
    with pytest.raises(ModelError) as error:
        check_boxes(np.float32(boxes), prompts=5, height=8, width=10)
    for part in ("box 1 is empty", "box 2 reaches outside", "box 3 reaches outside", "box 4 is not finite"):
        assert part in str(error.value)
    assert "box 0" not in str(error.value)


def test_a_box_for_each_prompt():
    with pytest.raises(ModelError, match=r"\[2, 4\]"):
        check_boxes(np.ones((1, 4)), prompts=2, height=8, width=10)


def test_turning_a_box_twice_leaves_it_and_turning_once_is_where_the_turned_mask_lies():
    there = mask(1, 2, 3, 9)
    box = np.float32([[1, 2, 3, 9], [0, 0, 0, 0]])
    once = turned(box, height=8, width=10)
    rows, columns = np.nonzero(there[::-1, ::-1])
    assert once[0].tolist() == [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
    assert (turned(once, height=8, width=10) == box).all() and not once[1].any()
