"""`semantiseg train`: a project's folder in, a model's folder out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from clip_folder import write_clip_folder
from full_size_start import write_start
from safetensors.torch import load_file

from semantiseg import params
from semantiseg.cli import main
from semantiseg.composition.composed import compose
from semantiseg.data.store import VolumeStore
from semantiseg.document import document_text, parse_document
from semantiseg.errors import ModelError, ParameterError
from semantiseg.models.encoders import BiomedCLIPText
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import load
from semantiseg.models.text import encode_texts
from semantiseg.training.loop import train_in_project

CPU = ("--accelerator", "cpu", "--precision", "32-true", "--workers", "0")


@pytest.fixture
def folder(project, tmp_path, monkeypatch):
    """A project that is ready to train the paper's architecture in small, on BiomedCLIP's own text features."""
    clip = tmp_path / "weights/biomedclip"
    write_clip_folder(clip)
    monkeypatch.delenv("SEMANTISEG_WEIGHTS", raising=False)
    data = tmp_path / "data"
    (data / "bench").mkdir(parents=True)
    (data / "volumes").symlink_to(project / "volumes")
    (data / "bench/training.parquet").symlink_to(project / "training.parquet")
    write_start(data / "pretrained", width="paper_tiny", image_size=64, biomedclip=clip, imagenet=None, seed=0)
    texts = TextFeatures.load(project / "features.h5").texts
    encode_texts(texts, encoder=BiomedCLIPText(clip)).save(data / "text/features.h5")
    values = parse_document(params.profile_text("paper"))
    values["train"] |= {"steps": 4, "images_per_step": 2, "prompts_per_image": 2}
    (tmp_path / "params.yaml").write_text(document_text(values))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_paper_s_architecture_is_trained_and_answers(folder):
    answer = CliRunner().invoke(main, ["train", "token", *CPU, "--every", "2"], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    assert (folder / "data/checkpoints/token.ckpt").is_file()
    started = load_file(folder / "data/pretrained/model.safetensors")
    trained = load_file(folder / "data/models/token/model.safetensors")
    moved = {name for name, value in started.items() if not torch.equal(value, trained[f"streams.{name}"])}
    tower = {name for name in moved if name.startswith("semantic.")}
    assert {name.split(".")[4] for name in tower} == {"9", "10", "11"}
    assert any(name.startswith("frequency.stages.") for name in moved)
    features = TextFeatures.load(folder / "data/text/features.h5")
    config = params.read_yaml(folder / "data/models/token/config.json")
    assert (config["text_encoder"], config["text_width"], config["sentence_width"]) == ("biomedclip", 48, 32)
    with VolumeStore(folder / "data/volumes") as store:
        image = store.image_slice("c:CT", 1)
    network, asked = load(folder / "data/models/token"), features.texts[:3]
    answer = network.segment(image, asked, features=features)
    assert answer.probabilities.shape == (3, 30, 30)
    with pytest.raises(ModelError, match=r"widths \(48, 32\).*got \(384, 384\).*text_encoder"):
        network.segment(image, asked, features=encode_texts(asked))
    # Asked without features it reads the sentences as in training: with BiomedCLIP's text tower, from weights/.
    alone = network.segment(image, asked).probabilities
    np.testing.assert_allclose(alone, answer.probabilities, atol=1e-3)  # features are kept in half precision
    volume = network.segment(np.stack([image, image]), asked).probabilities
    np.testing.assert_allclose(volume, np.stack([alone, alone], axis=1), atol=1e-6)
    composed = compose(network).segment(image, ["kidney without the tumour", "the wibbly thing"], features=None)
    given = encode_texts(["the wibbly thing"], encoder=BiomedCLIPText(folder / "weights/biomedclip"))
    again = compose(network).segment(image, ["kidney without the tumour", "the wibbly thing"], features=given)
    np.testing.assert_allclose(again.probabilities, composed.probabilities, atol=1e-3)


def test_a_model_that_params_yaml_does_not_name_is_refused(folder):
    answer = CliRunner().invoke(main, ["train", "box", *CPU])
    assert answer.exit_code == 1 and "Error: model: expected one of ['token', 'scalar']" in answer.output


def test_a_step_that_the_processes_do_not_divide_is_refused_before_training(folder):
    answer = CliRunner().invoke(main, ["train", "token", "--devices", "3"])
    assert answer.exit_code == 1 and "images_per_step: expected a multiple of 3" in answer.output


def test_tensorboard_is_optional_and_its_absence_named_before_training(folder, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "torch.utils.tensorboard", None)
    with pytest.raises(ParameterError, match="tensorboard: expected the package"):
        train_in_project(folder, "token", every=2, tensorboard=True, accelerator="cpu")
    assert not (folder / "data/models").exists()
