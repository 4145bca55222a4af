"""Where the shared real data and golden outputs lie, and small networks of the official kinds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import CLIPTextConfig

from semantiseg.baselines.ask_picture import fill_by_formula
from semantiseg.baselines.imis import ImisNet, ImisNetwork, ImisSizes

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared real data; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared real data are not at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def small_imis_net() -> ImisNet:
    """IMIS-Net on 64 x 64 pixels with a small text tower; formula weights."""
    text = CLIPTextConfig(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2)
    with torch.device("meta"):
        network = ImisNetwork(ImisSizes(image_size=64, decoder_hidden=16, text=text)).to_empty(device="cpu")
    network.text_model["text_model"].embeddings.position_ids = torch.arange(77)[None]
    return ImisNet(fill_by_formula(network, seed=4))
