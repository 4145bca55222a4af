"""Scores kept as they come, so that a run that was stopped goes on where it was: one small Parquet file a batch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from semantiseg import files
from semantiseg.errors import DataError

_STATE = "state.json"


class Progress:
    """A folder of batches scored so far, for one benchmark version and one set of settings.

    Args:
        folder: where; made if absent.
        settings: what the scores depend on beside the masks.
        resume: go on with what is there; otherwise begin anew.

    Raises:
        DataError: what is there was scored with other settings.
    """

    def __init__(self, folder: Path, settings: Mapping[str, object], *, resume: bool) -> None:
        self.folder = folder
        state = folder / _STATE
        if not resume:
            files.remove(folder)
        elif state.is_file() and json.loads(state.read_text(encoding="utf-8")) != dict(settings):
            raise DataError(
                f"{folder}: expected scores begun with {dict(settings)}, got {state.read_text(encoding='utf-8')}. "
                "Run again without resuming."
            )
        folder.mkdir(parents=True, exist_ok=True)
        files.write(state, json.dumps(dict(settings)))
        self._parts = len(list(folder.glob("part-*.parquet")))

    def add(self, records: list[dict[str, object]]) -> None:
        """Keep one batch; it is there wholly or not at all."""
        path = self.folder / f"part-{self._parts:06d}.parquet"
        partial = path.with_suffix(".partial")
        pd.DataFrame.from_records(records).to_parquet(partial, index=False)
        os.replace(partial, path)
        self._parts += 1

    def done(self, stamps: Mapping[str, str]) -> pd.DataFrame:
        """What was scored, one row a prompt, ordered by `prompt_id`: the last record of each whose stamp still
        holds."""
        paths = sorted(self.folder.glob("part-*.parquet"))
        if not paths:
            return pd.DataFrame(columns=["prompt_id", "stamp"])
        rows = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
        rows = rows[rows["stamp"] == rows["prompt_id"].map(stamps)]
        return rows.drop_duplicates("prompt_id", keep="last").sort_values("prompt_id", ignore_index=True)
