"""SAM-Med2D: the official network, its pre- and post-processing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from semantiseg.baselines.ask_picture import fill_by_formula, formula_state
from semantiseg.baselines.sam_med2d import DEVIATION, FILE, MEAN, SamMed2d, build_sam_med2d
from semantiseg.baselines.sam_network import SamNetwork, SamSizes
from semantiseg.errors import ModelError

SMALL = SamSizes(image_size=256, patch=64, width=12, depth=2, heads=2, window=3, global_blocks=(1,), decoder_hidden=16)


@pytest.fixture(scope="module")
def golden(shared):
    """Outputs of the official network on formula weights."""
    return np.load(shared / "golden" / "sam_med2d_seed0.npz")


@pytest.fixture
def small():
    """A small network with adapters; random weights."""
    return fill_by_formula(SamNetwork(SMALL, adapter=True), seed=1)


def test_names_of_the_weights_are_the_official_ones(golden):
    with torch.device("meta"):
        assert sorted(build_sam_med2d().state_dict()) == sorted(golden["keys"].tolist())


@torch.inference_mode()
def test_the_golden_outputs_hold(golden):
    with torch.device("meta"):
        network = build_sam_med2d()
    network.load_state_dict(formula_state(network.state_dict(), seed=int(golden["seed"])), assign=True)
    network.eval()
    entered = np.random.default_rng(int(golden["seed"])).standard_normal((1, 3, 256, 256), dtype=np.float32)
    embedding = network.image_encoder(torch.from_numpy(entered))
    logits, believed = network.ask_boxes(embedding, torch.from_numpy(golden["box"])[None], multimask=True)
    for name, found in (
        ("image_embedding", embedding[0, ::16]),
        ("low_res_masks", logits[0]),
        ("iou", believed[0]),
    ):
        np.testing.assert_allclose(found.numpy(), golden[name], rtol=1e-3, atol=1e-4, err_msg=name)


def normed(picture):
    """As the official loader does it, in NumPy."""
    return (picture - np.float32(MEAN)) / np.float32(DEVIATION)


def official(network, entered, box, *, shape, crop):
    """The official path after preprocessing: best of three masks, two bilinear steps or one and a crop."""
    embedding = network.image_encoder(torch.from_numpy(entered).permute(2, 0, 1)[None])
    logits, believed = network.ask_boxes(embedding, torch.tensor([box]), multimask=True)
    best = logits[:, believed[0].argmax()][:, None]
    square = F.interpolate(best, size=(256, 256), mode="bilinear", align_corners=False)
    if crop is not None:
        return square[0, 0, crop[0] : crop[0] + shape[0], crop[1] : crop[1] + shape[1]]
    return F.interpolate(square, size=shape, mode="bilinear", align_corners=False)[0, 0]


@torch.inference_mode()
@pytest.mark.parametrize("shape", [(300, 431), (256, 100), (1024, 513)])
def test_larger_pictures_are_squashed_by_nearest_pixels_as_opencv_does(small, shape):
    picture = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    entered = cv2.resize(normed(picture), (256, 256), interpolation=cv2.INTER_NEAREST)
    top, left, bottom, right = 20, 30, 200, 90
    rows, columns = 256 / shape[0], 256 / shape[1]
    expected = official(
        small, entered, [left * columns, top * rows, right * columns, bottom * rows], shape=shape, crop=None
    )
    found = SamMed2d(small).ask(picture, boxes=np.float32([[top, left, bottom, right]]))
    np.testing.assert_allclose(found[0], torch.sigmoid(expected).numpy(), atol=1e-5)


@torch.inference_mode()
def test_smaller_pictures_are_padded_after_normalisation_and_cropped_back(small):
    picture = np.random.default_rng(0).integers(0, 256, (101, 200, 3), dtype=np.uint8)
    entered = np.zeros((256, 256, 3), dtype=np.float32)
    entered[77:178, 28:228] = normed(picture)
    expected = official(small, entered, [28 + 30.0, 77 + 20.0, 28 + 90.0, 77 + 80.0], shape=(101, 200), crop=(77, 28))
    box = np.float32([[20, 30, 80, 90]])
    found = SamMed2d(small).ask(picture, boxes=box)
    np.testing.assert_allclose(found[0], torch.sigmoid(expected).numpy(), atol=1e-5)
    assert (
        np.abs(SamMed2d(small, path="predictor").ask(picture, boxes=box) - found).max() > 1e-3
    )  # another official path


def test_nine_boxes_together_are_nine_boxes_one_by_one(small):
    picture = np.random.default_rng(0).integers(0, 256, (64, 80), dtype=np.uint8)
    boxes = np.float32([[i, 2 * i, i + 20, 2 * i + 30] for i in range(9)])
    model = SamMed2d(small)
    together = model.ask(picture, boxes=boxes)
    alone = np.concatenate([model.ask(picture, boxes=box[None]) for box in boxes])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.shape == (9, 64, 80) and np.ptp(together, axis=0).max() > 1e-4  # the box matters


def test_weights_of_sam_are_refused_though_most_names_agree(tmp_path):
    torch.save(SamNetwork(SMALL, adapter=False).state_dict(), tmp_path / FILE)  # no adapters
    with pytest.raises(ModelError, match="expected the weights of SAM-Med2D, got those of SAM or MedSAM"):
        SamMed2d.from_folder(tmp_path)


def test_one_name_missing_and_one_shape_off_are_both_named(tmp_path):
    with torch.device("meta"):
        names = build_sam_med2d().state_dict()
    state = {name: torch.zeros(1).expand(value.shape) for name, value in names.items()}
    del state["mask_decoder.iou_token.weight"]
    state["image_encoder.pos_embed"] = torch.zeros(1, 64, 64, 768)
    torch.save({"model": state}, tmp_path / FILE)
    with pytest.raises(ModelError) as error:
        SamMed2d.from_folder(tmp_path)
    assert "missing ['mask_decoder.iou_token.weight']" in str(error.value)
    assert "image_encoder.pos_embed (1, 64, 64, 768) instead of (1, 16, 16, 768)" in str(error.value)
