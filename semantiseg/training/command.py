"""Training in a project's folder on hardware of one's own: `semantiseg train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg import params
from semantiseg.errors import ParameterError
from semantiseg.output import check_folder
from semantiseg.training.checkpoint import Checkpoint
from semantiseg.training.hardware import Hardware
from semantiseg.training.loop import train


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
