"""The wiring file: what can be built, and that no layer is ever left random."""

from __future__ import annotations

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from semantiseg.errors import ModelError
from semantiseg.models.gate import GATES
from semantiseg.models.registry import FULL, WIDTHS, build, load
from semantiseg.params import Pretrain
from semantiseg.recipes import RECIPES

CONFIG = {"model": "scalar", "width": "tiny", "image_size": 32, "text_width": 12}


@pytest.fixture
def folder(tmp_path):
    torch.manual_seed(0)
    network = build("scalar", width="tiny", image_size=32, text_width=12)
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"seed": 0}))
    return tmp_path


def test_the_parameters_name_exactly_the_widths_and_the_recipes_the_gates_of_the_registry():
    assert {recipe.gate for recipe in RECIPES.values()} == set(GATES)
    assert set(Pretrain.model_fields["width"].annotation.__args__) == {*WIDTHS, *FULL}


@pytest.mark.parametrize("width", sorted(WIDTHS))
def test_all_models_start_from_the_same_weights_wherever_they_share_layers(width):
    states = {}
    for name, recipe in RECIPES.items():
        own = ("gates.", "projection.") if recipe.reading == "from_scratch" else ("gates.",)
        torch.manual_seed(0)
        state = build(name, width=width, image_size=96, text_width=16).state_dict()
        states[name] = {key: value for key, value in state.items() if not key.startswith(own)}
    first = states["token"]
    for name, other in states.items():
        shared = {key for key in first if name != "from_scratch" or not key.startswith("projection.")}
        assert len(shared) > 40 and shared == other.keys()
        assert all(torch.equal(first[key], other[key]) for key in shared)


def test_loading_gives_back_the_saved_model(folder):
    loaded, state = load(folder), load_file(folder / "model.safetensors")
    assert not loaded.training
    assert all(torch.equal(value, state[key]) for key, value in loaded.state_dict().items())


def test_partial_weights_are_named_and_nothing_is_loaded(folder):
    state = load_file(folder / "model.safetensors")
    del state["gates.2.mlp.0.weight"]
    save_file(state, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"missing \['gates\.2\.mlp\.0\.weight'\]"):
        load(folder)


def test_weights_of_another_model_are_named(folder):
    (folder / "config.json").write_text(json.dumps(CONFIG | {"model": "token"}))
    with pytest.raises(ModelError, match=r"missing \['gates\.0\.image_query\.bias'.*unknown \['gates\.0\.mlp"):
        load(folder)
    (folder / "config.json").write_text(json.dumps(CONFIG | {"text_width": 13}))
    with pytest.raises(ModelError, match=r"projection\.sentence\.0\.weight \(12,\) instead of \(13,\)"):
        load(folder)


@pytest.mark.parametrize("fault", ["truncated", "absent", "pickled", "no config", "key"])
def test_a_broken_model_folder_is_refused(folder, fault):
    weights = folder / "model.safetensors"
    if fault == "truncated":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif fault == "absent":
        weights.unlink()
    elif fault == "pickled":
        torch.save({"a": torch.zeros(1)}, weights)
    elif fault == "no config":
        (folder / "config.json").unlink()
    else:
        (folder / "config.json").write_text(json.dumps({"model": "scalar"}))
    with pytest.raises(ModelError, match="Train it again"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"model": "magic"}, r"model: expected one of \['token'.*got 'magic'"),
        ({"width": "huge"}, "width: expected one of"),
        ({"image_size": 72}, "image_size: expected a multiple of 16, got 72"),
    ],
)
def test_what_cannot_be_built_is_named(change, words):
    arguments = {"model": "token", "width": "small", "image_size": 96, "text_width": 12} | change
    with pytest.raises(ModelError, match=words):
        build(arguments.pop("model"), **arguments)


def test_a_gpu_that_is_not_there_is_refused(folder, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="accelerator: expected a GPU that PyTorch can use, got none"):
        load(folder, accelerator="cuda")
