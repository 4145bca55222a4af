"""Weights: a spoiled folder of a model is named, and nothing in it runs"""

from __future__ import annotations

import io
import json
import zipfile

import pytest
import torch
from faults.registry import Fault, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

from semantiseg import files
from semantiseg.errors import ModelError, StageError
from semantiseg.models import registry
from semantiseg.models.weights import read_checkpoint, read_trained, write_trained
from semantiseg.pipeline import runner
from semantiseg.training.optimisation import Checkpoint


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


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    config = {"model": "token", "width": "tiny", "image_size": 64, "text_width": 8}
    write_trained(folder, registry.build(**config), config)
    assert registry.load(folder)
    return folder, config


@tried(
    *(
        Fault(f"An entry of a model's config.json is {name}", "an error that names the folder", "train it again", value)
        for name, value in {
            "a list of it": [64], "an object": {}, "a decimal": 1.5, "true": True, "negative": -1, "ten million": 10**7,
            "a number of 30 digits": 10**30, "Infinity": float("inf"), "of another kind": ("64", 64),
        }.items()
    )
)  # fmt: skip
@pytest.mark.parametrize("key", ["model", "width", "image_size", "text_width", "sentence_width", "structures"])
def test_an_entry_of_another_kind_is_a_model_error_before_memory_is_taken(trained, fault, key):
    folder, config = trained
    numbers = ("image_size", "text_width", "sentence_width")
    value = fault.inject if not isinstance(fault.inject, tuple) else fault.inject[0 if key in numbers else 1]
    if key == "structures" and value == [64]:
        value = [[64]]
    (folder / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ModelError, match="expected config.json and model.safetensors"):
        registry.load(folder)


def whole(**content):
    stream = io.BytesIO()
    torch.save({"a": torch.ones(3, 4), **content}, stream)
    return stream.getvalue()


WHOLE = whole(fingerprint=json.dumps({"seed": 1}))
FLIPS = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1) | st.integers(0, 400), st.integers(0, 255)), max_size=4)


@tried(Fault("Flipped bytes in a file of weights or in a state to go on from", "read or named; nothing in it runs",
             "get it anew, or remove the state"))  # fmt: skip
@given(FLIPS, st.just(0) | st.integers(0, len(WHOLE)), st.sampled_from(["a.pt", "a.safetensors"]))
@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@pytest.mark.filterwarnings("ignore")
def test_flipped_bytes_of_weights_end_in_tensors_or_a_typed_error(tmp_path, flips, cut, name):
    spoiled = bytearray(WHOLE if name == "a.pt" else save({"a": torch.ones(3, 4)}))
    for place, value in flips:
        spoiled[place % len(spoiled)] = value
    path = tmp_path / name
    path.write_bytes(bytes(spoiled[: len(spoiled) - cut] if cut else spoiled))
    reads = (lambda: read_checkpoint(path), lambda: Checkpoint(path, every=1).read(fingerprint={"seed": 1}))
    for read in reads:
        try:
            read()
        except ModelError as error:
            assert name in str(error)


def repacked(pickled: bytes) -> bytes:
    """The file of weights with another pickle in it, under a checksum that fits."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(WHOLE)) as source, zipfile.ZipFile(out, "w") as target:
        for entry in source.namelist():
            target.writestr(entry, pickled if entry.endswith("data.pkl") else source.read(entry))
    return out.getvalue()


@tried(
    *(
        Fault(f"The pickle in a file of weights {name}", "refused, nothing in it runs", "get it anew", content)
        for name, content in {
            "calls `os.system`": b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
            "takes from an empty stack": b"\x80\x020.",
            "names a tensor that is not there": b"\x80\x02X\x01\x00\x00\x00aQ.",
            "ends in the middle of a number": b"\x80\x02J\x01.",
        }.items()
    )
)  # fmt: skip
def test_a_pickle_of_another_kind_is_refused(tmp_path, fault):
    path = tmp_path / "a.pt"
    path.write_bytes(repacked(fault.inject))
    for read in (lambda: read_checkpoint(path), lambda: Checkpoint(path, every=1).read(fingerprint=None)):
        with pytest.raises(ModelError, match="a.pt"):
            read()


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
