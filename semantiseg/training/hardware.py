"""Batch normalisation whose statistics are those of the whole step, also when several processes share it.

PyTorch's own does this on GPUs only; this one works with gloo too, and its parameters have the same names.

Where and how a training runs, through Lightning Fabric: one CPU, one GPU, several, several machines.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
import torch.distributed as dist
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce

from semantiseg.errors import ParameterError


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """`nn.BatchNorm2d` over the images of all processes in training; the very same in evaluation."""

    # PyTorch's may be made without running statistics; this one is not.
    momentum: float
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

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


@dataclass(frozen=True)
class Hardware:
    """How the work of a step is spread. What a step sees stays the same: `images_per_step` counts all processes."""

    accelerator: Literal["cpu", "cuda"] = "cpu"
    devices: int = 1
    """Processes on each machine, one a GPU."""
    nodes: int = 1
    """Machines."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    accumulate: int = 1
    """Parts that a process cuts its share of a step into, one after the other; batch normalisation sees one part."""
    workers: int = 0
    """Processes that read and deform images, for each training process; 0 is one thread."""
    augment: Literal["stream", "position"] = "stream"
    """Where a deformation's random numbers come from: one stream, which only one reader can walk; or the number of
    the step and of the image in it, so that any process can make any image."""

    @property
    def processes(self) -> int:
        """W, over all machines."""
        return self.devices * self.nodes

    def check(self, *, images_per_step: int) -> None:
        """Raise ParameterError where a step cannot be spread in this way."""
        for name in ("devices", "nodes", "accumulate"):
            if getattr(self, name) < 1:
                raise ParameterError(f"{name}: expected at least 1, got {getattr(self, name)}. Correct it.")
        parts = self.processes * self.accumulate
        if images_per_step % parts:
            raise ParameterError(
                f"train.images_per_step: expected a multiple of {parts} ({self.processes} processes, {self.accumulate} "
                f"parts each), got {images_per_step}. Change it, or the processes, or accumulate."
            )
        if self.accelerator == "cpu" and self.precision == "16-mixed":
            raise ParameterError(
                "precision: expected '32-true' or 'bf16-mixed' on a CPU, got '16-mixed', which it has not. Change it."
            )
        if self.augment == "stream" and (self.processes > 1 or self.workers):
            raise ParameterError(
                "augment: expected 'position' with several processes or workers, got 'stream', which one reader must "
                "walk from its start. Set it."
            )

    def fabric(self, *, unused_parameters: bool) -> Fabric:
        """Fabric for this hardware, processes joined.

        Args:
            unused_parameters: some layers take no part in the loss, which several processes must know.
        """
        strategy: Any = "auto"
        if self.processes > 1:
            strategy = DDPStrategy(
                process_group_backend="gloo" if self.accelerator == "cpu" else "nccl",
                find_unused_parameters=unused_parameters,
            )
        fabric = Fabric(
            accelerator=self.accelerator,
            devices=self.devices,
            num_nodes=self.nodes,
            strategy=strategy,
            precision=self.precision,
        )
        fabric.launch()
        return fabric

    def described(self) -> dict[str, Any]:
        """What of this takes part in the result, for checkpoints."""
        described = asdict(self)
        described["processes"] = described.pop("devices") * described.pop("nodes")
        del described["workers"]
        return described
