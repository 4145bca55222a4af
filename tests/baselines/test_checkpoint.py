"""Opening official weight files."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from semantiseg.baselines.checkpoint import load_official, read_checkpoint, recognise_names
from semantiseg.errors import ModelError

STATE = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


class Net(nn.Module):
    """Two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)


class Runs:
    """A pickle of it makes a file when it is opened by a loader that runs code."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("wrapper", [None, "model", "model_state_dict", "state_dict"])
def test_flat_and_wrapped_files_give_the_same_state(tmp_path, wrapper):
    torch.save(STATE if wrapper is None else {wrapper: STATE, "epoch": 3}, tmp_path / "w.pth")
    state = read_checkpoint(tmp_path / "w.pth")
    assert state.keys() == STATE.keys() and all(torch.equal(state[name], STATE[name]) for name in STATE)


def test_safetensors_and_old_pytorch_files_are_read(tmp_path):
    save_file(STATE, tmp_path / "w.safetensors")
    torch.save(STATE, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("w.safetensors", "old.pth"):
        assert torch.equal(read_checkpoint(tmp_path / name)["layer.weight"], STATE["layer.weight"])


def test_a_pickle_that_would_run_code_is_not_opened(tmp_path):
    torch.save({"model": STATE, "extra": Runs(tmp_path / "ran")}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match="would run code"):
        read_checkpoint(tmp_path / "w.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
@pytest.mark.parametrize("kept", [0, 40, 700])
def test_a_truncated_file_is_named_with_its_size(tmp_path, name, kept):
    state = {"layer.weight": torch.randn(200, 30)}
    (save_file if name.endswith("safetensors") else torch.save)(state, tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:kept])
    with pytest.raises(ModelError, match=rf"{name}: expected.*(of {kept} bytes|damaged)"):
        read_checkpoint(tmp_path / name)


def test_an_absent_file_says_where_to_ask(tmp_path):
    with pytest.raises(ModelError, match="semantiseg baselines"):
        read_checkpoint(tmp_path / "none.pth")


def test_what_is_no_state_dict_is_refused(tmp_path):
    for content in (torch.zeros(3), {"epoch": 3}, [STATE]):
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(ModelError, match="state dict"):
            read_checkpoint(tmp_path / "w.pth")


def test_every_difference_is_listed_and_nothing_is_loaded():
    network = Net()
    before = network.layer.bias.clone()
    given = {"layer.weight": torch.zeros(4, 4), "other.bias": torch.zeros(1)}
    with pytest.raises(ModelError) as error:
        load_official(network, given, owner="Net", origin="w.pth")
    for part in ("w.pth", "layer.bias", "other.bias", "layer.weight (4, 4) instead of (2, 3)"):
        assert part in str(error.value)
    assert torch.equal(network.layer.bias, before)


def test_only_named_patterns_may_be_left_unread():
    extra = STATE | {"dead.encoder.weight": torch.zeros(1)}
    network = Net()
    load_official(network, extra, owner="Net", origin="w.pth", ignored=["dead.*"])
    assert torch.equal(network.layer.weight, STATE["layer.weight"])
    with pytest.raises(ModelError, match="dead.encoder.weight"):
        load_official(network, extra, owner="Net", origin="w.pth", ignored=["criterion.*"])


@pytest.mark.parametrize(
    ("name", "owner"),
    [
        ("sem_seg_head.predictor.query_feat.weight", "BiomedParse v1"),
        ("image_encoder.sam_encoder.blocks.0.attn.qkv.weight", "IMIS-Net"),
        ("image_encoder.blocks.0.Adapter.norm.weight", "SAM-Med2D"),
        ("vision_encoder.pos_embed", "SAM or MedSAM as transformers stores it"),
        ("image_encoder.blocks.0.norm1.weight", "SAM or MedSAM"),
        ("layer.weight", None),
    ],
)
def test_weights_are_recognised_by_their_names(name, owner):
    assert recognise_names([name]) == owner
    if owner is not None:
        with pytest.raises(ModelError, match=f"got those of {owner}"):
            load_official(Net(), {name: torch.zeros(1)}, owner="Net", origin="w.pth")
