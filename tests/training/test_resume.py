"""A training that was killed goes on as if nothing had happened."""

from __future__ import annotations

import json
import pickle
import random
import signal
from functools import partial
from pathlib import Path

import pytest
import small_training
import torch

from semantiseg.errors import ModelError
from semantiseg.training import step
from semantiseg.training.hardware import Hardware
from semantiseg.training.optimisation import NonFiniteLossError
from semantiseg.training.progress import Checkpoint

PARAMETERS = small_training.PARAMETERS | {"steps": 9, "images_per_step": 2}
run = partial(small_training.run, parameters=PARAMETERS)


def start(project: Path, folder: Path, **given) -> int:
    """Train in another process; its exit code."""
    folder.mkdir(parents=True, exist_ok=True)
    arguments = {"project": str(project), "out": str(folder / "out"), "model": "token", "parameters": PARAMETERS}
    (folder / "arguments.json").write_text(json.dumps(arguments | given))
    return small_training.run_apart(folder / "arguments.json").returncode


def test_killed_at_a_random_step_and_resumed_it_ends_with_the_bytes_of_an_unbroken_one(project, tmp_path):
    killed_at = random.SystemRandom().randint(2, 8)
    how = {"checkpoint": str(tmp_path / "state.ckpt"), "every": 2}
    assert start(project, tmp_path, kill_after=killed_at, **how) == -signal.SIGKILL, killed_at
    assert not (tmp_path / "out").exists()
    resumed = Checkpoint(tmp_path / "state.ckpt", every=2)
    assert resumed.path.exists() == (killed_at > 2)  # the step it died in was never saved
    run(project, tmp_path / "out", checkpoint=resumed)
    run(project, tmp_path / "unbroken")
    for name in ("model.safetensors", "config.json", "curve.csv"):
        same = (tmp_path / "out" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()
        assert same, f"{name}, killed at step {killed_at}"


def test_dropout_goes_on_where_it_stood(project, tmp_path, small_streams):
    """The small preset drops words at random; a resumed training must draw what the unbroken one would have."""
    folder = tmp_path / "project"
    folder.mkdir()
    for name in ("volumes", "training.parquet", "features.h5"):
        (folder / name).symlink_to(project / name)
    (folder / "pretrained").symlink_to(small_streams)
    checkpoint = Checkpoint(tmp_path / "state.ckpt", every=3)
    run(folder, tmp_path / "unbroken", checkpoint=checkpoint, steps=4)
    saved = torch.load(checkpoint.path, weights_only=True)
    assert saved["step"] == 3
    torch.manual_seed(99)
    run(folder, tmp_path / "out", checkpoint=checkpoint, steps=4)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "unbroken")]
    assert weights[0] == weights[1]


def test_a_finished_training_is_not_repeated(project, tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.ckpt", every=3)
    first = run(project, tmp_path / "one", checkpoint=checkpoint)
    again = run(project, tmp_path / "two", checkpoint=checkpoint)
    assert first.equals(again)
    assert (tmp_path / "one/model.safetensors").read_bytes() == (tmp_path / "two/model.safetensors").read_bytes()


def test_a_checkpoint_of_another_training_is_refused_and_the_difference_named(project, tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.ckpt", every=3)
    run(project, tmp_path / "one", checkpoint=checkpoint, steps=3)
    with pytest.raises(ModelError, match="learning_rate 0.003 instead of 0.001.*steps 3 instead of 9"):
        run(project, tmp_path / "two", checkpoint=checkpoint, learning_rate=0.001)


def test_a_checkpoint_that_needs_code_to_be_read_is_refused_and_its_code_not_run(project, tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    path = tmp_path / "state.ckpt"
    for spoilt in (pickle.dumps(Trap(), protocol=2), b"cut short", b""):
        path.write_bytes(spoilt)
        with pytest.raises(ModelError, match="state.ckpt: expected a checkpoint that needs no code"):
            run(project, tmp_path / "out", checkpoint=Checkpoint(path, every=3))
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("augment", ["stream", "position"])
def test_a_loss_that_is_not_finite_keeps_the_last_good_checkpoint(project, tmp_path, monkeypatch, augment):
    hardware = Hardware(augment=augment)
    checkpoint, objective, calls = Checkpoint(tmp_path / "state.ckpt", every=2), step.objective, []

    def spoilt(logits, *arguments, **weights):
        calls.append(0)
        return objective(logits * (float("nan") if len(calls) > 2 * 6 else 1), *arguments, **weights)  # twice a step

    monkeypatch.setattr(step, "objective", spoilt)
    with pytest.raises(NonFiniteLossError, match="step 7: .*worded.*last checkpoint"):
        run(project, tmp_path / "out", checkpoint=checkpoint, hardware=hardware)
    monkeypatch.undo()
    saved = torch.load(checkpoint.path, weights_only=True)
    assert saved["step"] == 6 and all(value.isfinite().all() for value in saved["learner"].values())
    run(project, tmp_path / "out", checkpoint=checkpoint, hardware=hardware)
    run(project, tmp_path / "unbroken", hardware=hardware)
    assert (tmp_path / "out/model.safetensors").read_bytes() == (tmp_path / "unbroken/model.safetensors").read_bytes()
