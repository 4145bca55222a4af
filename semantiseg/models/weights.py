"""Loading of weights: all of them or an error."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from semantiseg.errors import ModelError

VARIABLE, DEFAULT = "SEMANTISEG_WEIGHTS", "weights"
"""Environment variable that names the folder of all published weights, and the folder meant without it."""


def published(name: str) -> Path:
    """Where published weights lie: a file or folder `name` below the folder of all weights; it need not exist."""
    return Path(os.environ.get(VARIABLE) or DEFAULT) / name


def load_checked(module: torch.nn.Module, state: dict[str, torch.Tensor], *, origin: str) -> None:
    """Load `state` into `module`, all of it and nothing else.

    Raises:
        ModelError: names the layers that are missing, unknown, or of another shape; no layer is ever left random.
    """
    expected = module.state_dict()
    missing = sorted(set(expected) - set(state))
    unknown = sorted(set(state) - set(expected))
    shapes = sorted(
        f"{name} {tuple(state[name].shape)} instead of {tuple(expected[name].shape)}"
        for name in set(expected) & set(state)
        if state[name].shape != expected[name].shape
    )
    if missing or unknown or shapes:
        raise ModelError(
            f"{origin}: expected the weights of {type(module).__name__}, got missing {missing}, unknown {unknown}, "
            f"of another shape {shapes}. Train the model again or give the weights that belong to this architecture."
        )
    module.load_state_dict(state)
