"""Where a model's gate opens for each prompt, small enough to travel with the page."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.conventions import radiological
from semantiseg.data.store import VolumeStore

STEP = 4
"""Pixels of the slice along an edge of a pixel of the map: the gate's finest stage is no finer."""


def gate_maps(data: Path, model: str, store: VolumeStore, prompts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Ask a model again, slice by slice, and keep its gate's maps as displayed.

    Args:
        data: the folder of the stages' files.
        model: a trained model.
        store: the prepared volumes.
        prompts: rows of `prompts.parquet`.

    Returns:
        Prompt id -> JSON types as `encoded`; empty for a model without gate, or one that is not here (`dvc pull` may
        bring results alone).
    """
    if not (data / "models" / model).is_dir() or not (data / "text" / "features.h5").is_file():
        return {}
    import torch

    from semantiseg.bench.labelled_slice import read_slice
    from semantiseg.evaluation.predict import ask
    from semantiseg.measure import usable_cores
    from semantiseg.models.features import TextFeatures
    from semantiseg.models.registry import load

    torch.set_num_threads(usable_cores())
    segmenter, features = load(data / "models" / model), TextFeatures.load(data / "text" / "features.h5")
    maps: dict[str, dict[str, Any]] = {}
    for (volume_id, index), rows in prompts.groupby(["volume_id", "slice"], sort=True):
        gate = ask(segmenter, read_slice(store, str(volume_id), int(index)), rows, features).gate
        if gate is None:
            return {}
        maps |= {name: encoded(values) for name, values in zip(rows["prompt_id"], gate, strict=True)}
    return maps


def encoded(gate: NDArray[np.floating]) -> dict[str, Any]:
    """A map `[H, W]` in [0, 1] as displayed: means of about `STEP` x `STEP` pixels, 8 bits, in base64.

    Returns:
        `width` and `height` of the map, which covers the whole slice, and `values`, row by row.
    """
    shown = radiological(gate)
    starts, sizes = zip(*(_parts(edge) for edge in shown.shape), strict=True)
    sums = np.add.reduceat(np.add.reduceat(shown, starts[0], axis=0), starts[1], axis=1)
    values = np.clip(np.round(sums / np.outer(*sizes) * 255), 0, 255).astype(np.uint8)
    height, width = values.shape
    return {"width": width, "height": height, "values": base64.b64encode(values.tobytes()).decode("ascii")}


def _parts(edge: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixels and sizes of the parts that an edge is cut into."""
    bounds = np.linspace(0, edge, max(1, round(edge / STEP)) + 1).round().astype(np.int64)
    return bounds[:-1], np.diff(bounds)
