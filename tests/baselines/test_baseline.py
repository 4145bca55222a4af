"""What all baselines share: two doors, one inside."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.baselines.baseline import Baseline, EncodedPicture
from semantiseg.errors import ModelError, PromptError
from semantiseg.models.protocol import ModelCard


class Bright(Baseline):
    """Marks what is bright inside a box, or, asked by text, pixels brighter than the text is long; counts its work."""

    card = ModelCard(label="Bright", reads=("text", "box"))
    together = 4

    def __init__(self) -> None:
        self.encoded, self.decoded = 0, []

    def encode(self, picture):
        self.encoded += 1
        return EncodedPicture(*picture.shape[:2], embedding=picture[:, :, 0])

    def decode(self, encoded, *, texts, boxes):
        self.decoded.append(len(texts if boxes is None else boxes))
        if boxes is None:
            return np.stack([encoded.embedding > len(text) for text in texts]).astype(np.float32)
        inside = np.zeros((len(boxes), encoded.height, encoded.width), dtype=np.float32)
        for mask, (top, left, bottom, right) in zip(inside, boxes.astype(int), strict=True):
            mask[top:bottom, left:right] = encoded.embedding[top:bottom, left:right] > 127
        return inside


class Boxes(Bright):
    card = ModelCard(label="Boxes", reads=("box",))


def slice_of(shape=(6, 9)):
    return np.random.default_rng(3).random(shape, dtype=np.float32)


def test_many_prompts_are_answered_in_parts_after_one_encoding():
    model, texts = Bright(), ["x" * length for length in range(1, 11)]
    found = model.ask(slice_of(), texts=texts)
    assert model.encoded == 1 and model.decoded == [4, 4, 2]
    one_by_one = np.concatenate([Bright().ask(slice_of(), texts=[text]) for text in texts])
    assert (found == one_by_one).all()


def test_a_slice_is_answered_where_it_lies_though_the_model_saw_it_turned():
    image = slice_of()
    answer = Bright().segment(image, ["x" * 100])
    assert (answer.probabilities[0] == (np.round(image * 255) > 100)).all() and answer.gate is None


def test_a_box_of_the_slice_and_of_its_picture_are_the_same_place():
    image = slice_of()
    boxes = np.float32([[1, 2, 4, 8], [0, 0, 6, 9]])
    found = Boxes().segment(image, ["a", "b"], boxes=boxes).probabilities
    expected = np.zeros((2, 6, 9), dtype=bool)
    expected[0, 1:4, 2:8] = np.round(image * 255)[1:4, 2:8] > 127
    expected[1] = np.round(image * 255) > 127
    assert (found == expected).all() and expected[0].any()


def test_where_a_protocol_found_no_box_the_answer_is_empty_and_the_model_is_not_asked():
    model = Boxes()
    boxes = np.float32([[0, 0, 0, 0], [0, 0, 6, 9]])
    found = model.segment(slice_of(), ["a", "b"], boxes=boxes).probabilities
    assert not found[0].any() and found[1].any() and model.decoded == [1]
    assert not Boxes().segment(slice_of(), ["a"], boxes=np.zeros((1, 4))).probabilities.any()


def test_a_model_that_reads_both_is_asked_by_text_until_it_is_asked_by_box():
    model = Bright()
    assert not model.needs_box
    assert model.asked_by_box() is model and model.needs_box
    assert not Bright().needs_box  # nothing spread to the class


def test_a_model_that_reads_text_alone_is_never_asked_by_box():
    class Text(Bright):
        card = ModelCard(label="Text", reads=("text",))

    with pytest.raises(ModelError, match="Text: .*text alone"):
        Text().asked_by_box()
    with pytest.raises(ModelError, match="no boxes"):
        Text().segment(slice_of(), ["a"], boxes=np.zeros((1, 4)))


@pytest.mark.parametrize(
    ("asked", "error", "said"),
    [
        ({"texts": ["liver"]}, ModelError, "by box, got text"),
        ({}, ModelError, "at least one"),
        ({"boxes": np.zeros((0, 4))}, ModelError, "at least one"),
        ({"boxes": np.float32([[0, 0, 6, 10]])}, ModelError, "box 0 reaches outside"),
    ],
)
def test_a_model_of_boxes_refuses_what_it_cannot_answer(asked, error, said):
    with pytest.raises(error, match=said):
        Boxes().ask(slice_of(), **asked)


def test_empty_texts_and_unpaired_texts_are_refused():
    with pytest.raises(PromptError, match="' '"):
        Bright().ask(slice_of(), texts=["liver", " "])
    with pytest.raises(ModelError, match="each of 2 boxes, got 1"):
        Bright().ask(slice_of(), texts=["liver"], boxes=np.float32([[0, 0, 1, 1]] * 2))
