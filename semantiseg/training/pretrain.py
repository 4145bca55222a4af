"""Warming the image streams up without any text, once for all models.

The paper starts from BiomedCLIP and from a ConvNeXt trained on ImageNet; presets of its size do so too. No weights can
be fetched here, so the demo makes its own start: both streams learn to draw every structure that training patients'
labels name.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from semantiseg.data.store import VolumeStore
from semantiseg.models.registry import FULL, build_streams, starting_streams
from semantiseg.models.streams import ImageStreams, StructureHead
from semantiseg.models.weights import published_path, write_trained
from semantiseg.params import Pretrain
from semantiseg.training.batch import Augmentation
from semantiseg.training.optimisation import NonFiniteLossError, Optimiser, deterministic, objective
from semantiseg.training.questions import Questions, read_questions

VALIDATIONS = 6
"""Times that the validation Dice is measured."""


class Atlas:
    """Slices with the masks of the structures that their label maps name; no text.

    Args:
        table: questions, see `read_questions`; only names (level 1) are used.
        structures: programs of the structures, in the head's order.
        store: the prepared volumes.
        size: S, the model's frame.
    """

    def __init__(self, table: pd.DataFrame, structures: list[str], *, store: VolumeStore, size: int) -> None:
        named = table[(table["level"] == 1) & table["program"].isin(structures)].reset_index(drop=True)
        self.questions = Questions(named, store=store, size=size, parents=False)
        self._structure = np.array([structures.index(program) for program in named["program"]])
        # Slices by structure that they show: drawing a structure first keeps rare ones from drowning.
        shown = (named["target_pixels"] > 0).to_numpy()
        self.sheets_of = [
            np.unique(self.questions.sheet_of[shown & (self._structure == number)]) for number in range(len(structures))
        ]
        self.sheets_of = [sheets for sheets in self.sheets_of if len(sheets)]

    def draw(self, rng: np.random.Generator) -> int:
        """A slice: first a structure, then one of the slices that show it."""
        sheets = self.sheets_of[int(rng.integers(len(self.sheets_of)))]
        return int(sheets[int(rng.integers(len(sheets)))])

    def batch(self, sheets: list[int], augmentation: Augmentation | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images `[B, 1, S, S]`, and for M masks: their image `[M]`, their structure `[M]`, targets `[M, S, S]`."""
        images, masks, owners = [], [], []
        for position, number in enumerate(sheets):
            sheet = self.questions.sheet(number)
            image, shares = sheet.image, sheet.masks.astype(np.float32) / np.float32(255)
            if augmentation is not None:
                image, shares = augmentation(image, shares)
            images.append(image)
            masks.append(shares)
            owners += [position] * len(shares)
        rows = np.concatenate([self.questions.sheets[number] for number in sheets])
        return (
            torch.from_numpy(np.stack(images))[:, None],
            torch.tensor(owners),
            torch.from_numpy(self._structure[rows]),
            torch.from_numpy(np.concatenate(masks)),
        )


def pretrain(
    *, volumes: Path, training: Path, out: Path, parameters: Pretrain, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Warm the streams up and write `model.safetensors`, `config.json` and `curve.csv`.

    Args:
        volumes: folder of prepared volumes.
        training: `training.parquet`; its slices and the names among its programs are used, none of its texts.
        out: folder to write.
        parameters: the `pretrain` section of params.yaml.
        seed: of weights, order and augmentation.

    Returns:
        The curve: `step`, `loss` (mean since the last row), `dice` (mean over structures, validation patients;
        NaN without one); and by structure at the end: `structure` (program), `slices` that show it, `dice`.

    Raises:
        NonFiniteLossError: names step and slices.
        DataError, ModelError: inputs that do not fit; see the modules called.
    """
    with deterministic(parameters.pretrain_threads), VolumeStore(volumes) as store:
        torch.manual_seed(seed)
        tables = {split: read_questions(training, split=split) for split in ("train", "validation")}
        structures = sorted(tables["train"].query("level == 1")["program"].unique())
        atlases = {
            split: Atlas(table, structures, store=store, size=parameters.image_size) for split, table in tables.items()
        }
        streams, origin = _streams(parameters, seed=seed)
        head = StructureHead(streams, structures=len(structures))
        curve, dice = _fit(streams, head, atlases["train"], atlases["validation"], parameters=parameters, seed=seed)
    write_trained(out, streams, parameters.model_dump() | {"seed": seed, "structures": structures} | origin)
    curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
    rows = [(structures[number], len(values), float(np.mean(values))) for number, values in sorted(dice.items())]
    return curve, pd.DataFrame(rows, columns=["structure", "slices", "dice"]).astype({"dice": float})


def _streams(parameters: Pretrain, *, seed: int) -> tuple[ImageStreams, dict[str, object]]:
    """Random for small presets; from `weights/` for full-size ones (a ConvNeXt's are optional, BiomedCLIP's not). And
    what config.json says of it."""
    if parameters.width not in FULL:
        return build_streams(width=parameters.width, image_size=parameters.image_size), {}
    imagenet = published_path("convnext_tiny.safetensors")
    return starting_streams(
        width=parameters.width,
        image_size=parameters.image_size,
        biomedclip=published_path("biomedclip"),
        imagenet=imagenet if imagenet.is_file() else None,
        seed=seed,
    )


def _fit(
    streams: ImageStreams, head: StructureHead, atlas: Atlas, validation: Atlas, *, parameters: Pretrain, seed: int
) -> tuple[pd.DataFrame, dict[int, list[float]]]:
    streams.to(memory_format=torch.channels_last)
    streams.keep_published()
    optimiser = Optimiser(
        [*streams.parameters(), *head.parameters()],
        learning_rate=parameters.learning_rate,
        weight_decay=parameters.weight_decay,
        steps=parameters.steps,
    )
    rng = np.random.default_rng([seed, 2])
    augmentation = Augmentation(distortion=parameters.augmentation, seed=seed)
    every = max(1, parameters.steps // VALIDATIONS)
    records, losses = [], []
    for step in tqdm(range(1, parameters.steps + 1), desc="pretrain", unit="step", disable=None):
        streams.train()
        streams.keep_published()
        sheets = [atlas.draw(rng) for _ in range(parameters.images_per_step)]
        images, owner, structure, targets = atlas.batch(sheets, augmentation)
        logits = head(streams(images.contiguous(memory_format=torch.channels_last)))[owner, structure]
        loss = objective(
            logits, targets, dice_weight=1.0, dhn_weight=1.0, dhn_gamma=0.0, dhn_negatives=True
        ).mean()  # Dice and cross-entropy
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            asked = "; ".join(atlas.questions.name(atlas.questions.sheets[number][0]) for number in sheets)
            raise NonFiniteLossError(
                f"pretraining, step {step}: expected a finite loss, got {losses[-1]} for the slices {asked}. "
                "Lower pretrain.learning_rate, or look at these images."
            )
        optimiser.step(loss)
        if step % every == 0 or step == parameters.steps:
            dice = _validate(streams, head, validation)
            mean = float(np.mean([np.mean(values) for values in dice.values()])) if dice else float("nan")
            records.append({"step": step, "loss": float(np.mean(losses)), "dice": mean})
            losses = []
    return pd.DataFrame.from_records(records), dice


@torch.no_grad()
def _validate(streams: ImageStreams, head: StructureHead, atlas: Atlas) -> dict[int, list[float]]:
    """Dice on every slice that shows a structure, by structure, in the model's frame."""
    streams.eval()
    scores: dict[int, list[float]] = {}
    for start in range(0, len(atlas.questions.sheets), 16):
        sheets = list(range(start, min(start + 16, len(atlas.questions.sheets))))
        images, owner, structure, targets = atlas.batch(sheets, None)
        answers, truth = head(streams(images))[owner, structure] > 0, targets > 0.5
        overlap, total = (answers & truth).sum(dim=(1, 2)), answers.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
        for number, value, shown in zip(
            structure.tolist(), (2 * overlap / total.clamp(min=1)).tolist(), truth.any(2).any(1).tolist(), strict=True
        ):
            if shown:
                scores.setdefault(number, []).append(value)
    return scores
