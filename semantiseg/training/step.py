"""One careful optimiser step, on any hardware."""

from __future__ import annotations

import math

import torch
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import nn

from semantiseg.training.batch import Batch
from semantiseg.training.learner import Learner, arguments
from semantiseg.training.loader import Loaded
from semantiseg.training.optimisation import CLIP, NonFiniteLossError, OutOfMemoryError
from semantiseg.training.questions import Questions

SHORTAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""What PyTorch's messages say when memory runs out."""


def descend(
    fabric: Fabric,
    learner: _FabricModule | Learner,
    adamw: _FabricOptimizer,
    loaded: Loaded,
    questions: Questions,
    *,
    step: int,
) -> float:
    """One step down the gradient of what all processes loaded.

    Returns:
        The mean loss of this process.

    Raises:
        NonFiniteLossError: in every process, before anything was changed; those that met it name their prompts.
        OutOfMemoryError: says which parameters to lower.
    """
    adamw.zero_grad()
    parts, total = len(loaded.batches), 0.0
    try:
        for number, batch in enumerate(loaded.batches):
            with fabric.no_backward_sync(learner, enabled=number < parts - 1):
                loss = learner(*arguments(batch.to(fabric.device), questions))
                value = float(loss.detach())
                _check_finite(fabric, value, batch, questions, step=step)
                fabric.backward(loss / parts)
                total += value / parts
        # Not `fabric.clip_gradients`: it sums the norm in the optimiser's order, and the last digits with it.
        fabric.strategy.precision.unscale_gradients(adamw.optimizer)
        nn.utils.clip_grad_norm_(learner.parameters(), CLIP)
        adamw.step()
    except (RuntimeError, MemoryError) as error:
        if not _is_shortage(error):
            raise
        raise _shortage(error, loaded.batches[0], step=step) from None
    return total


def _shortage(error: BaseException, batch: Batch, *, step: int) -> OutOfMemoryError:
    problem = str(error).split("\n")[0] or type(error).__name__
    return OutOfMemoryError(
        f"step {step}: expected {len(batch.images)} images of {batch.images.shape[-1]} pixels with "
        f"{len(batch.prompts)} prompts to fit into memory, got {problem!r}. Raise accumulate (the same step in smaller "
        "parts), or lower train.images_per_step, then train.prompts_per_image."
    )


def _check_finite(fabric: Fabric, value: float, batch: Batch, questions: Questions, *, step: int) -> None:
    """All processes stop where one of them must: the others would wait for it for ever."""
    finite = math.isfinite(value)
    if fabric.world_size > 1:
        everywhere = fabric.all_reduce(torch.tensor(float(finite), device=fabric.device), reduce_op="sum")
        if finite and int(everywhere) < fabric.world_size:
            raise NonFiniteLossError(
                f"step {step}: expected a finite loss in every process, got another in one, which names its prompts."
            )
    if not finite:
        asked = "; ".join(
            f"{text!r} ({questions.name(row)})" for text, row in zip(batch.texts, batch.rows, strict=True)
        )
        raise NonFiniteLossError(
            f"step {step}: expected a finite loss, got {value} for the prompts {asked}. "
            "Lower train.learning_rate, or look at these images. The last checkpoint, if there is one, is kept."
        )


def _is_shortage(error: BaseException) -> bool:
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        words in str(error).lower() for words in SHORTAGES
    )
