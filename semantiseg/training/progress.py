"""A training that was cut off goes on where it stood: one file, replaced as a whole, read without running code.

How far a training is: model, optimiser, streams of random numbers and curve; advanced, saved, resumed together.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor

from semantiseg.errors import ModelError
from semantiseg.models.features import TextFeatures
from semantiseg.models.segmenter import Segmenter
from semantiseg.params import Train
from semantiseg.training.batch import Augmentation, Sampler
from semantiseg.training.hardware import Hardware, synchronise
from semantiseg.training.loader import Assembly, Loaded, Loader
from semantiseg.training.optimisation import Optimiser
from semantiseg.training.questions import Questions
from semantiseg.training.step import Learner, ProgramWords, descend, reduced


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


class Progress:
    """The state of one training in one of its processes."""

    def __init__(
        self,
        fabric: Fabric,
        network: Segmenter,
        questions: Questions,
        *,
        parameters: Train,
        seed: int,
        hardware: Hardware,
    ) -> None:
        self.fabric, self.network, self.parameters, self.seed = fabric, network, parameters, seed
        self.step = 0
        self.records: list[dict[str, float]] = []
        self._losses: list[float] = []
        self._questions, self._hardware = questions, hardware
        network.to(memory_format=torch.channels_last)
        words = ProgramWords(questions.program, width=network.projection.norm.normalized_shape[0])
        if hardware.processes > 1:
            synchronise(network)
        self._learner = Learner(network, words, parameters=parameters)
        self._learner.prepare_training()
        self._optimiser = Optimiser(
            self._learner.parameters(),
            learning_rate=parameters.learning_rate,
            weight_decay=parameters.weight_decay,
            steps=parameters.steps,
            fused=hardware.precision != "16-mixed",
        )
        self._wrapped, self._adamw = fabric.setup(self._learner, self._optimiser.adamw)
        if fabric.global_rank:  # dropout differs between processes; the first draws as a lone one would
            torch.manual_seed(seed + fabric.global_rank)
        self._sampler = Sampler(
            questions, images=parameters.images_per_step, prompts=parameters.prompts_per_image, seed=seed
        )
        self._augmentation = Augmentation(distortion=parameters.augmentation, seed=seed)

    def loader(self, features: TextFeatures, *, checkpoint: Checkpoint | None) -> Loader:
        """What is left to work on."""
        assembly = Assembly(
            self._questions,
            features=features,
            reading=self.network.reading,
            needs_box=self.network.needs_box,
            augmentation=self._augmentation,
            by_position=self._hardware.augment == "position",
        )
        return Loader(
            assembly,
            self._sampler,
            steps=range(self.step + 1, self.parameters.steps + 1),
            rank=self.fabric.global_rank,
            hardware=self._hardware,
            keep_state=lambda step: checkpoint is not None and checkpoint.due(step),
        )

    def advance(self, loaded: Loaded) -> None:
        """One optimiser step."""
        self._learner.prepare_training()
        number = self.step + 1
        self._losses.append(descend(self.fabric, self._wrapped, self._adamw, loaded, self._questions, step=number))
        self._optimiser.schedule.step()
        self.step = number

    def record(self, dice: dict[str, float]) -> None:
        """Add a row to the curve: the mean loss, over all processes, since the last one."""
        loss = float(np.mean(self._losses))
        if self.fabric.world_size > 1:
            loss = reduced(self.fabric, torch.tensor(loss, dtype=torch.float64), by="mean")
        self.records.append({"step": self.step, "loss": loss, **dice})
        self._losses = []

    def save(self, checkpoint: Checkpoint, loaded: Loaded, *, model: str) -> None:
        """Write where the training stands after the step that worked on `loaded`. All processes call it."""
        draws = cast(Tensor, self.fabric.all_gather(random_state(self.fabric.device).to(self.fabric.device)))
        if self.fabric.is_global_zero:
            state = {
                "step": self.step,
                "learner": self._learner.state_dict(),
                "adamw": self._optimiser.adamw.state_dict(),
                "schedule": self._optimiser.schedule.state_dict(),
                "precision": self.fabric.strategy.precision.state_dict(),
                "draws": draws.reshape(self.fabric.world_size, -1).cpu(),
                "loader": loaded.state,
                "records": self.records,
                "losses": self._losses,
            }
            checkpoint.write(state, fingerprint=self._fingerprint(model))
        self.fabric.barrier()

    def resume(self, checkpoint: Checkpoint, *, model: str) -> None:
        """Go on from the checkpoint, where there is one.

        Raises:
            ModelError: the file is broken, or belongs to another training.
        """
        state: dict[str, Any] | None = checkpoint.read(fingerprint=self._fingerprint(model))
        if state is None:
            return
        self.step, self.records, self._losses = state["step"], state["records"], state["losses"]
        self._learner.load_state_dict(state["learner"])
        self._optimiser.adamw.load_state_dict(state["adamw"])
        self._optimiser.schedule.load_state_dict(state["schedule"])
        self.fabric.strategy.precision.load_state_dict(state["precision"])
        restore_random_state(state["draws"][self.fabric.global_rank], self.fabric.device)
        self._sampler.restore(state["loader"]["sampler"])
        if state["loader"]["augmentation"] is not None:
            self._augmentation.restore(state["loader"]["augmentation"])

    def _fingerprint(self, model: str) -> dict[str, Any]:
        return {
            "model": model,
            "seed": self.seed,
            "width": self.network.width,
            "image_size": self.network.image_size,
            "questions": len(self._questions.program),
            **self.parameters.model_dump(),
            **self._hardware.described(),
        }
