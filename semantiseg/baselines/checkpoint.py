"""Opening official weight files: data only, all of it, and of the right model."""

from __future__ import annotations

import fnmatch
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from semantiseg.errors import ModelError
from semantiseg.models.weights import load_checked

WRAPPERS = ("model", "model_state_dict", "state_dict")
"""Keys under which official files keep the state dict."""

_SIGNS = (
    ("sem_seg_head.predictor.", "BiomedParse v1"),
    ("image_encoder.sam_encoder.", "IMIS-Net"),
    (".Adapter.", "SAM-Med2D"),
    ("vision_encoder.", "SAM or MedSAM as transformers stores it"),
    ("image_encoder.blocks.", "SAM or MedSAM"),
)
"""A part of a state-dict name -> whose it is; the first that occurs decides."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The state dict in a `.safetensors` file or a PyTorch file, unwrapped.

    Raises:
        ModelError: no file, truncated, holding more than tensors (such a pickle could run code and is not opened), or
            no state dict.
    """
    if not path.is_file():
        raise ModelError(f"{path}: expected a weight file, got none. `semantiseg baselines` says where to get it.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, RuntimeError, EOFError, OSError, zipfile.BadZipFile, ValueError, KeyError) as error:
        raise ModelError(
            f"{path}: expected a whole weight file, got one of {path.stat().st_size} bytes that cannot be read: "
            f"{' '.join(str(error).split())[:200]}. Download it again and compare the checksum."
        ) from None
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: expected tensors only, got a file that is damaged or would run code when opened "
            f"({' '.join(str(error).split())[:120]}). It is not opened; get the official file."
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise ModelError(f"{path}: expected a state dict of tensors, got {type(content).__name__}. Give the weights.")
    return dict(content)


def recognise_names(names: Sequence[str]) -> str | None:
    """Whose weights these names are; None if unknown."""
    return next((owner for sign, owner in _SIGNS if any(sign in f".{name}" for name in names)), None)


def refuse_others(state: Mapping[str, Tensor], *, owner: str, origin: str) -> None:
    """Refuse the weights of another known model, before a network is built for them.

    Raises:
        ModelError: names whose they are.
    """
    found = recognise_names(list(state))
    if found is not None and found != owner:
        raise ModelError(f"{origin}: expected the weights of {owner}, got those of {found}. Give each model its file.")


def load_official(
    network: nn.Module, state: Mapping[str, Tensor], *, owner: str, origin: str, ignored: Sequence[str] = ()
) -> None:
    """Load an official state dict strictly.

    Args:
        network: with the official names; it may be on the "meta" device, so that no random weights are ever drawn.
        state: name -> tensor.
        owner: whose weights are expected, in the words of `recognise_names`.
        origin: the file, for messages.
        ignored: patterns of names that may be there and are never read.

    Raises:
        ModelError: another model's weights, or any name missing, unknown, or of another shape; all are listed.
    """
    refuse_others(state, owner=owner, origin=origin)
    read = {
        name: value for name, value in state.items() if not any(fnmatch.fnmatchcase(name, rule) for rule in ignored)
    }
    load_checked(network, read, origin=origin, assign=True)
