"""A training of the small cohort in `tests/training/conftest.py`: one thread."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from tiny_project import ROOT, surroundings

from semantiseg.params import Train
from semantiseg.training.hardware import Hardware
from semantiseg.training.loop import train
from semantiseg.training.progress import Checkpoint

PARAMETERS = {
    "prompts_per_image": 3, "learning_rate": 0.003, "weight_decay": 0.05, "dice_weight": 1.0, "location_weight": 0.5,
    "reading_weight": 0.05, "dhn_weight": 1.0, "dhn_gamma": 2.0, "dhn_negatives": True, "augmentation": 0.5,
}  # fmt: skip
"""All but `steps` and `images_per_step`."""


def run(
    project: Path,
    out: Path,
    hardware: Hardware | None = None,
    *,
    parameters: dict,
    model: str = "token",
    streams: str = "pretrained",
    training: Path | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    **change: object,
) -> pd.DataFrame:
    """Train in this process; `change` replaces parameters."""
    return train(
        model=model,
        volumes=project / "volumes",
        training=training or project / "training.parquet",
        features=project / "features.h5",
        streams=project / streams,
        out=out,
        parameters=Train(**(parameters | change)),
        seed=seed,
        threads=1,
        hardware=hardware or Hardware(),
        checkpoint=checkpoint,
    )


def run_apart(arguments: Path, *launcher: str) -> subprocess.CompletedProcess[str]:
    """Train in another process as `train_process.py` reads it from a file; `launcher`: of several processes."""
    script = ROOT / "tests/training/train_process.py"
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    return subprocess.run(
        [sys.executable, *launcher, script, arguments],
        env=surroundings() | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
