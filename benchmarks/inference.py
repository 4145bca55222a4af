"""What further prompts cost once an image is encoded: nine prompts against one on one image, full-size network.

    PYTHONPATH=. python benchmarks/inference.py

The weights are random: times do not depend on them. The frozen text's features are computed before and not timed.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

PROMPTS = (
    "liver", "hepatic metastases", "liver without the tumour", "right kidney", "anterior half of the spleen",
    "pancreatic mass", "the largest lesion of the liver", "kidney containing the tumour", "whole prostate gland",
)  # fmt: skip
WIDTH, IMAGE_SIZE = "paper", 352
"""BiomedCLIP's ViT-B/16 and ConvNeXt-Tiny on the paper's 352 x 352 pixels."""
REPEATS = 7
THREADS = 1


def prompts(root: Path) -> list[dict[str, Any]]:
    """Rows for `benchmarks/run.py`."""
    ratio, _, _ = measure()
    return [{"name": "segment_9_vs_1_prompts", "value": ratio, "unit": "x", "target": 1.3}]


def measure(*, model: str = "token", width: str = WIDTH, image_size: int = IMAGE_SIZE) -> tuple[float, float, float]:
    """Ratio of the times for nine prompts and for one on one image, and those times in seconds.

    The two are measured in turns, so that what else the machine does hits both; the least time of each counts, since
    others only ever add to it.
    """
    import numpy as np
    import torch

    from semantiseg.models import registry
    from semantiseg.models.text import encode_texts

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    features = encode_texts(PROMPTS)
    network = registry.build(model, width=width, image_size=image_size, text_width=features.width).eval()
    image = np.random.default_rng(0).random((image_size, image_size), dtype=np.float32)
    times: dict[int, list[float]] = {1: [], len(PROMPTS): []}
    for _ in range(1 + REPEATS):
        for count, seconds in times.items():
            started = time.perf_counter()
            network.segment(image, PROMPTS[:count], features=features)
            seconds.append(time.perf_counter() - started)
    one, nine = (min(seconds[1:]) for seconds in times.values())  # the first run warms up
    return nine / one, one, nine


if __name__ == "__main__":
    print("segment_9_vs_1_prompts {:.3f} x (one {:.3f} s, nine {:.3f} s)".format(*measure()))
