"""Weights by formula: every tensor drawn from its own name, so that two implementations can be compared without a file.

A model filled like this segments nothing: it proves the path from picture and prompt to mask, and every output made
with it says so (`MEANINGLESS`).
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

MEANINGLESS = "formula weights: these masks mean nothing"


def formula_tensor(name: str, like: Tensor, *, seed: int) -> Tensor:
    """A tensor of the shape of `like`, drawn from its name: deviation 1 / sqrt(fan-in) for matrices and kernels, 0.05
    for vectors, which lie about 1 if the name ends with "weight"; tensors of integers keep their value."""
    if not like.is_floating_point():
        return like
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    drawn = torch.from_numpy(rng.standard_normal(tuple(like.shape) or 1, dtype=np.float32)).reshape(like.shape)
    if like.ndim <= 1:
        return 0.05 * drawn + (1.0 if name.endswith("weight") else 0.0)
    return drawn / math.sqrt(math.prod(like.shape[1:]))


def formula_state(expected: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    """A whole state dict by formula."""
    return {name: formula_tensor(name, value, seed=seed) for name, value in expected.items()}


def fill(network: nn.Module, *, seed: int) -> nn.Module:
    """Fill a network by formula, ready to be asked."""
    network.load_state_dict(formula_state(network.state_dict(), seed=seed))
    return network.eval().requires_grad_(False)
