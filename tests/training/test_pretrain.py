"""The text-free warm-up of the image streams."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from semantiseg import files, params
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ModelError
from semantiseg.models.registry import build_streams, start_from
from semantiseg.models.streams import StructureHead
from semantiseg.models.weights import read_start, write_start
from semantiseg.params import Pretrain
from semantiseg.training import pretrain as module
from semantiseg.training.optimisation import Checkpoint, NonFiniteLossError
from semantiseg.training.pretrain import Atlas, WarmUp, begin_with, from_scratch, pretrain
from semantiseg.training.questions import read_questions

TINY = Pretrain(
    image_size=32, width="tiny", start="scratch", steps=3, images_per_step=2, learning_rate=0.003, weight_decay=0.05,
    augmentation=0.5, pretrain_threads=1,
)  # fmt: skip


def run(project, out, *, training=None, seed=0, checkpoint=None, **change):
    return pretrain(
        volumes=project / "volumes",
        training=training or project / "training.parquet",
        out=out,
        parameters=TINY.model_copy(update=change),
        seed=seed,
        checkpoint=checkpoint,
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


def test_over_the_draws_absence_of_a_structure_weighs_no_more_than_its_presence(project):
    table = read_questions(project / "training.parquet", split="train")
    # One slice that shows the liver, on all others it is named and not there.
    liver = table[table["program"] == "organ(liver)"].index
    table.loc[liver, "target_pixels"] = 0
    table.loc[liver[0], "target_pixels"] = 100
    others = [f"organ({name})" for name in ("spleen", "stomach", "pancreas", "prostate")]
    kidney = table[table["program"] == "organ(kidney)"]
    table = pd.concat([table, *(kidney.assign(program=other) for other in others)], ignore_index=True)
    structures = ["organ(kidney)", "organ(liver)", *others]
    with VolumeStore(project / "volumes") as store:
        atlas = Atlas(table, structures, store=store, size=32)
    rng, weight = np.random.default_rng(0), np.zeros((6, 2))
    for _ in range(4000):
        rows = atlas.questions.sheets[atlas.draw(rng)]
        for structure, shown in zip(atlas._structure[rows], atlas.questions.shown[rows], strict=True):
            weight[structure, int(shown)] += 1 if shown else float(atlas.absence_weight[structure])
    assert weight[1, 0] == pytest.approx(weight[1, 1], rel=0.1)
    assert (weight[:, 0] <= 1.1 * weight[:, 1]).all()


def test_a_loss_that_is_not_finite_stops_and_names_the_slices(project, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "objective", lambda logits, *_, **__: logits.sum(dim=(1, 2)) * float("nan"))
    with pytest.raises(NonFiniteLossError, match=r"step 1: .*[ab]:CT slice \d.*pretrain.learning_rate"):
        run(project, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_cannot_start_from_streams_with_a_layer_missing(project, tmp_path):
    with pytest.raises(ModelError, match="config.json and model.safetensors"):
        start_from(tmp_path / "nothing", model="token", text_width=12)


def test_a_warm_up_that_was_cut_off_ends_in_the_same_bytes(project, tmp_path, monkeypatch):
    run(project, tmp_path / "whole", steps=5)
    checkpoint, advance = Checkpoint(tmp_path / "state.ckpt", every=2), WarmUp.advance

    def cut(warm_up):
        if warm_up.step == 3:
            raise KeyboardInterrupt
        return advance(warm_up)

    with monkeypatch.context() as patch:
        patch.setattr(WarmUp, "advance", cut)
        with pytest.raises(KeyboardInterrupt):
            run(project, tmp_path / "resumed", steps=5, checkpoint=checkpoint)
    assert not (tmp_path / "resumed").exists()
    run(project, tmp_path / "resumed", steps=5, checkpoint=checkpoint)
    for file in ("model.safetensors", "config.json", "curve.csv"):
        assert (tmp_path / "resumed" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes(), file
    with pytest.raises(ModelError, match="seed 0 instead of 1"):
        run(project, tmp_path / "other", steps=5, seed=1, checkpoint=checkpoint)


@pytest.fixture
def starts(tmp_path, monkeypatch, project):
    """A start of 40 steps on the small cohort, under the name `small`."""
    for place in (params, module):
        monkeypatch.setattr(place, "STARTS", tmp_path / "starts")
    checkpoint = Checkpoint(tmp_path / "state.ckpt", every=40)
    _, by_structure = run(project, tmp_path / "made", steps=40, learning_rate=0.01, checkpoint=checkpoint)
    (tmp_path / "starts").mkdir()
    state = checkpoint.read(fingerprint=None)
    path = tmp_path / "starts/small.safetensors"
    write_start(path, streams=state["streams"], head=state["head"])
    seen = {"origins": ["phantom"], "collections": ["A"], "patients": 2}
    card = {
        "sha256": files.fingerprint(path), "structures": ["organ(kidney)", "organ(liver)"], "steps": 40, "seen": seen,
        "parameters": {"pretrain": TINY.model_dump()},
    }  # fmt: skip
    path.with_suffix(".json").write_text(json.dumps(card))
    return by_structure


def test_a_start_left_as_it_is_sees_what_it_saw_up_to_rounding(project, tmp_path, starts):
    curve, by_structure = run(project, tmp_path / "out", start="small", steps=0)
    assert curve["step"].tolist() == [0] and curve["loss"].isna().all()
    assert by_structure["dice"].to_numpy() == pytest.approx(starts["dice"].to_numpy(), abs=0.001)
    assert by_structure["dice"].mean() > 0.3
    made, kept = (load_file(tmp_path / name / "model.safetensors") for name in ("made", "out"))
    assert all(
        torch.equal(kept[layer], value.half().float()) for layer, value in made.items() if value.is_floating_point()
    )
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["started_from"]["name"] == "small" and config["started_from"]["seen"]["patients"] == 2


def test_further_steps_begin_at_the_start(project, tmp_path, starts):
    from_start, _ = run(project, tmp_path / "out", start="small", steps=6)
    from_nothing, _ = run(project, tmp_path / "other", steps=6)
    assert from_start["step"].tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert from_start["loss"].iloc[1] < 0.7 * from_nothing["loss"].iloc[0]


def test_a_structure_that_the_start_never_saw_gets_rows_of_its_own(tmp_path, starts):
    start = read_start(tmp_path / "starts/small.safetensors")
    structures = ["organ(kidney)", "organ(spleen)", "organ(liver)"]
    streams = build_streams(width="tiny", image_size=32)
    head = StructureHead(streams, structures=3)
    fresh = head.fine.weight.detach().clone()
    begin_with(start, streams, head, structures=structures)
    assert torch.equal(head.fine.weight[:4], start.head["fine.weight"][:4])
    assert torch.equal(head.fine.weight[4:8], fresh[4:8])
    assert torch.equal(head.fine.weight[8:], start.head["fine.weight"][4:])


def test_without_the_start_there_are_as_many_steps_in_all(starts):
    given = TINY.model_copy(update={"start": "small", "steps": 5})
    assert from_scratch(given) == TINY.model_copy(update={"steps": 45}) and from_scratch(TINY) == TINY


def test_a_start_that_was_tampered_with_is_refused(project, tmp_path, starts):
    path = tmp_path / "starts/small.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="small.safetensors: expected the SHA-256 of its card"):
        run(project, tmp_path / "out", start="small", steps=0)
