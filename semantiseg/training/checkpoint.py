"""A training that was cut off goes on where it stood: one file, replaced as a whole, read without running code."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from semantiseg.errors import ModelError


@dataclass(frozen=True)
class Checkpoint:
    """Where to keep the state of a training, and how often."""

    path: Path
    every: int
    """Steps between two writings."""

    def due(self, step: int) -> bool:
        """Is it written after this step?"""
        return step % self.every == 0

    def write(self, state: Mapping[str, Any], *, fingerprint: Mapping[str, Any]) -> None:
        """Write the state; a process killed meanwhile leaves the earlier file whole."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_name(self.path.name + ".new")
        with scratch.open("wb") as file:
            torch.save({"fingerprint": json.dumps(fingerprint, sort_keys=True), **state}, file)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)

    def read(self, *, fingerprint: Mapping[str, Any]) -> dict[str, Any] | None:
        """The state, or None where none was written yet.

        Raises:
            ModelError: the file is broken, would need unpickling code, or belongs to another training.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)
            theirs = json.loads(state.pop("fingerprint"))
        except (OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError) as error:
            raise self._unreadable(error) from None
        except pickle.UnpicklingError as error:  # PyTorch's refusal
            raise self._unreadable(error) from None
        ours = json.loads(json.dumps(fingerprint))
        differ = sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key))
        if differ:
            got = ", ".join(f"{key} {theirs.get(key)!r} instead of {ours.get(key)!r}" for key in differ)
            raise ModelError(
                f"{self.path}: expected a checkpoint of this training, got {got}. Remove it, or name another file."
            )
        return state

    def _unreadable(self, error: Exception) -> ModelError:
        problem = str(error).split("\n")[0] or type(error).__name__
        return ModelError(
            f"{self.path}: expected a checkpoint that needs no code to be read, got {problem!r}. "
            "Remove it to start afresh."
        )


def random_state(device: torch.device) -> Tensor:
    """State of torch's generator that dropout draws from on `device`, as bytes."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def restore_random_state(state: Tensor, device: torch.device) -> None:
    """Go on where `random_state` was taken."""
    state = state.to("cpu", torch.uint8)
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)
