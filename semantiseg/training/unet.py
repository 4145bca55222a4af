"""Training of the plain U-Net: the same slices as SemantiSeg, and the same processor seconds.

Its architecture has no place for the pretrained streams, so it is given the seconds that their warm-up took as well.
What a step of each costs is measured here, on the slices and the machine at hand; the number of steps follows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import nn

from semantiseg.data.store import VolumeStore
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import WIDTHS, build_streams, start_from
from semantiseg.models.streams import StructureHead
from semantiseg.models.unet import PlainUNet
from semantiseg.models.weights import read_trained, write_trained
from semantiseg.params import Train
from semantiseg.training.hardware import Hardware
from semantiseg.training.optimisation import deterministic
from semantiseg.training.pretrain import Atlas, WarmUp, structures_of, walk
from semantiseg.training.progress import Progress
from semantiseg.training.questions import Questions, read_questions, trained_on

RIVAL = "token"
"""The model whose seconds it is given."""
MEASURED = 12
"""Steps of a measurement."""


def train_unet(
    *, volumes: Path, training: Path, features: Path, streams: Path, out: Path, parameters: Train, seed: int,
    threads: int, steps: int | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Train the U-Net and write `model.safetensors`, `config.json` (with `processor_seconds`, and `rival_seconds` that
    they were matched to) and `curve.csv`.

    Args:
        volumes, training, features, streams, out, parameters, seed, threads: as `training.loop.train` takes them.
        steps: of the optimiser; None: as many as fit into the rival's seconds. Equal steps give equal weights.

    Returns:
        The curve, as `training.loop.train` has it; levels 2 and 3, which it does not read, are NaN.

    Raises:
        NonFiniteLossError, DataError, ModelError: see the modules called.
    """
    with deterministic(threads), VolumeStore(volumes) as store:
        optional = ("steps", "images_per_step", "started_from")
        config, _ = read_trained(streams, keys=("width", "image_size"), optional=optional)
        tables = {split: read_questions(training, split=split) for split in ("train", "validation")}
        structures, size = structures_of(tables["train"]), config["image_size"]
        atlases = {split: Atlas(table, structures, store=store, size=size) for split, table in tables.items()}
        texts = TextFeatures.load(features)

        def learner(steps: int) -> WarmUp:
            torch.manual_seed(seed)
            network = PlainUNet(image_size=size, structures=structures)
            chosen = parameters.model_copy(update={"steps": steps})
            return WarmUp(network, nn.Identity(), atlases["train"], parameters=chosen, seed=seed)

        seconds = None
        if steps is None:
            questions = Questions(tables["train"], store=store, size=size, parents=True)
            seconds = _warm_up_seconds(config, atlases["train"], parameters, structures=len(structures))
            seconds += parameters.steps * _rival_step(streams, questions, texts, parameters, seed=seed)
            steps = max(1, round(seconds / seconds_a_step(_drawing(learner))))
        progress, began = learner(steps), time.process_time()
        walk(progress, atlases["validation"])
        used = time.process_time() - began
        seen = asdict(trained_on(store, training))
    described: dict[str, Any] = {"model": "unet", "width": config["width"], "image_size": size, **texts.described}
    described |= {"structures": structures, "seed": seed, "threads": threads} | parameters.model_dump()
    described |= {"trained_on": seen, "steps": steps, "processor_seconds": round(used, 3)}
    if seconds is not None:
        described |= {"rival": RIVAL, "rival_seconds": round(seconds, 3)}
    write_trained(out, progress.streams, described)
    curve = (
        pd.DataFrame.from_records(progress.records)
        .rename(columns={"dice": "dice_l1"})
        .assign(dice_l2=float("nan"), dice_l3=float("nan"))
    )
    curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
    return curve


def seconds_a_step(run: Callable[[int], object]) -> float:
    """Processor seconds of one step of `run(steps)`, all threads together; run twice, because a training returns to
    slices that the first steps read."""
    run(MEASURED)
    began = time.process_time()
    run(MEASURED)
    return (time.process_time() - began) / MEASURED


def _warm_up_seconds(config: dict[str, Any], atlas: Atlas, parameters: Train, *, structures: int) -> float:
    """What the warm-up of the streams cost, that of their start counted; 0 where they came from elsewhere."""
    if config["width"] not in WIDTHS or "steps" not in config:
        return 0.0

    def learner(steps: int) -> WarmUp:
        streams = build_streams(width=config["width"], image_size=config["image_size"])
        chosen = parameters.model_copy(update={"steps": steps, "images_per_step": config["images_per_step"]})
        return WarmUp(streams, StructureHead(streams, structures=structures), atlas, parameters=chosen, seed=0)

    steps = config["steps"] + config.get("started_from", {"steps": 0})["steps"]
    return float(steps) * seconds_a_step(_drawing(learner))


def _drawing(learner: Callable[[int], WarmUp]) -> Callable[[int], None]:
    def run(steps: int) -> None:
        progress = learner(steps)
        for _ in range(steps):
            progress.advance()

    return run


def _rival_step(streams: Path, questions: Questions, texts: TextFeatures, parameters: Train, *, seed: int) -> float:
    hardware = Hardware()

    def run(steps: int) -> None:
        network = start_from(streams, model=RIVAL, **texts.described)
        progress = Progress(
            hardware.fabric(unused_parameters=False), network, questions, seed=seed, hardware=hardware,
            parameters=parameters.model_copy(update={"steps": steps}),
        )  # fmt: skip
        with progress.loader(texts, checkpoint=None) as loader:
            for loaded in loader:
                progress.advance(loaded)

    return seconds_a_step(run)
