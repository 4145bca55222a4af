"""Training questions: slices in the model's frame, the masks their programs denote, and the texts that ask for them."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.files import read_table
from semantiseg.models.segmenter import enter_image, enter_masks, frame_of

CACHE_MIB = 2048
"""Slices and masks kept in each reading process; the demo's all fit, the paper's never could."""

COLUMNS = ("volume_id", "split", "slice", "level", "structure", "program", "parent", "target_pixels", "texts")


@dataclass(frozen=True)
class Sheet:
    """One slice and the answers to its R questions, in the model's frame."""

    image: NDArray[np.float32]
    """`[S, S]` in [0, 1]."""
    masks: NDArray[np.uint8]
    """Targets `[R, S, S]`: share of a pixel's area, 255 is all of it."""
    parents: NDArray[np.uint8]
    """Masks of the parent structures, likewise; `[0, S, S]` unless asked for."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.image.nbytes + self.masks.nbytes + self.parents.nbytes


def read_questions(training: Path, *, split: str) -> pd.DataFrame:
    """The rows of `training.parquet` of one split, in a fixed order; none of `validation` where no patient was left.

    Raises:
        DataError: the file is unreadable, lacks a column, or has no row to train on.
    """
    what = f"training questions with columns {COLUMNS}"
    table = read_table(training, what=what, remedy="Run the stage 'verify' again.", columns=COLUMNS)
    table = table[table["split"] == split]
    if not len(table) and split == "train":
        raise DataError(
            f"{training}: expected questions of the split {split!r}, got none. "
            "Give more patients or change the shares of the splits."
        )
    return table.sort_values(["volume_id", "slice", "level", "program"], kind="stable", ignore_index=True)


class Questions:
    """The questions of one split, grouped by slice; `sheets[i]` holds the row numbers of the i-th slice."""

    def __init__(self, table: pd.DataFrame, *, store: VolumeStore, size: int, parents: bool) -> None:
        """
        Args:
            table: see `read_questions`.
            store: the prepared volumes.
            size: S, the model's frame.
            parents: also evaluate the parents' masks.
        """
        self._store, self._size, self._parents = store, size, parents
        # Plain arrays and lists: looking a row up in a table takes longer than evaluating its program.
        self.level = table["level"].to_numpy()
        self.structure = table["structure"].astype(str).to_numpy(dtype=object)
        # Not `str.partition`: of an empty column it makes a table without columns.
        operation = table["program"].map(lambda program: program.partition("(")[0])
        self.asked = operation.where(table["level"] == 3, table["program"]).to_numpy(dtype=object)
        self.shown = (table["target_pixels"] > 0).to_numpy()
        self.texts = [list(texts) for texts in table["texts"]]
        self._volume, self._slice = table["volume_id"].tolist(), table["slice"].tolist()
        self.program, self._parent = table["program"].tolist(), table["parent"].tolist()
        self.sheet_of = table.groupby(["volume_id", "slice"], sort=True).ngroup().to_numpy()
        self.sheets = [np.flatnonzero(self.sheet_of == number) for number in range(self.sheet_of.max(initial=-1) + 1)]
        self._cache: OrderedDict[int, Sheet] = OrderedDict()
        self._cached_bytes = 0

    def name(self, row: int) -> str:
        """How an error message names a question."""
        return f"{self._volume[row]} slice {self._slice[row]}: {self.program[row]}"

    def sheet(self, number: int) -> Sheet:
        """Read a slice and evaluate all its programs; remembered up to `CACHE_MIB`, since training returns to it."""
        if number not in self._cache:
            self._cache[number] = self._read(self.sheets[number])
            self._cached_bytes += self._cache[number].nbytes
        self._cache.move_to_end(number)
        while self._cached_bytes > CACHE_MIB * 2**20 and len(self._cache) > 1:
            self._cached_bytes -= self._cache.popitem(last=False)[1].nbytes
        return self._cache[number]

    def _read(self, rows: NDArray[np.intp]) -> Sheet:
        shown = read_slice(self._store, self._volume[rows[0]], int(self._slice[rows[0]]))
        frame = frame_of(shown.picture, size=self._size)

        def masks(programs: list[str]) -> NDArray[np.uint8]:
            if not programs:
                return np.zeros((0, self._size, self._size), dtype=np.uint8)
            return enter_masks(np.stack([shown.mask(text) for text in programs]), frame)

        return Sheet(
            image=enter_image(shown.picture, frame)[0].numpy(),
            masks=masks([self.program[row] for row in rows]),
            parents=masks([self._parent[row] for row in rows] if self._parents else []),
        )
