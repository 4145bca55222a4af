"""Weight files: all of one is loaded or an error is raised, data only, and of the right model."""

from __future__ import annotations

import fnmatch
import json
import os
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from semantiseg import files
from semantiseg.errors import ModelError
from semantiseg.models.protocol import TrainedOn

VARIABLE, DEFAULT = "SEMANTISEG_WEIGHTS", "weights"
"""Environment variable that names the folder of all published weights, and the folder meant without it."""


PACKED = Path(__file__).resolve().parents[1] / "packed"
"""Models that come with the package, a folder each, in half precision."""


def packed_names() -> list[str]:
    """Names of the models that come with the package, sorted."""
    return sorted(path.parent.name for path in PACKED.glob("*/model.safetensors"))


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


class _Architecture(BaseModel):
    """What `config.json` may say, so that no network is built, and no memory taken, for anything else."""

    model: str = ""
    width: str = ""
    image_size: int = Field(1, ge=1, le=4096)
    text_width: int = Field(0, ge=0, le=16384)
    sentence_width: int | None = Field(None, ge=0, le=16384)
    text_encoder: str = ""
    structures: list[str] | None = None
    programs: list[str] = []


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
        _Architecture.model_validate(architecture, strict=True)
        state = load_file(folder / "model.safetensors")
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise ModelError(
            f"{folder}: expected config.json and model.safetensors of a trained model, got {error!r}. Train it again."
        ) from None
    return architecture, state


@dataclass(frozen=True)
class Start:
    """Image streams and their text-free head, trained once on a cohort of its own (`semantiseg starts make`)."""

    name: str
    sha256: str
    """Of the file."""
    card: Mapping[str, Any]
    """What was recorded: parameters, structures, data, code, hardware, cost, curve, validation Dice."""
    streams: Mapping[str, torch.Tensor]
    head: Mapping[str, torch.Tensor]
    """By layer; single precision, rounded to half."""


def write_start(path: Path, *, streams: Mapping[str, torch.Tensor], head: Mapping[str, torch.Tensor]) -> None:
    """Weights of a start in half precision, counters as they are. Equal arguments give equal bytes."""
    named = {f"streams.{key}": value for key, value in streams.items()}
    named |= {f"head.{key}": value for key, value in head.items()}
    halved = {key: value.half() if value.is_floating_point() else value for key, value in named.items()}
    save_file({key: value.contiguous() for key, value in halved.items()}, path)


def halves(path: Path) -> dict[str, dict[str, torch.Tensor]]:
    """The two parts of what `write_start` wrote, `streams` and `head`, by layer in single precision."""
    parts: dict[str, dict[str, torch.Tensor]] = {"streams": {}, "head": {}}
    for key, value in load_file(path).items():
        part, _, layer = key.partition(".")
        parts[part][layer] = value.float() if value.is_floating_point() else value
    return parts


def read_start(path: Path) -> Start:
    """A recorded start; its card lies beside it.

    Raises:
        ModelError: a file is absent or broken, or the weights are not those that the card tells of.
    """
    again = "Take both files from a fresh checkout or install, or make the start again."
    try:
        card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        recorded, sha256 = card["sha256"], files.fingerprint(path)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path.with_suffix('.json')}: expected the card of a start, got {error!r}. {again}") from None
    if sha256 != recorded:
        raise ModelError(f"{path}: expected the SHA-256 of its card, {recorded}, got {sha256 or 'no file'}. {again}")
    return Start(name=path.stem, sha256=recorded, card=card, **halves(path))


def pack(folder: Path, out: Path, **card: Any) -> int:
    """Write a trained model anew in half precision, for the package; its bytes.

    Args:
        folder: of the trained model.
        out: folder to write: `model.safetensors` and `config.json`.
        card: further entries of `config.json`, such as terms.

    Raises:
        ModelError: `folder` holds no trained model, or a weight has no place in half precision.
    """
    _, state = read_trained(folder, keys=("model",))
    half = {name: value.half() if value.is_floating_point() else value for name, value in state.items()}
    lost = sorted(name for name, value in half.items() if value.is_floating_point() and not value.isfinite().all())
    if lost:
        raise ModelError(f"{folder}: expected weights within half precision, got {lost} beyond. Ship them elsewhere.")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    out.mkdir(parents=True, exist_ok=True)
    save_file(half, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(config | card, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return (out / "model.safetensors").stat().st_size


def read_trained_on(folder: Path) -> TrainedOn | None:
    """What a trained model has seen; None where its `config.json` does not say, as before it did."""
    try:
        told = json.loads((folder / "config.json").read_text(encoding="utf-8"))["trained_on"]
        told["field_mm"] = tuple((float(least), float(most)) for least, most in told["field_mm"])
        several = ("origins", "collections", "modalities", "scales", "edge_mm", "images")
        return TrainedOn(**told | {name: tuple(told[name]) for name in several})
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


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
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: expected tensors only, got a file that is damaged or would run code when opened "
            f"({' '.join(str(error).split())[:120]}). It is not opened; get the official file."
        ) from None
    except Exception as error:  # a flipped byte makes PyTorch's unpickler raise almost anything
        raise ModelError(
            f"{path}: expected a whole weight file, got one of {path.stat().st_size} bytes that cannot be read: "
            f"{' '.join(str(error).split())[:200]}. Download it again and compare the checksum."
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
