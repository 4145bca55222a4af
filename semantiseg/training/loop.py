"""Training of one model, from files to files. Equal arguments give equal bytes on one machine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tqdm import tqdm

from semantiseg.conventions import LEVELS
from semantiseg.data.store import VolumeStore
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import start_from
from semantiseg.models.segmenter import Segmenter
from semantiseg.params import Train
from semantiseg.training.augmentation import Augmentation
from semantiseg.training.batch import Batch, Drawn, Sampler, assemble, validation_draws
from semantiseg.training.loss import objective
from semantiseg.training.optimisation import NonFiniteLossError, Optimiser, deterministic
from semantiseg.training.program_words import ProgramWords
from semantiseg.training.questions import Questions, read_questions

VALIDATIONS = 8
"""Times that the validation Dice is measured in a training."""
VALIDATION_IMAGES, VALIDATION_PROMPTS = 24, 4


def train(
    *,
    model: str,
    volumes: Path,
    training: Path,
    features: Path,
    streams: Path,
    out: Path,
    parameters: Train,
    seed: int,
    threads: int,
) -> pd.DataFrame:
    """Train one model of the registry and write `model.safetensors`, `config.json` and `curve.csv`.

    The order of images, texts and deformations depends on `seed` alone, not on the model.

    Args:
        model: name in `models/registry.py`.
        volumes: folder of prepared volumes.
        training: `training.parquet`.
        features: `features.h5`.
        streams: folder of the pretrained image streams, which every model starts from.
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
    with deterministic(threads), VolumeStore(volumes) as store:
        texts = TextFeatures.load(features)
        torch.manual_seed(seed)
        network = start_from(streams, model=model, text_width=texts.width)
        splits = {
            split: Questions(
                read_questions(training, split=split),
                store=store,
                size=network.image_size,
                parents=True,
            )
            for split in ("train", "validation")
        }
        curve = _fit(
            network, splits["train"], splits["validation"], texts, parameters=parameters, seed=seed, title=model
        )
    config = {"model": model, "text_width": texts.width, "text_encoder": "minilm", "seed": seed, "threads": threads}
    _write(out, network, config | parameters.model_dump(), curve)
    return curve


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
    network.streams.requires_grad_(False)
    words = ProgramWords(questions.program, width=network.projection.norm.normalized_shape[0])
    optimiser = Optimiser(
        [*network.parameters(), *words.parameters()],
        learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        steps=parameters.steps,
    )
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
        network.streams.eval()
        batch = assemble(next(sampler), questions, augmentation=augmentation, **reading)
        losses.append(_step(network, words, optimiser, batch, parameters, questions=questions, step=step))
        if step % every == 0 or step == parameters.steps:
            dice = _validate(network, validation, held, **reading)
            records.append({"step": step, "loss": float(np.mean(losses)), **dice})
            losses = []
    return pd.DataFrame.from_records(records)


def _step(
    network: Segmenter,
    words: ProgramWords,
    optimiser: Optimiser,
    batch: Batch,
    parameters: Train,
    *,
    questions: Questions,
    step: int,
) -> float:
    decoded = network.decode(network.encode(batch.images), batch.owner, batch.prompts)
    regions = F.adaptive_avg_pool2d(batch.parents[:, None], decoded.located.shape[-2:])[:, 0]
    weights = {
        "dice_weight": parameters.dice_weight,
        "dhn_weight": parameters.dhn_weight,
        "dhn_gamma": parameters.dhn_gamma,
        "dhn_negatives": parameters.dhn_negatives,
    }
    loss = objective(decoded.logits, batch.targets, **weights).mean()
    loss = loss + parameters.location_weight * objective(decoded.located, regions, **weights).mean()
    if network.reading != "none":
        programs = [questions.program[row] for row in batch.rows]
        loss = loss + parameters.reading_weight * words.loss(decoded.sentence, programs).mean()
    value = float(loss.detach())
    if not math.isfinite(value):
        asked = "; ".join(
            f"{text!r} ({questions.name(row)})" for text, row in zip(batch.texts, batch.rows, strict=True)
        )
        raise NonFiniteLossError(
            f"step {step}: expected a finite loss, got {value} for the prompts {asked}. "
            "Lower train.learning_rate, or look at these images."
        )
    optimiser.step(loss)
    return value


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


def _write(out: Path, network: Segmenter, config: dict[str, object], curve: pd.DataFrame) -> None:
    out.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, out / "model.safetensors")
    config = config | {"width": network.width, "image_size": network.image_size}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
