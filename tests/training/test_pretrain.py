"""The text-free warm-up of the image streams."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from semantiseg.data.store import VolumeStore
from semantiseg.errors import ModelError
from semantiseg.models.registry import start_from
from semantiseg.params import Pretrain
from semantiseg.training import pretrain as module
from semantiseg.training.optimisation import NonFiniteLossError
from semantiseg.training.pretrain import Atlas, pretrain
from semantiseg.training.questions import read_questions

TINY = Pretrain(
    image_size=32, width="tiny", steps=3, images_per_step=2, learning_rate=0.003, weight_decay=0.05,
    augmentation=0.5, pretrain_threads=1,
)  # fmt: skip


def run(project, out, *, training=None, seed=0, **change):
    return pretrain(
        volumes=project / "volumes",
        training=training or project / "training.parquet",
        out=out,
        parameters=TINY.model_copy(update=change),
        seed=seed,
    )


def test_two_runs_write_the_same_bytes_and_another_seed_does_not(project, tmp_path):
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        run(project, tmp_path / name, seed=seed)
    files = ("model.safetensors", "config.json", "curve.csv")
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == sorted(files)
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes(), file
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "three")]
    assert weights[0] != weights[1]


def test_no_text_is_read(project, tmp_path, change_training):
    """Other sentences, same slices and names: the same weights."""
    changed = change_training(lambda table: table.assign(texts=[["gibberish"]] * len(table)))
    run(project, tmp_path / "one")
    run(project, tmp_path / "two", training=changed)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


def test_every_named_structure_is_learned_and_the_streams_start_a_model(project, tmp_path):
    curve, by_structure = run(project, tmp_path, steps=150, images_per_step=4, augmentation=0.0, learning_rate=0.01)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["structures"] == ["organ(kidney)", "organ(liver)"] == by_structure["structure"].tolist()
    assert curve["loss"].iloc[-1] < 0.5 * curve["loss"].iloc[0]
    assert by_structure["dice"].min() > 0.7 and curve["dice"].iloc[-1] == pytest.approx(by_structure["dice"].mean())
    assert start_from(tmp_path, model="token", text_width=12).image_size == 32


def test_an_atlas_gives_each_slice_with_the_masks_of_the_structures_it_can_be_asked_about(project):
    table = read_questions(project / "training.parquet", split="train")
    with VolumeStore(project / "volumes") as store:
        atlas = Atlas(table, ["organ(kidney)", "organ(liver)"], store=store, size=32)
        images, owner, structure, targets = atlas.batch([0, 1], None)
    assert images.shape == (2, 1, 32, 32) and targets.shape == (4, 32, 32)
    assert owner.tolist() == [0, 0, 1, 1] and structure.tolist() == [0, 1, 0, 1]
    # Only the second slice of a case shows a liver.
    assert targets.flatten(1).any(dim=1).tolist() == [True, False, True, True]
    assert [len(sheets) for sheets in atlas.sheets_of] == [4, 2]


def test_a_rare_structure_is_drawn_as_often_as_a_common_one(project):
    table = read_questions(project / "training.parquet", split="train")
    with VolumeStore(project / "volumes") as store:
        atlas = Atlas(table, ["organ(kidney)", "organ(liver)"], store=store, size=32)
        rng = np.random.default_rng(0)
        drawn = pd.Series([atlas.draw(rng) for _ in range(4000)]).value_counts(normalize=True)
    # Half of the draws are for the liver, which two of four slices show; the other half for the kidneys, on all four.
    assert drawn[[1, 3]].sum() == pytest.approx(0.75, abs=0.03)


def test_a_loss_that_is_not_finite_stops_and_names_the_slices(project, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "objective", lambda logits, *_, **__: logits.sum(dim=(1, 2)) * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"step 1: .*[ab]:CT slice \d.*pretrain.learning_rate"):
        run(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_cannot_start_from_streams_with_a_layer_missing(project, tmp_path):
    with pytest.raises(ModelError, match="config.json and model.safetensors"):
        start_from(tmp_path / "nothing", model="token", text_width=12)
