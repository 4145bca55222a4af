"""The start of a full-size training: published weights where they belong, and a model that trains and answers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import timm
import torch
from clip_folder import write_clip_folder
from full_size_start import write_start
from safetensors.torch import load_file, save_file

from semantiseg.errors import ModelError
from semantiseg.models.encoders import BiomedCLIPText
from semantiseg.models.registry import FULL, build, load, start_from
from semantiseg.models.text import encode_texts
from semantiseg.recipes import RECIPES

TEXTS = ("kidney", "mass in the right kidney", "liver")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("start") / "clip"
    return folder, write_clip_folder(folder)


def start(out, clip, **change):
    arguments = {"width": "paper_tiny", "image_size": 96, "biomedclip": clip[0], "imagenet": None, "seed": 0} | change
    return write_start(out, **arguments)


def test_the_streams_start_from_both_published_weights(clip, tmp_path):
    torch.manual_seed(1)
    network = timm.create_model("convnext_tiny", **FULL["paper_tiny"].convnext_sizes)
    save_file(network.state_dict(), tmp_path / "convnext.safetensors")
    assert start(tmp_path / "out", clip, imagenet=tmp_path / "convnext.safetensors")["frequency"] == "imagenet"
    written, towers = load_file(tmp_path / "out/model.safetensors"), clip[1].visual.state_dict()
    assert towers and all(torch.equal(value, written[f"semantic.visual.{name}"]) for name, value in towers.items())
    stage = "stages.3.blocks.0.conv_dw.weight"
    assert torch.equal(written[f"frequency.{stage}"], network.state_dict()[stage])


def test_a_random_convnext_is_said_to_be_random(clip, tmp_path):
    start(tmp_path, clip)
    assert json.loads((tmp_path / "config.json").read_text())["frequency"] == "random"


@pytest.mark.parametrize("model", RECIPES)
def test_a_full_size_model_answers_any_slice_with_biomedclip_s_own_text(clip, tmp_path, model):
    start(tmp_path, clip)
    features = encode_texts(TEXTS, encoder=BiomedCLIPText(clip[0]))
    network = start_from(tmp_path, model=model, text_width=48, sentence_width=32)
    boxes = np.array([[5, 5, 30, 30]] * 3) if model == "box" else None
    answer = network.segment(np.random.default_rng(0).random((70, 50)), TEXTS, features=features, boxes=boxes)
    assert answer.probabilities.shape == (3, 70, 50) and np.isfinite(answer.probabilities).all()


def test_training_moves_the_frequency_stream_and_blocks_9_to_11_and_nothing_else_of_the_image_tower(clip, tmp_path):
    start(tmp_path, clip)
    network = start_from(tmp_path, model="token", text_width=48, sentence_width=32).train()
    network.streams.prepare_training()
    moved = {name for name, value in network.named_parameters() if value.requires_grad}
    tower = {name for name in moved if name.startswith("streams.semantic.")}
    assert {name.split(".")[5] for name in tower} == {"9", "10", "11"}
    for kind in ("stem", "stages", "lateral"):
        names = {name for name, _ in network.named_parameters() if name.startswith(f"streams.frequency.{kind}")}
        assert names and names <= moved


def test_a_trained_full_size_model_is_read_without_biomedclip(clip, tmp_path):
    network = build("token", width="paper_tiny", image_size=96, text_width=48, sentence_width=32)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = {"model": "token", "width": "paper_tiny", "image_size": 96, "text_width": 48, "sentence_width": 32}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read, state = load(tmp_path), network.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in read.state_dict().items())
    (tmp_path / "config.json").write_text(json.dumps(config | {"sentence_width": 40}))
    with pytest.raises(ModelError, match=r"projection.sentence.0.weight \(32,\) instead of \(40,\)"):
        load(tmp_path)


def test_the_paper_s_preset_refuses_a_smaller_image_tower_and_names_its_layers(clip, tmp_path):
    with pytest.raises(ModelError, match=r"image tower.*trunk.cls_token \(1, 1, 192\) instead of \(1, 1, 768\)"):
        start(tmp_path / "out", clip, width="paper")
    assert not (tmp_path / "out").exists()


def test_an_image_tower_of_other_colours_is_refused(clip, tmp_path):
    folder = tmp_path / "clip"
    folder.mkdir()
    for path in clip[0].iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["preprocess_cfg"]["std"] = [0.5, 0.5, 0.5]
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"preprocess_cfg.std .*got \[0.5, 0.5, 0.5\]"):
        start(tmp_path / "out", (folder, None))


@pytest.mark.parametrize(("change", "word"), [({"width": "small"}, "width"), ({"image_size": 100}, "image_size")])
def test_unknown_sizes_are_named(clip, tmp_path, change, word):
    with pytest.raises(ModelError, match=f"{word}: expected"):
        start(tmp_path / "out", clip, **change)
