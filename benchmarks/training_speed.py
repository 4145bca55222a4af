"""How much of a training step is spent waiting for its batch."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from semantiseg import params
from semantiseg.data.store import VolumeStore
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import start_from
from semantiseg.training.hardware import Hardware
from semantiseg.training.optimisation import deterministic
from semantiseg.training.progress import Progress
from semantiseg.training.questions import Questions, read_questions

WAIT_SHARE = 0.05
WARM_UP, STEPS = 60, 120
"""Optimiser steps before and while the waiting is timed: the first ones fill the cache of slices."""


def loader_wait(root: Path) -> Iterator[dict[str, Any]]:
    """Share of a demo training step that is spent waiting for its batch, on the demo's own data."""
    parameters, data = params.load(root / "params.yaml"), root / "data"
    with deterministic(parameters.threads), VolumeStore(data / "volumes") as store:
        texts = TextFeatures.load(data / "text/features.h5")
        torch.manual_seed(parameters.seed)
        network = start_from(data / "pretrained", model="token", text_width=texts.width)
        table = read_questions(data / "bench/training.parquet", split="train")
        questions = Questions(table, store=store, size=network.image_size, parents=True)
        hardware = Hardware()
        progress = Progress(
            hardware.fabric(unused_parameters=False), network, questions,
            parameters=parameters.train.model_copy(update={"steps": WARM_UP + STEPS}), seed=parameters.seed,
            hardware=hardware,
        )  # fmt: skip
        with progress.loader(texts, checkpoint=None) as loader:
            for loaded in loader:
                progress.advance(loaded)
                if progress.step == WARM_UP:
                    started, waited = time.perf_counter(), loader.waited
        seconds = time.perf_counter() - started
    yield {
        "name": "loader_wait_share",
        "value": round((loader.waited - waited) / seconds, 4),
        "unit": "",
        "target": WAIT_SHARE,
        "step_seconds": round(seconds / STEPS, 4),
    }


BENCHMARKS = (loader_wait,)
