"""ConvNeXt on twelve bands: shapes, and ImageNet weights that still see the same picture."""

from __future__ import annotations

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from semantiseg.errors import ModelError
from semantiseg.models.encoders import ConvNeXtEncoder, load_imagenet

SIZES = {"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 32)}


def encoder() -> ConvNeXtEncoder:
    return ConvNeXtEncoder(name="convnext_tiny", channels=(8, 8, 16, 16, 32), drop_path=0.0, **SIZES).eval()


@pytest.fixture
def imagenet(tmp_path):
    """A colour network of the same sizes, as timm would save it."""
    network = timm.create_model("convnext_tiny", **SIZES).eval()
    save_file(network.state_dict(), tmp_path / "convnext.safetensors")
    return network, tmp_path / "convnext.safetensors"


def test_five_maps_the_first_as_fine_as_the_bands():
    maps = encoder()(torch.rand(2, 12, 176, 176))
    assert [tuple(m.shape) for m in maps] == [
        (2, 8, 176, 176), (2, 8, 44, 44), (2, 16, 22, 22), (2, 16, 11, 11), (2, 32, 5, 5),
    ]  # fmt: skip


def test_the_paper_s_network_is_convnext_tiny():
    whole = ConvNeXtEncoder(name="convnext_tiny", channels=(16, 64, 96, 128, 192), drop_path=0.1)
    count = sum(value.numel() for part in (whole.stem, whole.stages) for value in part.parameters())
    # Liu et al.: 28.6 M with a head of 1000 classes (769,000 and its norm's 1,536) and three colours.
    assert count == 28_589_128 - 769_000 - 1_536 + 9 * 4 * 4 * 96
    assert [len(stage.blocks) for stage in whole.stages] == [3, 3, 9, 3]


def test_inflated_weights_answer_four_equal_groups_of_bands_as_they_answer_colours(imagenet):
    network, path = imagenet
    inflated = encoder()
    load_imagenet(inflated, path)
    colours = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        expected = network.stages[0](network.stem(colours))
        torch.testing.assert_close(inflated.stages[0](inflated.stem(colours.repeat(1, 4, 1, 1))), expected)


def test_partial_imagenet_weights_are_refused_and_the_layers_named(imagenet):
    path = imagenet[1]
    state = load_file(path)
    del state["stages.2.blocks.0.mlp.fc1.weight"]
    save_file(state, path)
    with pytest.raises(ModelError, match="missing .'stages.2.blocks.0.mlp.fc1.weight'"):
        load_imagenet(encoder(), path)


def test_a_stem_that_is_not_of_three_colours_is_refused(imagenet):
    path = imagenet[1]
    state = load_file(path)
    state["stem.0.weight"] = state["stem.0.weight"][:, :1].contiguous()
    save_file(state, path)
    with pytest.raises(ModelError, match=r"three colours, got stem.0.weight \(8, 1, 4, 4\)"):
        load_imagenet(encoder(), path)
