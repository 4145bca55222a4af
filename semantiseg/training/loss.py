"""The training objective of the paper: L_total = lambda_1 L_Dice + lambda_2 L_DHN, from logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

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
