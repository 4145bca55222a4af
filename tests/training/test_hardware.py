"""One process, several, parts of a step, fewer bits: the same training."""

from __future__ import annotations

import json
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import small_training
import torch
from safetensors.torch import load_file

from semantiseg.errors import ParameterError
from semantiseg.training import step
from semantiseg.training.hardware import Hardware, SynchronisedBatchNorm2d, synchronise
from semantiseg.training.optimisation import OutOfMemoryError

PARAMETERS = small_training.PARAMETERS | {"steps": 20, "images_per_step": 4}
run = partial(small_training.run, parameters=PARAMETERS)


def differences(one: Path, two: Path) -> tuple[float, float]:
    """Of two trainings' weights: the largest, and the root of the mean square."""
    first, second = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert first.keys() == second.keys()
    apart = torch.cat([(first[name].double() - second[name].double()).flatten() for name in first])
    return float(apart.abs().max()), float(apart.square().mean().sqrt())


def test_two_gloo_processes_give_the_parameters_of_one_with_the_same_step(project, tmp_path):
    arguments = {
        "project": str(project), "out": str(tmp_path / "two"), "model": "token", "parameters": PARAMETERS,
        "hardware": {"devices": 2, "augment": "position"},
    }  # fmt: skip
    (tmp_path / "arguments.json").write_text(json.dumps(arguments))
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    answer = small_training.run_apart(tmp_path / "arguments.json", *launcher)
    assert answer.returncode == 0, answer.stderr[-3000:]
    run(project, tmp_path / "one", Hardware(augment="position"))
    largest, typical = differences(tmp_path / "one", tmp_path / "two")
    # Adam divides by the gradient's size, so a weight without gradient walks by rounding errors: 0.06 would be the
    # farthest that any can go in these steps.
    assert largest < 1e-3 and typical < 1e-5
    curves = [pd.read_csv(tmp_path / name / "curve.csv") for name in ("one", "two")]
    np.testing.assert_allclose(curves[0]["loss"], curves[1]["loss"], atol=1e-3)
    assert (tmp_path / "one/config.json").read_bytes() == (tmp_path / "two/config.json").read_bytes()


def test_without_the_same_step_the_parameters_are_others(project, tmp_path):
    """What the tolerance of the tests around this one is worth: other deformations alone."""
    for augment in ("position", "stream"):
        run(project, tmp_path / augment, Hardware(augment=augment))
    largest, typical = differences(tmp_path / "position", tmp_path / "stream")
    assert largest > 1e-2 and typical > 1e-3


def test_workers_give_the_bytes_of_the_thread(project, tmp_path):
    run(project, tmp_path / "thread", Hardware(augment="position"), steps=4)
    run(project, tmp_path / "workers", Hardware(augment="position", workers=2), steps=4)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("thread", "workers")]
    assert weights[0] == weights[1]


def test_parts_of_a_step_learn_from_all_its_images(project, tmp_path, monkeypatch):
    """Gradients add up to the whole step's; batch normalisation alone sees parts, and is held still here."""
    monkeypatch.setattr(torch.nn.BatchNorm2d, "train", lambda self, mode=True: torch.nn.Module.train(self, False))
    run(project, tmp_path / "whole", Hardware(), steps=3)
    run(project, tmp_path / "parts", Hardware(accumulate=4), steps=3)
    largest, typical = differences(tmp_path / "whole", tmp_path / "parts")
    assert largest < 1e-3 and typical < 1e-5


def test_fewer_bits_learn_too(project, tmp_path):
    curve = run(project, tmp_path, Hardware(precision="bf16-mixed"), steps=40, learning_rate=0.01)
    assert np.isfinite(curve["loss"]).all() and curve["loss"].iloc[-1] < 0.9 * curve["loss"].iloc[0]
    assert {value.dtype for value in load_file(tmp_path / "model.safetensors").values()} <= {torch.float32, torch.int64}


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 byte"),
        MemoryError(),
    ],
)
def test_when_memory_runs_out_the_parameters_to_lower_are_named(project, tmp_path, monkeypatch, error):
    def fail(batch, questions):
        raise error

    monkeypatch.setattr(step, "arguments", fail)
    with pytest.raises(OutOfMemoryError, match="step 1: expected 4 images of 32 .*accumulate.*images_per_step"):
        run(project, tmp_path / "out", Hardware())
    assert not (tmp_path / "out").exists()


def test_another_failure_is_not_taken_for_a_lack_of_memory(project, tmp_path, monkeypatch):
    def fail(batch, questions):
        raise RuntimeError("something else")

    monkeypatch.setattr(step, "arguments", fail)
    with pytest.raises(RuntimeError, match="something else"):
        run(project, tmp_path / "out", Hardware())


@pytest.mark.parametrize(
    ("hardware", "message"),
    [
        (Hardware(devices=3, augment="position"), "images_per_step: expected a multiple of 3"),
        (Hardware(accumulate=8), "multiple of 8"),
        (Hardware(devices=2), "augment: expected 'position'"),
        (Hardware(workers=2), "augment: expected 'position'"),
        (Hardware(precision="16-mixed"), "precision: expected '32-true' or 'bf16-mixed' on a CPU"),
        (Hardware(nodes=0), "nodes: expected at least 1"),
    ],
)
def test_a_step_that_cannot_be_spread_is_refused_before_anything_is_read(tmp_path, hardware, message):
    with pytest.raises(ParameterError, match=message):
        run(tmp_path / "nowhere", tmp_path / "out", hardware)


def test_alone_the_synchronised_normalisation_is_pytorch_s_own():
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.BatchNorm2d(4))
    plain(torch.rand(5, 3, 8, 8))
    made = deepcopy(plain)
    synchronise(made)
    assert isinstance(made[1], SynchronisedBatchNorm2d)
    x = torch.rand(2, 3, 8, 8)
    for mode in (True, False):
        torch.testing.assert_close(made.train(mode)(x), plain.train(mode)(x), rtol=0, atol=0)
