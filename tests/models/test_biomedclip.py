"""BiomedCLIP from a folder: the same answers as open_clip gives, and never a random layer."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from clip_folder import write_clip_folder
from open_clip.model import CustomTextCLIP
from open_clip.tokenizer import HFTokenizer
from safetensors.torch import load_file, save_file

from semantiseg.errors import ModelError, PromptError
from semantiseg.models.encoders import (
    MEAN,
    STD,
    TRAINED_BLOCKS,
    BiomedCLIPImageEncoder,
    BiomedCLIPText,
    read_biomedclip,
)
from semantiseg.models.text import encode_texts, write_features
from semantiseg.models.weights import load_checked

WEIGHTS = "open_clip_model.safetensors"
TEXTS = ("right kidney", "hypodense mass in the left half of the liver, excluding the cyst")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip") / "folder"
    return folder, write_clip_folder(folder)


@pytest.fixture
def copy(made, tmp_path):
    """A folder that a test may spoil."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in made[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def image_encoder(model: CustomTextCLIP) -> BiomedCLIPImageEncoder:
    encoder = BiomedCLIPImageEncoder(vit="vit_tiny_patch16_224", channels=32)
    load_checked(encoder.visual, model.visual.state_dict(), origin="test")
    return encoder.eval()


def test_a_folder_gives_the_towers_that_were_written(made):
    folder, model = made
    read = read_biomedclip(folder)
    assert read.context == 256 and not read.model.training
    assert not any(value.requires_grad for value in read.model.parameters())
    state = model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in read.model.state_dict().items())


def test_weights_of_pytorch_s_own_format_are_read_without_running_code(made, tmp_path):
    folder, model = tmp_path / "pickled", made[1]
    write_clip_folder(folder, pickled=True)
    torch.save(model.state_dict() | {"text.transformer.embeddings.position_ids": torch.arange(512)},
               folder / "open_clip_pytorch_model.bin")  # fmt: skip
    read = read_biomedclip(folder).model.state_dict()
    assert all(torch.equal(value, read[name]) for name, value in model.state_dict().items())


def test_f_sem_is_the_patch_tokens_after_the_visual_projection(made):
    model = made[1]
    images = torch.rand(2, 3, 224, 224)
    with torch.no_grad():
        maps = image_encoder(model)(images)
        mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
        normal = (images - mean) / std
        features = model.visual.trunk.forward_features(normal)
        # What open_clip itself calls the image's embedding is the same projection of the class token.
        torch.testing.assert_close(model.visual.head(features[:, 0]), model.encode_image(normal))
        by_hand = features[:, 1:] @ model.visual.head.proj.weight.T  # patches in rows from the top left
    assert maps.shape == (2, 32, 14, 14)
    torch.testing.assert_close(maps[:, :, 3, 5], by_hand[:, 3 * 14 + 5], atol=1e-5, rtol=1e-4)


def test_an_image_of_352_is_resized_to_what_the_tower_was_trained_on(made):
    encoder = image_encoder(made[1])
    flat = torch.full((1, 3, 352, 352), 0.4)
    with torch.no_grad():
        torch.testing.assert_close(encoder(flat), encoder(flat[..., :224, :224]), atol=1e-5, rtol=1e-4)


def test_only_blocks_9_to_11_are_trained_and_the_rest_stays_in_eval_mode(made):
    encoder = image_encoder(made[1]).train()
    encoder.prepare_training()
    trained = {name.split(".")[3] for name, value in encoder.named_parameters() if value.requires_grad}
    assert trained == {str(number) for number in TRAINED_BLOCKS} == {"9", "10", "11"}
    assert all(name.startswith("visual.trunk.blocks.") for name, p in encoder.named_parameters() if p.requires_grad)
    in_training = {name for name, module in encoder.named_modules() if module.training}
    assert in_training and all(name.split(".")[2] == "blocks" for name in in_training)
    assert {name.split(".")[3] for name in in_training} == {"9", "10", "11"}
    encoder(torch.rand(1, 3, 224, 224)).sum().backward()
    assert {name.split(".")[3] for name, p in encoder.named_parameters() if p.grad is not None} == {"9", "10", "11"}


def test_texts_are_read_as_open_clip_reads_them_padded(made):
    folder, model = made
    features = encode_texts(TEXTS, encoder=BiomedCLIPText(folder))
    assert (features.width, features.sentence_width) == (48, 32)
    padded = HFTokenizer(str(folder), context_length=256)(list(TEXTS))
    model.text.output_tokens = True
    with torch.no_grad():
        pooled, tokens = model.text(padded)
    model.text.output_tokens = False
    pooled = torch.nn.functional.normalize(pooled, dim=-1)
    for row, text in enumerate(TEXTS):
        length = int((padded[row] != 0).sum())
        feature = features[text]
        assert list(feature.ids) == padded[row, 1 : length - 1].tolist()
        np.testing.assert_allclose(feature.tokens, tokens[row, 1 : length - 1].numpy(), atol=5e-3)
        np.testing.assert_allclose(feature.pooled, pooled[row].numpy(), atol=2e-3)
        table = model.text.transformer.embeddings.word_embeddings.weight.detach().numpy()
        np.testing.assert_array_equal(feature.static, table[feature.ids].astype(np.float16))


@pytest.mark.parametrize("text", ["", "  ", "kidney " * 300])
def test_an_empty_prompt_and_one_longer_than_the_context_are_refused(made, text):
    with pytest.raises(PromptError, match="prompt: expected"):
        BiomedCLIPText(made[0]).tokenize([text])


def test_features_are_written_with_weights_from_a_known_place_only(made, tmp_path, monkeypatch):
    written = write_features(tmp_path / "features.h5", TEXTS, text_encoder="biomedclip", weights=made[0])
    assert len(written) == 2
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", str(tmp_path / "weights"))
    with pytest.raises(ModelError, match="weights/biomedclip/open_clip_config.json: expected"):
        write_features(tmp_path / "other.h5", TEXTS, text_encoder="biomedclip")


def test_partial_weights_are_refused_and_the_layers_named(copy):
    state = load_file(copy / WEIGHTS)
    del state["visual.trunk.blocks.7.attn.qkv.weight"]
    state["text.proj.0.weight"] = state["text.proj.0.weight"][:-1]
    state["visual.extra"] = torch.zeros(1)
    save_file(state, copy / WEIGHTS)
    with pytest.raises(ModelError) as error:
        read_biomedclip(copy)
    missing, unknown = "missing ['visual.trunk.blocks.7.attn.qkv.weight']", "unknown ['visual.extra']"
    assert all(part in str(error.value) for part in (missing, unknown, "text.proj.0.weight ("))


def test_a_file_that_needs_code_to_be_read_is_refused_and_its_code_not_run(copy, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (copy / WEIGHTS).unlink()
    (copy / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps({"visual.x": Trap()}))
    with pytest.raises(ModelError, match="needs no code to be read"):
        read_biomedclip(copy)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / WEIGHTS).unlink(), "expected one of"),
        (lambda folder: (folder / "open_clip_config.json").unlink(), "open_clip's model_cfg"),
        (lambda folder: (folder / "open_clip_config.json").write_text("{}"), "open_clip's model_cfg"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"cut short"), "file of named tensors"),
    ],
)
def test_a_folder_that_is_not_whole_is_named(copy, spoil, message):
    spoil(copy)
    with pytest.raises(ModelError, match=f"{copy.name}.*{message}"):
        read_biomedclip(copy)


def test_a_folder_without_tokenizer_is_named(copy):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copy / name).unlink()
    with pytest.raises(ModelError, match="copy: expected a tokenizer"):
        BiomedCLIPText(copy)


def test_another_architecture_than_configured_is_named(copy):
    config = json.loads((copy / "open_clip_config.json").read_text())
    config["model_cfg"]["vision_cfg"]["timm_model_name"] = "vit_small_patch16_224"
    (copy / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"visual.trunk.cls_token \(1, 1, 192\) instead of \(1, 1, 384\)"):
        read_biomedclip(copy)
