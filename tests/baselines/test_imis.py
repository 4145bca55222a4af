"""IMIS-Net: names, prompts of three kinds, and what it does with a sentence."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from semantiseg.baselines.imis import ImisNet, ImisNetwork, ImisSizes, template
from semantiseg.baselines.sam_med2d import DEVIATION, MEAN
from semantiseg.errors import ModelError, PromptError

PICTURE = np.random.default_rng(5).integers(0, 256, (50, 90, 3), dtype=np.uint8)
TEXTS = [f"the {side} {organ}" for side in ("left", "right", "whole") for organ in ("kidney", "lung", "tumour")]

OFFICIAL_NAMES = 527, "821b62b2801825fed5aeee75f81ff34c962b5107334f193c595c673ca18e899f"
"""Count, and SHA-256 of the sorted lines "name [shape]", of the official network's state dict, built at f4519c0 under
the names that its pinned transformers gives the text tower."""


@pytest.fixture
def model(small_imis_net):
    return small_imis_net


def test_names_and_shapes_of_the_weights_are_the_official_ones():
    with torch.device("meta"):
        state = ImisNetwork(ImisSizes()).state_dict()
    lines = "\n".join(f"{name} {list(value.shape)}" for name, value in sorted(state.items()))
    assert (len(state), hashlib.sha256(lines.encode()).hexdigest()) == OFFICIAL_NAMES


def test_a_sentence_goes_into_the_template_past_the_closed_vocabulary():
    assert template("Left  Kidney-tumor_core") == "A segmentation area of a left kidney tumor core."


def test_nine_sentences_together_are_nine_one_by_one_and_differ(model):
    encoded = model.encode(PICTURE)
    together = model.answer(encoded, texts=TEXTS)
    alone = np.concatenate([model.answer(encoded, texts=[text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.shape == (9, 50, 90) and np.ptp(together, axis=0).max() > 1e-3


def test_the_sentence_marks_the_map_beyond_its_token(model):
    embedding = model.encode(PICTURE).embedding
    network = model.network
    tokens = torch.zeros(1, 768)
    logits, _ = network.ask(embedding, text=tokens)
    # Of a zero text, text_output's bias is left: its map is added to every mask.
    with torch.inference_mode():
        bias, network.mask_decoder.text_output.bias.data = network.mask_decoder.text_output.bias.data, torch.zeros(96)
        without, _ = network.ask(embedding, text=tokens)
        network.mask_decoder.text_output.bias.data = bias
        added = logits - without
    assert added.abs().max() > 1e-4
    torch.testing.assert_close(added[:, 0], added[:, 2], rtol=1e-3, atol=1e-5)


@torch.inference_mode()
def test_a_box_is_given_by_its_last_pixels_in_the_models_frame_and_the_mask_returns_in_two_steps(model):
    entered = np.asarray(Image.fromarray(PICTURE).resize((64, 64), Image.Resampling.NEAREST)).astype(np.float32)
    normed = (entered - np.float32(MEAN)) / np.float32(DEVIATION)
    embedding = model.network.image_encoder(torch.from_numpy(normed).permute(2, 0, 1)[None])
    box = torch.tensor([[9 * 64 / 90, 5 * 64 / 50, 81 * 64 / 90 - 1, 40 * 64 / 50 - 1]])
    logits, believed = model.network.ask(embedding, boxes=box)
    best = logits[0, believed[0].argmax()][None, None]
    square = F.interpolate(best, size=(64, 64), mode="bilinear", align_corners=False)
    expected = torch.sigmoid(F.interpolate(square, size=(50, 90), mode="bilinear", align_corners=False))[0, 0]
    found = model.ask(PICTURE, boxes=np.float32([[5, 9, 40, 81]]))[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_points_of_the_foreground_and_of_the_background_are_told_apart(model):
    encoded = model.encode(PICTURE)
    points = np.array([[[10, 20]], [[10, 20]], [[40, 80]]])
    found = model.answer_points(encoded, points, np.array([[1], [0], [1]]))
    assert found.shape == (3, 50, 90)
    assert np.abs(found[0] - found[1]).max() > 1e-4 and np.abs(found[0] - found[2]).max() > 1e-4


@pytest.mark.parametrize(
    ("points", "labels"),
    [([[[50, 0]]], [[1]]), ([[[0, -1]]], [[1]]), ([[[0, 0]]], [[2]]), ([[0, 0]], [[1]]), ([[[0, 0]]], [[1, 0]])],
)
def test_points_outside_the_picture_and_unpaired_labels_are_refused(model, points, labels):
    with pytest.raises(ModelError, match="points: expected"):
        model.answer_points(model.encode(PICTURE), np.array(points), np.array(labels))


def test_a_sentence_longer_than_the_context_is_refused(model):
    with pytest.raises(PromptError, match="at most 77"):
        model.ask(PICTURE, texts=["cat " * 75])


def test_weights_of_another_model_are_refused(tmp_path):
    torch.save({"image_encoder.blocks.0.norm1.weight": torch.zeros(1)}, tmp_path / ImisNet.file)
    with pytest.raises(ModelError, match="IMIS-Net, got those of SAM or MedSAM"):
        ImisNet.from_folder(tmp_path)
