"""The benchmark as a scorer needs it: the test prompts, their slices, and a version that changes when either does."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.bench.measure.labelled_slice import LabelledSlice, Memo, read_slice
from semantiseg.conventions import Mask, rows_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics
from semantiseg.evaluation.answers import score_answer, twin_programs
from semantiseg.files import read_table

PROMPTS, VOLUMES = Path("bench") / "prompts.parquet", "volumes"
_ASKED = ["prompt_id", "volume_id", "patient_id", "slice", "suite", "group", "program", "parent", "target_pixels"]
_VERSIONED = [*_ASKED, "level", "kind", "phrasing", "text"]
_SLICES = 24
"""Slices kept at hand: each holds its label map and the masks of all programs asked about it."""


class Benchmark:
    """A folder with `bench/prompts.parquet` and `volumes/`, such as the project's `data/`. It can be pickled.

    Raises:
        DataError: one of the two is missing, or no prompt belongs to the test split.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        for part in (PROMPTS, VOLUMES):
            if not (self.folder / part).exists():
                raise DataError(
                    f"{self.folder}: expected a benchmark with {PROMPTS} and {VOLUMES}/, got no {part}. Give the "
                    "folder that holds both, such as the project's data/."
                )
        self._store = VolumeStore(self.folder / VOLUMES)
        self._volumes: dict[str, LabelledSlice] = {}
        self._depths: dict[str, int] = {}
        self._slices: OrderedDict[tuple[str, int], LabelledSlice] = OrderedDict()

    @cached_property
    def prompts(self) -> pd.DataFrame:
        """`prompts.parquet` without what only people read, all splits."""
        path = self.folder / PROMPTS
        table = read_table(path, what="prompts", remedy="Run the stage 'verify' again.")
        missing = sorted(set(_VERSIONED) - set(table.columns))
        if missing or not (table["split"] == "test").any():
            raise DataError(
                f"{path}: expected test prompts with {_VERSIONED}, got {len(table)} prompts without {missing}. Run the "
                "stage 'verify' again."
            )
        return table.drop(columns=["evidence", "clauses"], errors="ignore")

    @cached_property
    def test(self) -> dict[str, Any]:
        """Test prompts by id, in the order in which slices are best read; each a tuple with the fields of its row."""
        test = self.prompts[self.prompts["split"] == "test"].sort_values(["volume_id", "slice", "prompt_id"])
        return {row.prompt_id: row for row in rows_of(test[_ASKED])}

    @cached_property
    def version(self) -> str:
        """Twelve digits that name exactly these test prompts with their targets' sizes."""
        rows = self.prompts.loc[self.prompts["split"] == "test", _VERSIONED].sort_values("prompt_id")
        return hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode()).hexdigest()[:12]

    @cached_property
    def _twins(self) -> dict[str, str]:
        return twin_programs(self.prompts[self.prompts["split"] == "test"])

    def shown(self, prompt_id: str) -> LabelledSlice:
        """The slice that a test prompt asks about, without its image."""
        prompt = self.test[prompt_id]
        place = prompt.volume_id, int(prompt.slice)
        if place not in self._slices:
            self._slices[place] = self._read(*place)
            if len(self._slices) > _SLICES:
                self._slices.popitem(last=False)
        self._slices.move_to_end(place)
        return self._slices[place]

    def _read(self, volume_id: str, index: int) -> LabelledSlice:
        """What a slice takes from its volume is read once: it costs as much as reading the slice."""
        if volume_id not in self._volumes:
            self._volumes[volume_id] = read_slice(self._store, volume_id, index, seen=False)
        labels = self._store.label_slice(volume_id, index)
        return replace(self._volumes[volume_id], labels=labels, memo=Memo())

    def affine(self, prompt_id: str) -> NDArray[np.float64]:
        """4 x 4, index (w, h, d) of the prompt's volume to RAS millimetres."""
        return self._store.affine(self.test[prompt_id].volume_id)

    def depth(self, prompt_id: str) -> int:
        """Axial slices of the prompt's volume."""
        volume_id = self.test[prompt_id].volume_id
        if volume_id not in self._depths:
            self._depths[volume_id] = len(self._store.labels(volume_id))
        return self._depths[volume_id]

    def score(self, prompt_id: str, answer: Mask, *, nsd_tolerance_mm: float) -> dict[str, object]:
        """The record of one answer `[H, W]`; see `answers.score_answer`."""
        return score_answer(
            answer,
            self.shown(prompt_id),
            self.test[prompt_id],
            twin=self._twins.get(prompt_id),
            nsd_tolerance_mm=nsd_tolerance_mm,
        )

    def worst(self, prompt_id: str) -> dict[str, object]:
        """The record of an answer that was never given: nothing right and the whole slice marked, so that leaving an
        answer out never helps."""
        shown, prompt = self.shown(prompt_id), self.test[prompt_id]
        edge = shown.spacing_mm if shown.lengths else np.nan
        shape, nothing = shown.labels.shape, np.zeros(shown.labels.shape, dtype=bool)
        given = self.score(prompt_id, nothing, nsd_tolerance_mm=0.0)
        worst = metrics.worst(shape, spacing_mm=shown.spacing_mm)
        return given | {
            **asdict(worst if shown.lengths else metrics.unmeasured(worst)),
            "predicted_mm2": float(np.prod(shape)) * edge**2,
            "parent_dice": 0.0,
            "collapsed": given["parent_differs"],
            "twin_dice": np.nan if self._twins.get(prompt.prompt_id) is None else 1.0,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {"folder": self.folder}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["folder"])


def load_benchmark(folder: str | Path) -> Benchmark:
    """The benchmark in a folder that holds `bench/prompts.parquet` and `volumes/`; see `Benchmark`."""
    return Benchmark(Path(folder))
