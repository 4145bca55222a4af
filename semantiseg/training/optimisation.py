"""The training objective of the paper: L_total = lambda_1 L_Dice + lambda_2 L_DHN, from logits.

What pretraining and training share: determinism, AdamW, the schedule, one careful step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.errors import SemantiSegError

SMOOTH = 1.0
"""Added to numerator and denominator of the Dice loss, in pixels: an empty answer to an empty target is perfect."""


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 - Dice of each prompt, on probabilities (Milletari et al., 3DV 2016, without squares).

    Args:
        logits: `[P, H, W]`.
        targets: `[P, H, W]` in [0, 1]; shares of area at borders are allowed.

    Returns:
        `[P]`.
    """
    probabilities = torch.sigmoid(logits)
    overlap = (probabilities * targets).sum(dim=(1, 2))
    total = probabilities.sum(dim=(1, 2)) + targets.sum(dim=(1, 2))
    return 1 - (2 * overlap + SMOOTH) / (total + SMOOTH)


def dhn_loss(logits: Tensor, targets: Tensor, *, gamma: float, negatives: bool) -> Tensor:
    """The Dynamic Hard Negative loss of each prompt, summed over pixels.

    As printed (Eq. 4): - sum_i (1 - p_i)^gamma y_i log p_i, which is the focal loss (Lin et al., ICCV 2017) of the
    foreground alone: it never penalises a false positive. With `negatives` the mirror term
    - sum_i p_i^gamma (1 - y_i) log(1 - p_i) is added.

    Args:
        logits: `[P, H, W]`.
        targets: `[P, H, W]` in [0, 1].
        gamma: 0 gives cross-entropy.
        negatives: add the mirror term.

    Returns:
        `[P]`.
    """
    # log p = logsigmoid(z), log(1 - p) = logsigmoid(-z): neither rounds to log 0 where the network is certain, and
    # exp(gamma log p) has a finite gradient there, which p ** gamma lacks for gamma < 1.
    log_foreground, log_background = F.logsigmoid(logits), F.logsigmoid(-logits)
    loss = -(torch.exp(gamma * log_background) * targets * log_foreground)
    if negatives:
        loss = loss - torch.exp(gamma * log_foreground) * (1 - targets) * log_background
    return loss.sum(dim=(1, 2))


def objective(
    logits: Tensor, targets: Tensor, *, dice_weight: float, dhn_weight: float, dhn_gamma: float, dhn_negatives: bool
) -> Tensor:
    """The training objective of each prompt, `[P]`; arguments as in the `train` section of params.yaml.

    L_DHN is divided by the number of pixels of the frame, so that lambda_2 means the same at every image size.
    """
    dice = dice_loss(logits, targets)
    dhn = dhn_loss(logits, targets, gamma=dhn_gamma, negatives=dhn_negatives) / logits[0].numel()
    return dice_weight * dice + dhn_weight * dhn


WARM_UP = 0.05
"""Share of the steps over which the learning rate rises to its peak."""
CLIP = 1.0
"""Largest norm of the gradient: one odd batch must not undo a short training."""


class NonFiniteLossError(SemantiSegError):
    """The loss became NaN or infinite; the message names what the batch asked."""


class OutOfMemoryError(SemantiSegError):
    """A step does not fit into memory; the message says which parameters to lower."""


@contextmanager
def deterministic(threads: int, *, strict: bool = True) -> Iterator[None]:
    """The same sums in the same order; earlier settings come back afterwards.

    Args:
        threads: PyTorch threads.
        strict: False allows operations that have no deterministic form, as some on GPUs.
    """
    memory: Any = torch.utils.deterministic  # whose one setting is a property that annotations do not know
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        memory.fill_uninitialized_memory,
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True, warn_only=not strict)
    # Filling memory guards against reading it unwritten; no operation here does, and it costs a tenth of the time.
    memory.fill_uninitialized_memory = False
    # Gradients that fade into denormals slow a CPU tenfold.
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        memory.fill_uninitialized_memory = before[2]
        torch.set_flush_denormal(False)


def cosine(step: int, *, steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


class Optimiser:
    """AdamW (Loshchilov & Hutter, ICLR 2019) under `cosine`, gradients clipped.

    Weight decay acts on matrices and kernels only: scales and offsets of norms have no reason to be small.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        *,
        learning_rate: float,
        weight_decay: float,
        steps: int,
        fused: bool = True,
    ) -> None:
        """
        Args:
            parameters: those that need no gradient are left out.
            learning_rate: peak.
            weight_decay: on matrices and kernels.
            steps: of the whole schedule.
            fused: one kernel for all parameters; gradients scaled for 16 bits cannot be clipped before it.
        """
        self._parameters = [value for value in parameters if value.requires_grad]
        groups = [
            {"params": [value for value in self._parameters if value.ndim > 1], "weight_decay": weight_decay},
            {"params": [value for value in self._parameters if value.ndim <= 1], "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(groups, lr=learning_rate, fused=fused)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.adamw, lambda step: cosine(step, steps=steps))

    def step(self, loss: Tensor) -> None:
        """One step down the gradient of `loss`."""
        self.adamw.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._parameters, CLIP)
        self.adamw.step()
        self.schedule.step()
