"""Batch normalisation whose statistics are those of the whole step, also when several processes share it.

PyTorch's own does this on GPUs only; this one works with gloo too, and its parameters have the same names.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the images of all processes in training; the very same in evaluation."""

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, H, W]`; every process must call it the same number of times."""
        if not (self.training and dist.is_initialized()):
            return super().forward(x)
        values = x.float()
        count = all_reduce(values.new_tensor([values.numel() / values.shape[1]]))
        mean = all_reduce(values.sum(dim=(0, 2, 3))) / count
        centred = values - mean[:, None, None]
        variance = all_reduce(centred.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def synchronise(module: nn.Module) -> None:
    """Replace every `nn.BatchNorm2d` below `module`, weights kept."""
    for name, child in module.named_children():
        if type(child) is nn.BatchNorm2d:
            made = SynchronisedBatchNorm2d(child.num_features, eps=child.eps, momentum=child.momentum)
            made.load_state_dict(child.state_dict())
            made.train(child.training)
            for ours, theirs in zip(made.parameters(), child.parameters(), strict=True):
                ours.requires_grad_(theirs.requires_grad)
            setattr(module, name, made)
        else:
            synchronise(child)
