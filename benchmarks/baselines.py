"""Nine prompts against one, for every baseline, at its official size on one core; weights by formula.

    python benchmarks/baselines.py MODEL

measures one model and prints seconds as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import biomedparse
import numpy as np
import own_process
import torch

from semantiseg.baselines.ask_picture import by_formula

SIZE = 1024
"""Rows and columns of the picture."""

NINE_VS_ONE = 1.3
BOXES = np.float32([[100 + 40 * i, 80 + 60 * i, 300 + 70 * i, 400 + 50 * i] for i in range(9)])

MODELS = ("sam_med2d", "sam", "medsam", "imis_net")


def cost(root: Path) -> Iterator[dict[str, Any]]:
    """Rows of BiomedParse, and the worst ratio of all: time of nine prompts on one picture over that of one, the
    picture encoded once each time. BiomedParse counts with its prompts jointly; one by one stands in its own row."""
    ratios: dict[str, float] = {}
    for row in biomedparse.cost(root):
        if row["name"] == "biomedparse_9_vs_1_prompts":
            ratios["biomedparse_joint"] = row["value"]
        yield row
    for model in MODELS:
        found = own_process.measured(__file__, model)
        ratios[model] = round((found["encode"] + found["nine"]) / (found["encode"] + found["one"]), 2)
    yield {
        "name": "baseline_9_vs_1_prompts", "value": max(ratios.values()), "unit": "x", "target": NINE_VS_ONE,
        "by_model": ratios,
    }  # fmt: skip


@torch.inference_mode()
def measure(name: str) -> dict[str, float]:
    """Processor seconds of encoding, of one prompt, of nine."""
    torch.set_num_threads(1)
    model = by_formula(name)
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    texts = biomedparse.PROMPTS if "text" in model.card.reads else None

    def answer(encoded: Any, count: int) -> None:
        if texts is None:
            model.answer(encoded, boxes=BOXES[:count])
        else:
            model.answer(encoded, texts=texts[:count])

    found = {}
    started = time.process_time()
    encoded = model.encode(picture)
    found["encode"] = time.process_time() - started
    answer(encoded, 1)  # the first prompt also fills caches
    for step, count in (("one", 1), ("nine", 9)):
        started = time.process_time()
        answer(encoded, count)
        found[step] = time.process_time() - started
    return {step: round(seconds, 2) for step, seconds in found.items()}


BENCHMARKS = (cost,)


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1])))
