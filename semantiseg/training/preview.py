"""A few validation answers to look at after training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from semantiseg.conventions import Mask, Slice
from semantiseg.data.store import VolumeStore
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import load
from semantiseg.training.batch import assemble, validation_draws
from semantiseg.training.questions import Questions, read_questions


@dataclass(frozen=True)
class Preview:
    """One validation question and the answer to it, in the model's frame `[S, S]`."""

    image: Slice
    text: str
    level: int
    target: Mask
    answer: Mask


@torch.no_grad()
def validation_previews(
    model: Path, *, volumes: Path, training: Path, features: Path, count: int, seed: int
) -> list[Preview]:
    """Ask a trained model one question about each of `count` validation slices, in the order the seed draws them; none
    without a validation patient.

    Raises:
        DataError, ModelError: inputs that do not fit; see the modules called.
    """
    network = load(model)
    with VolumeStore(volumes) as store:
        questions = Questions(
            read_questions(training, split="validation"),
            store=store,
            size=network.image_size,
            parents=True,
        )
        drawn = validation_draws(questions, images=count, prompts=1, seed=seed)
        if not drawn:
            return []
        batch = assemble(
            drawn,
            questions,
            features=TextFeatures.load(features),
            reading=network.reading,
            needs_box=network.needs_box,
            augmentation=None,
        )
    answers = network(batch.images, batch.owner, batch.prompts) > 0
    return [
        Preview(
            image=batch.images[image, 0].numpy(),
            text=text,
            level=int(questions.level[row]),
            target=target.numpy() > 0.5,
            answer=answer.numpy(),
        )
        for image, text, row, target, answer in zip(
            batch.owner.tolist(), batch.texts, batch.rows, batch.targets, answers, strict=True
        )
    ]
