"""Training from files to files."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
import small_training
import torch
from safetensors.torch import load_file

from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import load
from semantiseg.training import progress
from semantiseg.training import step as learner
from semantiseg.training.optimisation import NonFiniteLossError, cosine

PARAMETERS = small_training.PARAMETERS | {"steps": 3, "images_per_step": 2}
run = partial(small_training.run, parameters=PARAMETERS)


@pytest.mark.parametrize("model", ["token", "box"])
def test_two_trainings_write_the_same_bytes_and_another_seed_does_not(project, tmp_path, model):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        run(project, tmp_path / name, model=model, seed=seed)
    for file in ("model.safetensors", "config.json", "curve.csv"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "three")]
    assert weights[0] != weights[1]


def test_the_folder_holds_what_is_needed_to_answer(project, tmp_path):
    curve = run(project, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "curve.csv", "model.safetensors"]
    written = pd.read_csv(tmp_path / "curve.csv")
    assert list(written.columns) == ["step", "loss", "dice_l1", "dice_l2", "dice_l3"]
    np.testing.assert_allclose(written.to_numpy(), curve.to_numpy(), atol=1e-6)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model"] == "token" and config["text_width"] == 12 and config["steps"] == 3
    features = TextFeatures.load(project / "features.h5")
    with VolumeStore(project / "volumes") as store:
        answer = load(tmp_path).segment(store.image_slice("c:CT", 1), list(features.texts[:2]), features=features)
    assert answer.probabilities.shape == (2, 30, 30)


def test_the_image_streams_stay_as_pretrained(project, tmp_path):
    run(project, tmp_path)
    pretrained = load_file(project / "pretrained" / "model.safetensors")
    trained = load_file(tmp_path / "model.safetensors")
    assert pretrained and all(torch.equal(value, trained[f"streams.{name}"]) for name, value in pretrained.items())


def test_all_models_see_the_same_order(project, tmp_path, monkeypatch):
    seen: dict[str, list] = {}
    step = progress.descend

    def record(fabric, wrapped, adamw, loaded, questions, **names):
        (batch,) = loaded.batches
        seen.setdefault(model, []).append((batch.texts, batch.images))
        return step(fabric, wrapped, adamw, loaded, questions, **names)

    monkeypatch.setattr(progress, "descend", record)
    for model in ("token", "scalar", "bag_of_words", "box"):
        run(project, tmp_path / model, model=model)
    for other in ("scalar", "bag_of_words", "box"):
        for (texts, images), (other_texts, other_images) in zip(seen["token"], seen[other], strict=True):
            assert texts == other_texts and torch.equal(images, other_images)


def test_training_learns(project, tmp_path):
    curve = run(
        project, tmp_path, steps=120, images_per_step=4, prompts_per_image=5, augmentation=0.0, learning_rate=0.01
    )
    assert curve["loss"].iloc[-1] < 0.7 * curve["loss"].iloc[0]
    assert curve["dice_l1"].iloc[-1] > 0.6


def test_a_loss_that_is_not_finite_stops_and_names_the_prompts_and_writes_nothing(project, tmp_path, monkeypatch):
    monkeypatch.setattr(learner, "objective", lambda logits, *_, **__: logits.sum(dim=(1, 2)) * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"step 1: .*worded \d' \([ab]:CT slice \d: .*learning_rate"):
        run(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_text_that_was_not_encoded_is_named(project, tmp_path, change_training):
    changed = change_training(lambda table: table.assign(texts=[["a new sentence"]] * len(table)))
    with pytest.raises(PromptError, match="'a new sentence'.*encode"):
        run(project, tmp_path / "out", training=changed)


def test_settings_of_torch_come_back(project, tmp_path):
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    run(project, tmp_path)
    assert (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()) == before


def test_the_learning_rate_rises_then_falls_to_zero():
    factors = [cosine(step, steps=100) for step in range(101)]
    assert factors[0] == pytest.approx(0.2) and factors[4] == factors[5] == 1
    assert all(a >= b for a, b in zip(factors[5:], factors[6:], strict=False)) and factors[100] == pytest.approx(0)
