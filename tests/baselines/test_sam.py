"""SAM and MedSAM through transformers: both formats, and each model's own preprocessing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.transform import resize
from transformers import SamConfig, SamImageProcessor, SamModel

from semantiseg.baselines.ask_picture import fill_by_formula
from semantiseg.baselines.sam import (
    DECODER_EPSILON,
    POSITIONS,
    POSITIONS_TWIN,
    MedSam,
    Sam,
    _squash,
    load_sam,
    to_transformers,
    transformers_name,
)
from semantiseg.baselines.sam_network import SamNetwork, SamSizes
from semantiseg.errors import ModelError

SIZES = SamSizes(image_size=256, patch=32, width=24, depth=3, heads=2, window=3, global_blocks=(1,), decoder_hidden=32)
PICTURE = np.random.default_rng(7).integers(0, 256, (90, 140, 3), dtype=np.uint8)
BOXES = np.float32([[10, 20, 60, 70], [0, 0, 90, 140], [33, 5, 80, 139]])


def config():
    """The small network in transformers' words."""
    return SamConfig(
        vision_config={
            "hidden_size": SIZES.width, "num_hidden_layers": SIZES.depth, "num_attention_heads": SIZES.heads,
            "image_size": SIZES.image_size, "patch_size": SIZES.patch, "window_size": SIZES.window,
            "global_attn_indexes": list(SIZES.global_blocks), "mlp_dim": 4 * SIZES.width,
        },
        prompt_encoder_config={
            "image_size": SIZES.image_size, "patch_size": SIZES.patch,
            "image_embedding_size": SIZES.image_size // SIZES.patch,
        },
        mask_decoder_config={"mlp_dim": SIZES.decoder_hidden, "layer_norm_eps": DECODER_EPSILON},
    )  # fmt: skip


@pytest.fixture(scope="module")
def original():
    """A small SAM under the official names, written here: an implementation independent of transformers."""
    return fill_by_formula(SamNetwork(SIZES, adapter=False), seed=2)


@pytest.fixture(scope="module")
def folder(original, tmp_path_factory):
    """One set of weights as an original `.pth` of each name, and as transformers saves it."""
    place = tmp_path_factory.mktemp("sam")
    torch.save(original.state_dict(), place / Sam.original)
    network = SamModel(config())
    load_sam(network, place / Sam.original)
    network.save_pretrained(place / "hub")
    return place


def loaded(path):
    network = SamModel(config())
    load_sam(network, path)
    return network


def test_original_and_transformers_files_give_the_same_masks(folder):
    for kind in (Sam, MedSam):
        one = kind(loaded(folder / Sam.original)).ask(PICTURE, boxes=BOXES)
        other = kind(loaded(folder / "hub" / "model.safetensors")).ask(PICTURE, boxes=BOXES)
        assert (one == other).all() and one.shape == (3, 90, 140)
        assert np.ptp(one) > 1e-3 and np.abs(one[0] - one[1]).max() > 1e-4  # neither constant nor deaf to the box


@torch.inference_mode()
def test_transformers_computes_what_the_original_network_computes(original, folder):
    entered = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 3, 256, 256), dtype=np.float32))
    boxes = torch.tensor([[20.0, 30.0, 200.0, 180.0], [0.0, 0.0, 256.0, 256.0]])
    embedding = original.image_encoder(entered)
    network = loaded(folder / Sam.original).eval()
    torch.testing.assert_close(network.get_image_embeddings(entered), embedding, rtol=1e-4, atol=1e-5)
    for multimask in (False, True):
        logits, believed = original.ask_boxes(embedding, boxes, multimask=multimask)
        found = network(image_embeddings=embedding, input_boxes=boxes[None], multimask_output=multimask)
        torch.testing.assert_close(found.pred_masks[0], logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.iou_scores[0], believed, rtol=1e-4, atol=1e-5)


def test_every_official_name_of_vit_b_has_its_place_in_transformers(shared):
    official = np.load(shared / "golden" / "sam_med2d_seed0.npz")["keys"].tolist()
    renamed = {transformers_name(name) for name in official if ".Adapter." not in name}
    with torch.device("meta"):
        expected = set(SamModel(SamConfig()).state_dict())
    assert renamed | {POSITIONS} == expected and POSITIONS_TWIN in renamed


def test_names_of_transformers_stay_as_they_are(folder):
    state = loaded(folder / Sam.original).state_dict()
    assert to_transformers(state).keys() == state.keys()


@torch.inference_mode()
def test_sam_prepares_a_picture_as_the_processor_of_transformers_does(folder):
    model = Sam(loaded(folder / Sam.original))
    processor = SamImageProcessor(
        size={"longest_edge": 256}, pad_size={"height": 256, "width": 256}, mask_size={"longest_edge": 64},
        mask_pad_size={"height": 64, "width": 64},
    )  # fmt: skip
    for picture in (PICTURE, PICTURE.transpose(1, 0, 2).copy()):
        prepared = processor(Image.fromarray(picture), return_tensors="pt")
        expected = model.network.get_image_embeddings(prepared["pixel_values"])
        torch.testing.assert_close(model.encode(picture).embedding, expected, rtol=0.02, atol=0.02)
        scale = 256 / 140
        boxes = torch.from_numpy(BOXES[:1, [1, 0, 3, 2]] * np.float32(scale))
        if picture is PICTURE:
            logits = model.network(
                image_embeddings=model.encode(picture).embedding, input_boxes=boxes[None], multimask_output=False
            )
            masks = processor.post_process_masks(
                logits.pred_masks, prepared["original_sizes"], prepared["reshaped_input_sizes"], binarize=False
            )
            found = model.ask(picture, boxes=BOXES[:1])[0]
            np.testing.assert_allclose(found, torch.sigmoid(masks[0][0, 0]).numpy(), atol=5e-3)


@torch.inference_mode()
def test_medsam_squashes_and_scales_by_the_pictures_own_range_and_interpolates_probabilities(original, folder):
    small = resize(PICTURE, (256, 256), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    scaled = ((small - small.min()) / np.clip(small.max() - small.min(), 1e-8, None)).astype(np.float32)
    embedding = original.image_encoder(torch.from_numpy(scaled).permute(2, 0, 1)[None])
    box = np.array([[20, 10, 70, 60]]) / np.array([140, 90, 140, 90]) * 256  # (x, y, x, y)
    logits, _ = original.ask_boxes(embedding, torch.from_numpy(box.astype(np.float32)), multimask=False)
    expected = F.interpolate(torch.sigmoid(logits), size=(90, 140), mode="bilinear", align_corners=False)[0, 0]
    found = MedSam(loaded(folder / Sam.original)).ask(PICTURE, boxes=BOXES[:1])[0]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


@torch.inference_mode()
def test_a_grey_picture_is_prepared_as_its_three_equal_channels_are(folder):
    model = MedSam(loaded(folder / Sam.original))
    grey = PICTURE[:, :, :1].repeat(3, axis=2)
    expected = resize(grey, (256, 256), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    assert (_squash(grey, 256) == expected).all()
    assert np.isfinite(model.ask(np.full((8, 8), 90, np.uint8), boxes=np.float32([[1, 1, 5, 5]]))).all()  # flat


def test_other_models_and_incomplete_weights_are_refused(folder, original, tmp_path):
    torch.save({"image_encoder.blocks.0.Adapter.norm.weight": torch.zeros(1)}, tmp_path / "adapters.pth")
    with pytest.raises(ModelError, match="SAM or MedSAM, got those of SAM-Med2D"):
        loaded(tmp_path / "adapters.pth")
    state = dict(original.state_dict())
    del state["mask_decoder.iou_token.weight"]
    state["image_encoder.pos_embed"] = torch.zeros(1, 4, 4, 24)
    torch.save(state, tmp_path / "less.pth")
    with pytest.raises(ModelError) as error:
        loaded(tmp_path / "less.pth")
    assert "missing ['mask_decoder.iou_token.weight']" in str(error.value)
    assert "vision_encoder.pos_embed (1, 4, 4, 24) instead of (1, 8, 8, 24)" in str(error.value)


def test_without_a_file_no_model_is_made(tmp_path):
    with pytest.raises(ModelError, match="sam_vit_b_01ec64.pth: expected a weight file"):
        Sam.from_folder(tmp_path)
