"""The program teaches the reading: every training sentence comes with the program that it means.

From E_text alone a linear head has to tell which words the program is made of (`minus`, `right`, `kidney_tumour`).
Antonyms are neighbours in a sentence encoder's space ("left half" and "right half": cosine 0.97); this pulls them apart
before the masks can.

What is trained: the model and the head that reads programs from sentences, with the loss of a batch.

One careful optimiser step, on any hardware.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from lightning_fabric.wrappers import _FabricModule, _FabricOptimizer
from torch import Tensor, nn

from semantiseg.models.prompts import PromptBatch
from semantiseg.models.segmenter import Segmenter
from semantiseg.params import Train
from semantiseg.training.batch import Batch
from semantiseg.training.loader import Loaded
from semantiseg.training.optimisation import CLIP, NonFiniteLossError, OutOfMemoryError, objective
from semantiseg.training.questions import Questions

_WORD = re.compile(r"[a-z_]+")


class ProgramWords(nn.Module):
    """A linear head over E_text `[P, D]`, used in training only.

    Args:
        programs: printed programs of the training questions; their words are the vocabulary.
        width: D.
    """

    def __init__(self, programs: Sequence[str], *, width: int) -> None:
        super().__init__()
        self.words = sorted({word for program in set(programs) for word in _WORD.findall(program)})
        self.head = nn.Linear(width, len(self.words))
        self._position = {word: position for position, word in enumerate(self.words)}

    def targets(self, programs: Sequence[str]) -> Tensor:
        """1 where a word occurs in a program, `[P, words]`."""
        found = torch.zeros(len(programs), len(self.words))
        for row, program in enumerate(programs):
            found[row, [self._position[word] for word in set(_WORD.findall(program))]] = 1.0
        return found

    def loss(self, sentence: Tensor, programs: Sequence[str]) -> Tensor:
        """Cross-entropy of every prompt, summed over words, `[P]`."""
        logits = self.head(sentence).float()  # sums in half precision would lose digits
        targets = self.targets(programs).to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)


class Learner(nn.Module):
    """One module with one `forward`, as Fabric and DistributedDataParallel want it."""

    def __init__(self, network: Segmenter, words: ProgramWords, *, parameters: Train) -> None:
        super().__init__()
        self.network, self.words = network, words
        self._train = parameters
        self._weights: dict[str, Any] = {
            "dice_weight": parameters.dice_weight,
            "dhn_weight": parameters.dhn_weight,
            "dhn_gamma": parameters.dhn_gamma,
            "dhn_negatives": parameters.dhn_negatives,
        }

    def prepare_training(self) -> None:
        """Training mode for what is trained; the rest frozen, in eval mode."""
        self.train()
        self.network.streams.prepare_training()

    def forward(
        self,
        images: Tensor,
        owner: Tensor,
        prompts: dict[str, Tensor],
        targets: Tensor,
        parents: Tensor,
        programs: list[str],
    ) -> Tensor:
        """The mean loss of P prompts, a scalar; arguments as in `Batch`, `programs` are the prompts' own."""
        network = self.network
        decoded = network.decode(network.encode(images), owner, PromptBatch(**prompts))
        height, width = decoded.located.shape[-2:]
        regions = F.adaptive_avg_pool2d(parents[:, None], (height, width))[:, 0]
        # Sums over pixels need all digits, whatever the network computes in.
        loss = objective(decoded.logits.float(), targets, **self._weights).mean()
        located = objective(decoded.located.float(), regions, **self._weights).mean()
        loss = loss + self._train.location_weight * located
        if network.reading != "none":
            loss = loss + self._train.reading_weight * self.words.loss(decoded.sentence, programs).mean()
        return loss


def arguments(batch: Batch, questions: Questions) -> tuple[object, ...]:
    """A batch as `Learner.forward` takes it: Fabric does not accept frozen dataclasses."""
    programs = [questions.program[row] for row in batch.rows]
    return batch.images, batch.owner, dict(vars(batch.prompts)), batch.targets, batch.parents, programs


SHORTAGES = ("out of memory", "can't allocate memory", "not enough memory")
"""What PyTorch's messages say when memory runs out."""


def descend(
    fabric: Fabric,
    learner: _FabricModule,
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


def reduced(fabric: Fabric, value: Tensor, *, by: Literal["sum", "mean"]) -> float:
    """A number of every process as one, in all of them."""
    found = fabric.all_reduce(value, reduce_op=by)
    return float(cast(Tensor, found))  # Fabric reduces collections too; a tensor stays one.


def _check_finite(fabric: Fabric, value: float, batch: Batch, questions: Questions, *, step: int) -> None:
    """All processes stop where one of them must: the others would wait for it for ever."""
    finite = math.isfinite(value)
    if fabric.world_size > 1:
        everywhere = reduced(fabric, torch.tensor(float(finite), device=fabric.device), by="sum")
        if finite and everywhere < fabric.world_size:
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
