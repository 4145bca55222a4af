"""What further prompts cost once an image is encoded: nine prompts against one on one image, full-size network.

    PYTHONPATH=. python benchmarks/inference.py

Weights and text features are random: times do not depend on them. Features of the frozen text are computed before and
not timed, as a run caches them.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from semantiseg.models import registry
from semantiseg.models.features import TextFeatures

TEXTS = tuple(f"prompt {number}" for number in range(9))
WORDS = 12
"""Words of a prompt."""

WIDTH, IMAGE_SIZE = "paper", 352
"""BiomedCLIP's ViT-B/16 and ConvNeXt-Tiny on the paper's 352 x 352 pixels."""

TEXT_WIDTH, SENTENCE_WIDTH = 768, 512
"""Of BiomedCLIP's text tower: a word's features, a sentence's."""

NINE_AGAINST_ONE = 1.3
REPEATS = 7
THREADS = 1


def prompts(_: Path) -> Iterator[dict[str, Any]]:
    """The ratio, and the seconds that it comes from."""
    one, nine = measure()
    yield {
        "name": "segment_9_vs_1_prompts", "value": round(nine / one, 3), "unit": "x", "target": NINE_AGAINST_ONE,
        "seconds_1": round(one, 3), "seconds_9": round(nine, 3),
    }  # fmt: skip


def measure() -> tuple[float, float]:
    """Seconds of one prompt and of nine on one image.

    The two are measured in turns, so that what else the machine does hits both; the least time of each counts, since
    others only ever add to it.
    """
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    network = registry.build(
        "token", width=WIDTH, image_size=IMAGE_SIZE, text_width=TEXT_WIDTH, sentence_width=SENTENCE_WIDTH
    ).eval()
    image, features = np.random.default_rng(0).random((IMAGE_SIZE, IMAGE_SIZE), dtype=np.float32), _features()
    times: dict[int, list[float]] = {1: [], len(TEXTS): []}
    for _ in range(1 + REPEATS):
        for count, seconds in times.items():
            started = time.perf_counter()
            network.segment(image, TEXTS[:count], features=features)
            seconds.append(time.perf_counter() - started)
    one, nine = (min(seconds[1:]) for seconds in times.values())  # the first run warms up
    return one, nine


def _features() -> TextFeatures:
    rng, words = np.random.default_rng(0), WORDS * len(TEXTS)
    return TextFeatures(
        texts=TEXTS,
        offsets=np.arange(0, words + 1, WORDS),
        tokens=rng.normal(size=(words, TEXT_WIDTH)).astype(np.float16),
        ids=np.zeros(words, dtype=np.int32),
        pooled=rng.normal(size=(len(TEXTS), SENTENCE_WIDTH)).astype(np.float16),
        static=rng.normal(size=(words, TEXT_WIDTH)).astype(np.float16),
    )


BENCHMARKS = (prompts,)


if __name__ == "__main__":
    print("one {:.3f} s, nine {:.3f} s".format(*measure()))
