"""The assembled models: what each reads, and that one encoding serves all prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeatures
from semantiseg.models.prompts import PromptBatch, collate
from semantiseg.models.registry import build, build_streams
from semantiseg.models.segmenter import Segmenter
from semantiseg.recipes import RECIPES

S, E = 32, 12
TEXTS = ("bright lesion left of the kidney", "kidney", "kidney left of the bright lesion")
IDS = {"bright": 4, "lesion": 7, "left": 2, "of": 1, "the": 9, "kidney": 3}


def word_features() -> TextFeatures:
    """Three sentences; the first and the last have the same words in another order, hence other contextual tokens."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(10, E)).astype(np.float16)
    ids = [np.array([IDS[word] for word in text.split()], dtype=np.int32) for text in TEXTS]
    flat = np.concatenate(ids)
    return TextFeatures(
        texts=TEXTS,
        offsets=np.cumsum([0, *map(len, ids)], dtype=np.int64),
        tokens=rng.normal(size=(len(flat), E)).astype(np.float16),
        ids=flat,
        pooled=rng.normal(size=(3, E)).astype(np.float16),
        static=table[flat],
    )


def small(name: str) -> Segmenter:
    torch.manual_seed(3)
    return build(name, width="tiny", image_size=S, text_width=E).eval()


def ask(model: Segmenter, image: np.ndarray, texts=TEXTS, boxes=None):
    if model.needs_box and boxes is None:
        boxes = np.tile([2.0, 3.0, 15.0, 20.0], (len(texts), 1))
    return model.segment(image, list(texts), features=word_features(), boxes=boxes)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(5).random((27, 40), dtype=np.float32)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_answers_have_the_shape_of_the_slice_and_are_probabilities(name, image):
    answer = ask(small(name), image)
    assert answer.probabilities.shape == (3, *image.shape) and answer.probabilities.dtype == np.float32
    assert answer.probabilities.min() >= 0 and answer.probabilities.max() <= 1
    has_gate = name not in ("none", "box")
    assert (answer.gate is not None) == has_gate
    if has_gate:
        assert answer.gate.shape == (3, *image.shape)
        assert 0 <= answer.gate.min() <= answer.gate.max() <= 1


def test_the_scalar_gates_picture_is_constant_inside_the_frame_and_the_token_gates_is_not(image):
    assert np.ptp(ask(small("scalar"), image).gate, axis=(1, 2)).max() < 1e-6
    assert np.ptp(ask(small("token"), image).gate, axis=(1, 2)).min() > 1e-3


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_one_encoding_for_all_prompts_equals_asking_one_by_one(name, image):
    model = small(name)
    together = ask(model, image).probabilities
    for row, text in enumerate(TEXTS):
        np.testing.assert_allclose(ask(model, image, [text]).probabilities[0], together[row], atol=1e-5)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_each_prompt_reads_its_own_image(name):
    model = small(name)
    images = torch.rand(2, 1, S, S, generator=torch.Generator().manual_seed(0))
    features = [word_features()[text] for text in TEXTS]
    prompts = collate(features, reading=model.reading, boxes=np.full((3, 4), [0.1, 0.2, 0.6, 0.7]))
    mixed = model(images, torch.tensor([1, 0, 1]), prompts)
    for row, owner in enumerate((1, 0, 1)):
        alone = model(images[owner : owner + 1], torch.zeros(3, dtype=torch.int64), prompts)
        torch.testing.assert_close(mixed[row], alone[row], atol=1e-5, rtol=1e-4)


def test_word_order_cannot_matter_to_the_bag_of_words(image):
    answers = ask(small("bag_of_words"), image).probabilities
    assert np.array_equal(answers[0], answers[2])
    assert not np.array_equal(answers[0], answers[1])


@pytest.mark.parametrize("name", ["token", "scalar", "none", "from_scratch"])
def test_word_order_can_matter_to_models_that_read_sentences(name, image):
    answers = ask(small(name), image).probabilities
    assert not np.array_equal(answers[0], answers[2])


def test_a_text_encoder_from_scratch_sees_word_numbers_and_none_of_the_frozen_encoders_features(image):
    model, features = small("from_scratch"), word_features()
    blind = replace(
        features,
        tokens=np.zeros_like(features.tokens),
        static=np.zeros_like(features.static),
        pooled=np.ones_like(features.pooled),
    )
    known = model.segment(image, list(TEXTS), features=features).probabilities
    assert np.array_equal(model.segment(image, list(TEXTS), features=blind).probabilities, known)
    renamed = replace(features, ids=features.ids + 1)
    assert not np.array_equal(model.segment(image, list(TEXTS), features=renamed).probabilities, known)


@pytest.mark.parametrize("width", ["small_pixels", "small_semantic"])
def test_ablated_second_streams_have_the_shapes_of_the_paper_s(width):
    torch.manual_seed(0)
    full, ablated = (build_streams(width=name, image_size=64).eval() for name in ("small", width))
    images = torch.rand(2, 1, 64, 64)
    theirs, ours = full(images), ablated(images)
    assert theirs.detail.shape == ours.detail.shape
    assert [part.frequency.shape for part in theirs.stages] == [part.frequency.shape for part in ours.stages]
    zero = [not bool(part.frequency.any()) for part in ours.stages]
    assert all(zero) if width == "small_semantic" else not any(zero)


def test_the_box_model_never_sees_text_and_does_see_its_box(image):
    model = small("box")
    # One by one: in a batch, where a row lies in memory moves its last digit.
    one = [ask(model, image, [text]).probabilities[0] for text in TEXTS]
    assert np.array_equal(one[0], one[1]) and np.array_equal(one[0], one[2])
    other = ask(model, image, TEXTS[:1], boxes=np.array([[10.0, 10.0, 20.0, 30.0]])).probabilities
    assert not np.array_equal(one[0], other[0])


def test_boxes_are_asked_for_where_needed_and_refused_elsewhere(image):
    with pytest.raises(ModelError, match="a box for each prompt"):
        small("box").segment(image, ["kidney"], features=word_features())
    with pytest.raises(ModelError, match="reads text"):
        ask(small("token"), image, ["kidney"], boxes=np.zeros((1, 4)))


def test_the_same_picture_on_a_finer_grid_gives_the_same_answer():
    def picture(size: int) -> np.ndarray:
        rows, columns = (np.mgrid[:size, :size] + 0.5) / size
        return (0.5 + 0.3 * np.sin(5 * rows) * np.cos(4 * columns)).astype(np.float32)

    model = small("token")
    fine = ask(model, picture(2 * S)).probabilities
    logits = torch.logit(torch.from_numpy(ask(model, picture(S)).probabilities))[None]
    # The answer is made on the model's grid and interpolated to the slice's: a shift by half a pixel would show here.
    expected = torch.sigmoid(torch.nn.functional.interpolate(logits, scale_factor=2, mode="bilinear"))[0]
    np.testing.assert_allclose(fine, expected.numpy(), atol=0.02)


def test_left_and_right_are_told_apart(image):
    """A mirrored image must not simply give the mirrored answer: positions are part of what the model sees."""
    model = small("token")
    mirrored = ask(model, image[:, ::-1]).probabilities
    assert np.abs(mirrored[:, :, ::-1] - ask(model, image).probabilities).max() > 1e-3


def test_images_of_another_size_and_no_prompts_are_refused(image):
    model = small("token")
    with pytest.raises(ModelError, match=rf"expected \[B, 1, {S}, {S}\], got \[1, 3, {S}, {S}\]"):
        model.encode(torch.zeros(1, 3, S, S))
    with pytest.raises(ModelError, match="at least one"):
        ask(model, image, [])


def test_a_padded_prompt_equals_the_prompt_alone():
    model = small("token")
    features = [word_features()[text] for text in TEXTS]
    padded = collate(features, reading="contextual")
    alone = collate(features[1:2], reading="contextual")
    assert padded.tokens.shape[1] == 6 and alone.tokens.shape[1] == 1
    images = torch.rand(1, 1, S, S, generator=torch.Generator().manual_seed(0))
    owner = torch.zeros(3, dtype=torch.int64)
    torch.testing.assert_close(
        model(images, owner, padded)[1], model(images, owner[:1], alone)[0], atol=1e-5, rtol=1e-4
    )


def test_boxes_of_another_number_are_refused():
    with pytest.raises(ModelError, match=r"expected \[2, 4\]"):
        collate([word_features()["kidney"]] * 2, reading="none", boxes=np.zeros((3, 4)))


def test_collate_keeps_words_and_marks_padding():
    batch = collate([word_features()[text] for text in TEXTS], reading="contextual")
    assert isinstance(batch, PromptBatch) and len(batch) == 3
    assert batch.mask.sum(dim=1).tolist() == [6, 1, 6]
    assert not batch.tokens[1, 1:].any()
