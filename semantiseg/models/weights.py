"""Loading of weights: all of them or an error."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from semantiseg.errors import ModelError

VARIABLE, DEFAULT = "SEMANTISEG_WEIGHTS", "weights"
"""Environment variable that names the folder of all published weights, and the folder meant without it."""


def published_path(name: str) -> Path:
    """Where published weights lie: a file or folder `name` below the folder of all weights; it need not exist."""
    return Path(os.environ.get(VARIABLE) or DEFAULT) / name


def load_checked(module: torch.nn.Module, state: dict[str, torch.Tensor], *, origin: str, assign: bool = False) -> None:
    """Load `state` into `module`, all of it and nothing else.

    Args:
        module: to be filled.
        state: name -> tensor.
        origin: where the state came from, for messages.
        assign: take the tensors themselves, as single precision, instead of copying them; for modules without memory.

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
    if assign:
        state = {name: value.float() if value.is_floating_point() else value for name, value in state.items()}
    module.load_state_dict(state, assign=assign)


def write_trained(folder: Path, module: torch.nn.Module, config: Mapping[str, Any]) -> None:
    """What a training leaves: `model.safetensors` and `config.json`. Equal arguments give equal bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {name: value.cpu().contiguous() for name, value in module.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_trained(
    folder: Path, *, keys: Sequence[str], optional: Sequence[str] = ()
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What `write_trained` wrote: the named entries of `config.json`, and the state in `model.safetensors`.

    Raises:
        ModelError: a file is absent or broken, or an entry is missing that is not optional.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        architecture = {key: config[key] for key in (*keys, *(key for key in optional if key in config))}
        state = load_file(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelError(
            f"{folder}: expected config.json and model.safetensors of a trained model, got {error!r}. Train it again."
        ) from None
    return architecture, state
