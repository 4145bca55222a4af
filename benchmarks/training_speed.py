"""How fast training and answering are: waiting for data, and what eight more prompts cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantiseg import params
from semantiseg.data.store import VolumeStore
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import build, start_from
from semantiseg.training.hardware import Hardware
from semantiseg.training.optimisation import deterministic
from semantiseg.training.progress import Progress
from semantiseg.training.questions import Questions, read_questions

WAIT_SHARE, NINE_AGAINST_ONE = 0.05, 1.3
WARM_UP, STEPS = 60, 120
"""Optimiser steps before and while the waiting is timed: the first ones fill the cache of slices."""
ROUNDS = 5


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


def prompts_per_image(root: Path) -> Iterator[dict[str, Any]]:
    """Seconds of nine prompts on one 352 x 352 image against one, full-size network, text features cached."""
    with deterministic(1):
        torch.manual_seed(0)
        network = build("token", width="paper", image_size=352, text_width=768, sentence_width=512).eval()
        image = np.random.default_rng(0).random((352, 352)).astype(np.float32)
        texts = tuple(f"prompt {number}" for number in range(9))
        features = _features(texts)
        seconds: dict[int, list[float]] = {1: [], 9: []}
        for _ in range(1 + ROUNDS):
            for number, times in seconds.items():
                started = time.perf_counter()
                network.segment(image, texts[:number], features=features)
                times.append(time.perf_counter() - started)
    one, nine = (float(np.median(times[1:])) for times in seconds.values())
    yield {
        "name": "segment_9_vs_1_prompts",
        "value": round(nine / one, 3),
        "unit": "x",
        "target": NINE_AGAINST_ONE,
        "seconds_1": round(one, 3),
    }


def _features(texts: tuple[str, ...]) -> TextFeatures:
    rng = np.random.default_rng(0)
    words = 12 * len(texts)
    return TextFeatures(
        texts=texts,
        offsets=np.arange(0, words + 1, 12),
        tokens=rng.normal(size=(words, 768)).astype(np.float16),
        ids=np.zeros(words, dtype=np.int32),
        pooled=rng.normal(size=(len(texts), 512)).astype(np.float16),
        static=rng.normal(size=(words, 768)).astype(np.float16),
    )


BENCHMARKS = (loader_wait, prompts_per_image)


if __name__ == "__main__":
    for benchmark in (loader_wait, prompts_per_image):
        print(*benchmark(Path(__file__).resolve().parents[1]), sep="\n")
