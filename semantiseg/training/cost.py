"""What a training needs, measured on one image: operations, weights, what the backward pass keeps; scaled to GPUs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from semantiseg.models.prompts import PromptBatch
from semantiseg.models.registry import build
from semantiseg.params import Train
from semantiseg.training.step import Learner, ProgramWords

PROGRAM = "organ(kidney)"


@dataclass(frozen=True)
class Cost:
    """Of one image with all its prompts."""

    parameters: int
    trained: int
    """Of the parameters, those that training moves."""
    flops_encode: float
    """Operations of encoding the image, multiplications and additions counted each."""
    flops_step: float
    """Of loss and gradients."""
    saved_bytes: float
    """What the forward pass keeps for the backward pass, in float32."""

    def hours(self, *, steps: int, images: int, gpus: int, peak: float, share: float) -> float:
        """Hours of `steps` steps of `images` images on `gpus` of `peak` operations a second, of which a `share` is
        reached."""
        return steps * images * self.flops_step / (gpus * peak * share) / 3600

    def memory_gib(self, *, images: int, bytes_per_value: float) -> float:
        """GiB, at least, on one GPU that works on `images` at a time.

        Float32 weights, gradients and AdamW's two moments of what is trained, and what the backward pass needs in
        values of `bytes_per_value` (2 at half precision); not PyTorch's own reserves.
        """
        fixed = 4 * self.parameters + 3 * 4 * self.trained
        return (fixed + images * self.saved_bytes * bytes_per_value / 4) / 2**30


def measure_cost(*, model: str, width: str, image_size: int, prompts: int, parameters: Train, words: int = 12) -> Cost:
    """Count one forward and backward pass of one image with `prompts` prompts of `words` word pieces, on the CPU.

    Raises:
        ModelError: see `models.registry.build`.
    """
    torch.manual_seed(0)
    network = build(model, width=width, image_size=image_size, text_width=768, sentence_width=512)
    head = ProgramWords([PROGRAM], width=network.projection.norm.normalized_shape[0])
    learner = Learner(network, head, parameters=parameters)
    learner.prepare_training()
    asked = _prompts(prompts, words=words, sentence=network.projection.widths[1])
    images = torch.rand(1, 1, image_size, image_size)
    with FlopCounterMode(display=False) as encoding, torch.no_grad():
        network.eval().encode(images)
    learner.prepare_training()
    masks = torch.zeros(prompts, image_size, image_size)
    kept: dict[int, int] = {}
    known = {value.untyped_storage().data_ptr() for value in learner.parameters()}

    def keep(value: torch.Tensor) -> torch.Tensor:
        storage = value.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return value

    with FlopCounterMode(display=False) as stepping:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value):
            owner = torch.zeros(prompts, dtype=torch.int64)
            loss = learner(images, owner, dict(vars(asked)), masks, masks, [PROGRAM] * prompts)
        loss.backward()
    weights = list(network.parameters())
    return Cost(
        parameters=sum(value.numel() for value in weights),
        trained=sum(value.numel() for value in weights if value.requires_grad),
        flops_encode=float(encoding.get_total_flops()),
        flops_step=float(stepping.get_total_flops()),
        saved_bytes=float(sum(kept.values())),
    )


def _prompts(number: int, *, words: int, sentence: int) -> PromptBatch:
    return PromptBatch(
        tokens=torch.randn(number, words, 2 * 768),
        mask=torch.ones(number, words, dtype=torch.bool),
        pooled=torch.randn(number, sentence),
        boxes=torch.zeros(number, 4),
        ids=torch.zeros(number, words, dtype=torch.int64),
    )
