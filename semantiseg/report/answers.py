"""Stored answers of a model as pictures' content: slice, target, parent and answer of a prompt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from semantiseg.errors import DataError
from semantiseg.evaluation import metrics, runs
from semantiseg.report.answer_picture import Tile


def read_tiles(data: Path, asked: pd.DataFrame, *, model: str) -> dict[str, Tile]:
    """The stored answers of one model to some prompts.

    Args:
        data: the folder of the stages' files.
        asked: rows of `prompts.parquet`.
        model: its results lie in `data/results/<model>`.

    Returns:
        Prompt id -> tile, without the gate's map.

    Raises:
        DataError: no answer to a prompt is stored, or its Dice on these volumes is not the one in the results.
    """
    from semantiseg.bench.labelled_slice import read_slice
    from semantiseg.data.store import VolumeStore

    if not len(asked):
        return {}
    folder = data / "results" / model
    wanted = [("prompt_id", "in", list(asked["prompt_id"]))]
    stored = pd.read_parquet(folder / "masks.parquet", filters=wanted).set_index("prompt_id")
    scores = pd.read_parquet(folder / "results.parquet", filters=wanted).set_index("prompt_id")["dice"]
    tiles = {}
    with VolumeStore(data / "volumes") as store:
        for row in asked.itertuples():
            if row.prompt_id not in stored.index or row.prompt_id not in scores.index:
                raise DataError(
                    f"{folder}: expected an answer to prompt {row.prompt_id}, got none. Run 'evaluate@{model}' again."
                )
            shown, answer = read_slice(store, row.volume_id, int(row.slice)), stored.loc[row.prompt_id]
            tile = Tile(
                text=row.text,
                level=int(row.level),
                image=shown.image,
                truth=shown.mask(row.program),
                parent=shown.mask(row.parent),
                answer=runs.decode(answer["runs"], height=answer["height"], width=answer["width"]),
                dice=float(scores[row.prompt_id]),
                gate=None,
            )
            found = metrics.dice(tile.answer, tile.truth)
            if not np.isclose(found, tile.dice):
                raise DataError(
                    f"{folder}, prompt {row.prompt_id}: expected a stored answer of Dice {tile.dice:.4f} on these "
                    f"volumes, got {found:.4f}. Run the stage 'evaluate@{model}' again."
                )
            tiles[row.prompt_id] = tile
    return tiles
