"""What BiomedParse v1 costs on one core at its official size, on weights by formula in a file as the official one.

Its rows are recorded with those of the other baselines (`baselines.py`).
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import own_process
import torch

from semantiseg.baselines.ask_picture import fill_by_formula
from semantiseg.baselines.biomedparse import BiomedParse, JointBiomedParse
from semantiseg.baselines.biomedparse.biomedparse import FILE, SIZE, build_biomedparse

PEAK_GIB = 6
NINE_VS_ONE = 1.3
PROMPTS = tuple(
    f"{structure} in abdomen CT"
    for structure in (
        "liver", "spleen", "left kidney", "right kidney", "pancreas", "stomach", "aorta", "gallbladder", "kidney tumor",
    )
)  # fmt: skip
UNREAD = "sem_seg_head.predictor.lang_encoder.biomed_encoder.weights"
"""The official file also holds BiomedBERT, which costs memory while the file is read."""


def cost(_: Path) -> Iterator[dict[str, Any]]:
    """Peak memory of opening the file and asking one 1024 x 1024 picture nine prompts, one by one and jointly;
    processor time of encoding and nine prompts asked one by one (and jointly) over that of encoding and one prompt."""
    with tempfile.TemporaryDirectory() as scratch:
        write_weights(Path(scratch) / FILE)
        found = own_process.measured(__file__, scratch)
    yield {"name": "biomedparse_peak_gib", "value": found["peak_gib"], "unit": "GiB", "target": PEAK_GIB}
    one, jointly, apart = (found["encode"] + found[name] for name in ("one", "joint_9", "one_by_one_9"))
    yield {
        "name": "biomedparse_9_vs_1_prompts", "value": round(apart / one, 2), "unit": "x", "target": NINE_VS_ONE,
        "jointly": round(jointly / one, 2), "encode_seconds": found["encode"], "prompt_seconds": found["one"],
    }  # fmt: skip


def write_weights(path: Path) -> None:
    """A file of all official weights by formula, and of what the official file holds besides."""
    network = fill_by_formula(build_biomedparse(), seed=0)
    torch.save(network.state_dict() | {UNREAD: torch.zeros(109_000_000)}, path)


@torch.inference_mode()
def measure(folder: Path) -> dict[str, float]:
    """Seconds of encoding, of one prompt, of nine; the process' peak in GiB."""
    torch.set_num_threads(1)
    model = BiomedParse.from_folder(folder)
    joint = JointBiomedParse(model.network)
    picture = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    found = {}
    started = time.process_time()
    encoded = model.encode(picture)
    found["encode"] = time.process_time() - started
    for name, asked, texts in (
        ("one", model, PROMPTS[:1]),
        ("joint_9", joint, PROMPTS),
        ("one_by_one_9", model, PROMPTS),
    ):
        started = time.process_time()
        asked.answer(encoded, texts=texts)
        found[name] = time.process_time() - started
    found["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {name: round(value, 2) for name, value in found.items()}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]))))
