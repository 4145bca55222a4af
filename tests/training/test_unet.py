"""The plain U-Net: what it is trained on, for how long, and what it answers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from semantiseg.composition.composed import compose
from semantiseg.errors import ModelError, ParameterError, PromptError
from semantiseg.models.registry import load
from semantiseg.models.unet import noun_of
from semantiseg.params import Train
from semantiseg.training import unet
from semantiseg.training.hardware import Hardware
from semantiseg.training.loop import train
from semantiseg.training.preview import validation_previews

TINY = Train(
    steps=3, images_per_step=2, prompts_per_image=2, learning_rate=0.003, weight_decay=0.05, dice_weight=1.0,
    location_weight=0.5, reading_weight=0.05, dhn_weight=1.0, dhn_gamma=2.0, dhn_negatives=True, augmentation=0.5,
)  # fmt: skip


def inputs(project) -> dict:
    return {
        "volumes": project / "volumes", "training": project / "training.parquet",
        "features": project / "features.h5",
    }  # fmt: skip


def run(project, out, **change):
    arguments = {"parameters": TINY, "seed": 0, "threads": 1, "streams": project / "pretrained"}
    return unet.train_unet(**inputs(project), out=out, **(arguments | change))


def test_equal_steps_give_equal_weights_and_it_learns_the_nouns_of_training_labels(project, tmp_path):
    for name in ("one", "two"):
        curve = run(project, tmp_path / name, steps=4)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1] and list(curve) == ["step", "loss", "dice_l1", "dice_l2", "dice_l3"]
    assert json.loads((tmp_path / "one/config.json").read_text())["structures"] == ["organ(kidney)", "organ(liver)"]


@pytest.fixture(scope="module")
def trained(project, tmp_path_factory):
    out = tmp_path_factory.mktemp("unet")
    run(project, out, steps=120, parameters=TINY.model_copy(update={"images_per_step": 4, "augmentation": 0.0}))
    return out


def test_it_answers_the_noun_of_the_subject_and_composed_the_whole_sentence(project, trained):
    network = load(trained)
    texts = ["liver", "right kidney", "the kidney as seen by somebody strange", "spleen", "nothing at all"]
    image = validation_previews(trained, **inputs(project), count=1, seed=0)[0].image
    plain = network.segment(image, texts).probabilities
    assert plain.shape == (5, *image.shape) and not plain[3:].any()
    kidney = network.segment(image, ["kidney"]).probabilities[0]
    assert np.array_equal(plain[1], kidney) and np.array_equal(plain[2], kidney) and (kidney > 0.5).any()
    right = compose(network).segment(image, ["right kidney"], midline=16.0).probabilities[0]
    assert 0 < (right > 0.5).sum() < (kidney > 0.5).sum()
    volume = network.segment(np.stack([image, image]), ["kidney"]).probabilities
    assert volume.shape == (1, 2, *image.shape) and np.allclose(volume[0, 0], kidney)


def test_a_short_noun_means_a_structure_that_was_learned():
    known = ["lesion(liver_tumour)"]
    assert str(noun_of("somebody saw the tumour of oneself", known=known)) == known[0]
    assert noun_of("somebody saw the tumour of oneself", known=[]) is None


def test_what_it_cannot_read_is_refused(trained):
    network, image = load(trained), np.zeros((20, 20), np.float32)
    with pytest.raises(ModelError, match="no boxes"):
        network.segment(image, ["liver"], boxes=np.zeros((1, 4)))
    with pytest.raises(ModelError, match="at least one"):
        network.segment(image, [])
    with pytest.raises(PromptError, match="expected a sentence"):
        network.segment(image, [" "])


def test_it_gets_the_seconds_of_warm_up_and_training_together(project, tmp_path, monkeypatch):
    """Costs a step: 2 s of warm-up, 3 s of the rival, 0.5 s of its own; so 2 x 4 + 3 x 3 seconds are 34 steps."""
    streams = tmp_path / "streams"
    streams.mkdir()
    for file in (project / "pretrained").iterdir():
        (streams / file.name).write_bytes(file.read_bytes())
    config = {"width": "tiny", "image_size": 32, "steps": 4, "images_per_step": 2}
    (streams / "config.json").write_text(json.dumps(config))
    costs = iter((2.0, 3.0, 0.5))
    monkeypatch.setattr(unet, "seconds_a_step", lambda run: next(costs))
    run(project, tmp_path / "out", streams=streams)
    written = json.loads((tmp_path / "out/config.json").read_text())
    assert (written["steps"], written["rival_seconds"], written["rival"]) == (34, 17.0, "token")


def test_what_a_step_costs_is_measured_here(project, tmp_path, monkeypatch):
    monkeypatch.setattr(unet, "MEASURED", 1)
    run(project, tmp_path, parameters=TINY.model_copy(update={"steps": 1}))
    written = json.loads((tmp_path / "config.json").read_text())
    assert written["steps"] >= 1 and written["rival_seconds"] > 0 and written["processor_seconds"] > 0


def test_the_stage_trains_it_like_any_other_model_and_other_hardware_is_refused(project, tmp_path, monkeypatch):
    monkeypatch.setattr(unet, "seconds_a_step", lambda run: 1.0)
    arguments = {**inputs(project), "streams": project / "pretrained", "out": tmp_path, "parameters": TINY, "seed": 0}
    assert len(train(model="unet", threads=1, **arguments)) >= 1 and (tmp_path / "model.safetensors").is_file()
    with pytest.raises(ParameterError, match="Run the stage"):
        train(model="unet", threads=1, hardware=Hardware(augment="position"), **arguments)
