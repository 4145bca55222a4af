"""Training of one model, from files to files. Equal arguments give equal bytes on one machine's CPU.

Training in a project's folder on hardware of one's own: `semantiseg train`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from lightning_fabric import Fabric
from tqdm import tqdm

from semantiseg import params
from semantiseg.conventions import LEVELS
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ParameterError
from semantiseg.files import check_folder
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import start_from
from semantiseg.models.segmenter import Segmenter
from semantiseg.models.weights import write_trained
from semantiseg.params import Train
from semantiseg.training.batch import Drawn, assemble, validation_draws
from semantiseg.training.hardware import Hardware
from semantiseg.training.optimisation import deterministic
from semantiseg.training.progress import Checkpoint, Progress
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
    hardware: Hardware = Hardware(),  # noqa: B008 (frozen)
    checkpoint: Checkpoint | None = None,
) -> pd.DataFrame:
    """Train one model of the registry and write `model.safetensors`, `config.json` and `curve.csv`.

    The order of images, texts and deformations depends on `seed` alone, not on the model. With several processes each
    calls this; the first one writes.

    Args:
        model: name in `models/registry.py`.
        volumes: folder of prepared volumes.
        training: `training.parquet`.
        features: `features.h5`.
        streams: folder of the image streams that every model starts from, warmed up or written by `models/registry.py`.
        out: folder to write.
        parameters: the `train` section of params.yaml.
        seed: of weights, order and augmentation.
        threads: PyTorch threads of each process.
        hardware: where to run.
        checkpoint: go on from this file where it exists, and keep it up to date; on a CPU with the bytes of a training
            that was not cut off.

    Returns:
        The curve: `step`, `loss` (mean since the last row), `dice_l1`, `dice_l2`, `dice_l3` (validation; NaN for a
        level without prompts).

    Raises:
        NonFiniteLossError, OutOfMemoryError: see `training/step.py`.
        ParameterError: a step cannot be spread over this hardware.
        DataError, ModelError: inputs that do not fit; see the modules called.
    """
    hardware.check(images_per_step=parameters.images_per_step)
    with deterministic(threads, strict=hardware.accelerator == "cpu"):
        fabric = hardware.fabric(unused_parameters=model == "box")
        texts = TextFeatures.load(features)
        torch.manual_seed(seed)
        network = start_from(streams, model=model, **texts.described)
        with _questions(volumes, training, size=network.image_size) as (questions, validation):
            progress = Progress(fabric, network, questions, parameters=parameters, seed=seed, hardware=hardware)
            curve = _fit(progress, texts, validation, title=model, checkpoint=checkpoint)
    if fabric.is_global_zero:
        config = {"model": model, "width": network.width, "image_size": network.image_size, **texts.described}
        write_trained(out, network, config | {"seed": seed, "threads": threads} | parameters.model_dump())
        curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
    fabric.barrier()
    return curve


@contextmanager
def _questions(volumes: Path, training: Path, *, size: int) -> Iterator[list[Questions]]:
    """Of training and validation; each reads through a store of its own, because two threads use them."""
    with VolumeStore(volumes) as first, VolumeStore(volumes) as second:
        yield [
            Questions(read_questions(training, split=split), store=store, size=size, parents=True)
            for split, store in (("train", first), ("validation", second))
        ]


def _fit(
    progress: Progress, features: TextFeatures, validation: Questions, *, title: str, checkpoint: Checkpoint | None
) -> pd.DataFrame:
    network, steps = progress.network, progress.parameters.steps
    held = validation_draws(validation, images=VALIDATION_IMAGES, prompts=VALIDATION_PROMPTS, seed=progress.seed)
    every = max(1, steps // VALIDATIONS)
    if checkpoint is not None:
        progress.resume(checkpoint, model=title)
    bar = tqdm(desc=f"train {title}", unit="step", disable=None, total=steps, initial=progress.step)
    with bar, progress.loader(features, checkpoint=checkpoint) as loader:
        for loaded in loader:
            progress.advance(loaded)
            if progress.step % every == 0 or progress.step == steps:
                progress.record(_validate(progress.fabric, network, validation, held, features=features))
            if checkpoint is not None and checkpoint.due(progress.step):
                progress.save(checkpoint, loaded, model=title)
            bar.update()
    return pd.DataFrame.from_records(progress.records)


@torch.no_grad()
def _validate(
    fabric: Fabric, network: Segmenter, questions: Questions, held: list[Drawn], *, features: TextFeatures
) -> dict[str, float]:
    """Mean Dice by level on the held questions, in the model's frame."""
    network.eval()
    reading: dict[str, Any] = {"features": features, "reading": network.reading, "needs_box": network.needs_box}
    scores: dict[int, list[float]] = {level: [] for level in LEVELS}
    for start in range(0, len(held), 8):
        batch = assemble(held[start : start + 8], questions, augmentation=None, **reading).to(fabric.device)
        with fabric.autocast():
            answers, targets = network(batch.images, batch.owner, batch.prompts) > 0, batch.targets > 0.5
        overlap, total = (answers & targets).sum(dim=(1, 2)), answers.sum(dim=(1, 2)) + targets.sum(dim=(1, 2))
        dice = torch.where(total > 0, 2 * overlap / total.clamp(min=1), 1.0)
        for row, value in zip(batch.rows, dice.tolist(), strict=True):
            scores[int(questions.level[row])].append(value)
    return {f"dice_l{level}": float(np.mean(values)) if values else float("nan") for level, values in scores.items()}


def train_in_project(root: Path, model: str, *, every: int, tensorboard: bool = False, **hardware: Any) -> pd.DataFrame:
    """Train one model of `params.yaml` on `root`'s data and write `data/models/MODEL`.

    The stage `train` does the same on one CPU. Here deformations are drawn by position, so that the result depends
    neither on the number of processes nor on that of workers (but for rounding).

    Args:
        root: folder that holds params.yaml and data/.
        model: one of its models.
        every: steps between checkpoints, in `data/checkpoints/MODEL.ckpt`; an existing one is gone on from.
        tensorboard: write the curve to `logs/tensorboard/MODEL` too.
        hardware: fields of `Hardware`.

    Raises:
        OutputError: `data/models/MODEL` holds other files.
        ParameterError: no such model, TensorBoard is asked for and not installed, or a step cannot be spread.
        DataError, ModelError, NonFiniteLossError, OutOfMemoryError: see `training/loop.py`.
    """
    parameters = params.load(root / "params.yaml")
    if model not in parameters.models:
        raise ParameterError(f"model: expected one of {parameters.models} (params.yaml), got {model!r}. Choose one.")
    chosen = Hardware(augment="position", **hardware)
    chosen.check(images_per_step=parameters.train.images_per_step)
    data = root / "data"
    # No marker: DVC owns the folder too, and would see another one.
    check_folder(data / "models" / model, verb="train", own=("config.json", "model.safetensors", "curve.csv"))
    write_event = _tensorboard(root / "logs/tensorboard" / model) if tensorboard else None
    curve = train(
        model=model,
        volumes=data / "volumes",
        training=data / "bench/training.parquet",
        features=data / "text/features.h5",
        streams=data / "pretrained",
        out=data / "models" / model,
        parameters=parameters.train,
        seed=parameters.seed,
        threads=parameters.threads,
        hardware=chosen,
        checkpoint=Checkpoint(data / "checkpoints" / f"{model}.ckpt", every=every),
    )
    if write_event is not None:
        _write_events(write_event, curve)
    return curve


def _tensorboard(folder: Path) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ParameterError(
            "tensorboard: expected the package tensorboard, got none. Install it, or leave --tensorboard away: the "
            "curve is in data/models/MODEL/curve.csv and in `dvc plots show`."
        ) from None
    return SummaryWriter(str(folder))


def _write_events(writer: Any, curve: pd.DataFrame) -> None:
    for row in curve.to_dict("records"):
        for name, value in row.items():
            if name != "step":
                writer.add_scalar(name, value, int(row["step"]))
    writer.close()
