"""Training of one model, from files to files. Equal arguments give equal bytes on one machine."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from semantiseg.conventions import LEVELS
from semantiseg.data.store import VolumeStore
from semantiseg.errors import SemantiSegError
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import build
from semantiseg.models.segmenter import Segmenter
from semantiseg.params import Train
from semantiseg.training.augmentation import Augmentation
from semantiseg.training.batch import Batch, Drawn, Sampler, assemble, validation_draws
from semantiseg.training.loss import objective
from semantiseg.training.questions import Questions, read_questions

WARM_UP = 0.05
"""Share of the steps over which the learning rate rises to its peak."""
CLIP = 1.0
"""Largest norm of the gradient: one odd batch must not undo a short training."""
VALIDATIONS = 8
"""Times that the validation Dice is measured in a training."""
VALIDATION_IMAGES, VALIDATION_PROMPTS = 24, 4


class NonFiniteLossError(SemantiSegError):
    """The loss became NaN or infinite; the message names the prompts of the batch."""


def train(
    *, model: str, volumes: Path, training: Path, features: Path, out: Path, parameters: Train, seed: int, threads: int
) -> pd.DataFrame:
    """Train one model of the registry and write `model.safetensors`, `config.json` and `curve.csv`.

    The order of images, texts and deformations depends on `seed` alone, not on the model.

    Args:
        model: name in `models/registry.py`.
        volumes: folder of prepared volumes.
        training: `training.parquet`.
        features: `features.h5`.
        out: folder to write.
        parameters: the `train` section of params.yaml.
        seed: of weights, order and augmentation.
        threads: PyTorch threads.

    Returns:
        The curve: `step`, `loss` (mean since the last row), `dice_l1`, `dice_l2`, `dice_l3` (validation; NaN for a
        level without prompts).

    Raises:
        NonFiniteLossError: names the step and the prompts.
        DataError, ModelError: inputs that do not fit; see the modules called.
    """
    with _deterministic(threads), VolumeStore(volumes) as store:
        texts = TextFeatures.load(features)
        torch.manual_seed(seed)
        network = build(model, width=parameters.width, image_size=parameters.image_size, text_width=texts.width)
        splits = {
            split: Questions(
                read_questions(training, split=split),
                store=store,
                size=parameters.image_size,
                parents=network.needs_box,
            )
            for split in ("train", "validation")
        }
        curve = _fit(
            network, splits["train"], splits["validation"], texts, parameters=parameters, seed=seed, title=model
        )
    config = {"model": model, "text_width": texts.width, "text_encoder": "minilm", "seed": seed, "threads": threads}
    _write(out, network, config | parameters.model_dump(), curve)
    return curve


@contextmanager
def _deterministic(threads: int) -> Iterator[None]:
    """The same sums in the same order; earlier settings come back afterwards."""
    before = (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,
    )
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # Filling memory guards against reading it unwritten; no operation here does, and it costs a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False
    # Gradients that fade into denormals slow a CPU tenfold.
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]
        torch.set_flush_denormal(False)


def _fit(
    network: Segmenter,
    questions: Questions,
    validation: Questions,
    features: TextFeatures,
    *,
    parameters: Train,
    seed: int,
    title: str,
) -> pd.DataFrame:
    network.to(memory_format=torch.channels_last)
    optimiser = _optimiser(network, parameters)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _cosine(step, steps=parameters.steps))
    sampler = iter(
        Sampler(questions, images=parameters.images_per_step, prompts=parameters.prompts_per_image, seed=seed)
    )
    augmentation = Augmentation(distortion=parameters.augmentation, seed=seed)
    held = validation_draws(validation, images=VALIDATION_IMAGES, prompts=VALIDATION_PROMPTS, seed=seed)
    reading = {"features": features, "reading": network.reading, "needs_box": network.needs_box}
    records, losses = [], []
    every = max(1, parameters.steps // VALIDATIONS)
    for step in tqdm(range(1, parameters.steps + 1), desc=f"train {title}", unit="step", disable=None):
        network.train()
        batch = assemble(next(sampler), questions, augmentation=augmentation, **reading)
        losses.append(_step(network, optimiser, batch, parameters, name=questions.name, step=step))
        schedule.step()
        if step % every == 0 or step == parameters.steps:
            dice = _validate(network, validation, held, **reading)
            records.append({"step": step, "loss": float(np.mean(losses)), **dice})
            losses = []
    return pd.DataFrame.from_records(records)


def _step(
    network: Segmenter,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    parameters: Train,
    *,
    name: Callable[[int], str],
    step: int,
) -> float:
    logits = network(batch.images, batch.owner, batch.prompts)
    loss = objective(
        logits,
        batch.targets,
        dice_weight=parameters.dice_weight,
        dhn_weight=parameters.dhn_weight,
        dhn_gamma=parameters.dhn_gamma,
        dhn_negatives=parameters.dhn_negatives,
    ).mean()
    value = float(loss.detach())
    if not math.isfinite(value):
        asked = "; ".join(f"{text!r} ({name(row)})" for text, row in zip(batch.texts, batch.rows, strict=True))
        raise NonFiniteLossError(
            f"step {step}: expected a finite loss, got {value} for the prompts {asked}. "
            "Lower train.learning_rate, or look at these images."
        )
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    optimiser.step()
    return value


def _optimiser(network: nn.Module, parameters: Train) -> torch.optim.AdamW:
    """AdamW; weight decay on matrices and kernels only, since scales and offsets of norms have no reason to be
    small."""
    weights = [value for value in network.parameters() if value.requires_grad and value.ndim > 1]
    others = [value for value in network.parameters() if value.requires_grad and value.ndim <= 1]
    groups = [{"params": weights, "weight_decay": parameters.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=parameters.learning_rate, fused=True)


def _cosine(step: int, *, steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine to 0."""
    rise = max(1, round(WARM_UP * steps))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


@torch.no_grad()
def _validate(network: Segmenter, questions: Questions, held: list[Drawn], **reading) -> dict[str, float]:
    """Mean Dice by level on the held questions, in the model's frame."""
    network.eval()
    scores: dict[int, list[float]] = {level: [] for level in LEVELS}
    for start in range(0, len(held), 8):
        batch = assemble(held[start : start + 8], questions, augmentation=None, **reading)
        answers, targets = network(batch.images, batch.owner, batch.prompts) > 0, batch.targets > 0.5
        overlap, total = (answers & targets).sum(dim=(1, 2)), answers.sum(dim=(1, 2)) + targets.sum(dim=(1, 2))
        dice = torch.where(total > 0, 2 * overlap / total.clamp(min=1), 1.0)
        for row, value in zip(batch.rows, dice.tolist(), strict=True):
            scores[int(questions.level[row])].append(value)
    return {f"dice_l{level}": float(np.mean(values)) if values else float("nan") for level, values in scores.items()}


def _write(out: Path, network: nn.Module, config: dict[str, object], curve: pd.DataFrame) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / "model.safetensors")
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
