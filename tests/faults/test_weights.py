"""Weights: a spoiled folder of a model is named, and nothing in it runs"""

from __future__ import annotations

import pytest
from faults.registry import Fault, tried

from semantiseg import files
from semantiseg.errors import ModelError, StageError
from semantiseg.models.weights import read_trained
from semantiseg.pipeline import runner


@tried(
    *(
        Fault(f"config.json of a model holds {name}", "an error that names the folder", "train it again", content)
        for name, content in {
            "a list": b"[]",
            "null": b"null",
            "a number": b"1",
            "text": b'"model"',
            "nothing": b"",
            "half of itself": b'{"model": "tok',
            "100,000 brackets": b"[" * 100_000,
            "Latin-1": b'{"model": "M\xfcller"}',
        }.items()
    )
)
def test_a_spoiled_description_is_a_model_error(tmp_path, fault):
    (tmp_path / "config.json").write_bytes(fault.inject)
    with pytest.raises(ModelError, match="expected config.json and model.safetensors"):
        read_trained(tmp_path, keys=["model"])


@tried(
    Fault(
        "`dvc repro` after `semantiseg train` has written other weights than the cache holds",
        "the weights were committed as the stage's and stay",
        "nothing",
    )
)
def test_what_a_command_has_made_is_replaced_by_no_later_run(tiny):
    root = tiny()
    runner.reproduce(root)
    made, cached = root / "data/made/liver.txt", "liver"
    made.write_text("hours on a GPU")
    assert runner.dvc("repro", root=root).returncode == 0 and made.read_text() == cached, "DVC alone replaces it"
    made.write_text("hours on a GPU")
    runner.adopt("make", root=root, made_by="semantiseg train token")
    runner.reproduce(root)
    files.remove(root / "data/made")
    runner.reproduce(root)
    assert made.read_text() == "hours on a GPU"
    assert "Not executed: `semantiseg train token`" in (root / "data/rendered/01_make.ipynb").read_text()


def test_a_stage_that_never_ran_takes_them_too(tiny):
    root = tiny()
    for path in (root / "data/made/liver.txt", root / "data/number.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("hours on a GPU")
    runner.adopt("make", root=root, made_by="semantiseg train token")
    assert runner.stale(root) == []


def test_outputs_that_dvc_cannot_take_are_named_and_stay(tiny, capfd):
    root = tiny()
    (root / "data/made").mkdir(parents=True)
    with pytest.raises(StageError, match="data/made.*run `dvc commit --force make`"):
        runner.adopt("make", root=root, made_by="semantiseg train token")
    assert (root / "data/made").is_dir()
