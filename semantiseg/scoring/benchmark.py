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
from semantiseg.bench.release.tables import PREPARED, read_prompts
from semantiseg.conventions import Mask, rows_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics
from semantiseg.evaluation.answers import score_answer, twin_programs
from semantiseg.evaluation.sensitivity import HEADLINE
from semantiseg.files import read_table

PROMPTS, VOLUMES = Path("bench") / "prompts.parquet", PREPARED
_ASKED = ["prompt_id", "volume_id", "patient_id", "slice", "suite", "group", "program", "parent", "target_pixels"]
_VERSIONED = [*_ASKED, "level", "kind", "phrasing", "text"]
_SLICES = 24
"""Slices kept at hand: each holds its label map and the masks of all programs asked about it."""


class Benchmark:
    """A release that images were attached to, or the project's `data/`. It can be pickled.

    Of a release those prompts count whose images were found; `version` then names exactly these.

    Args:
        folder: `prompts/*.parquet` (of a release) or `bench/prompts.parquet`, and `volumes/`.
        tiny: of the test prompts only the `tiny_suite`.

    Raises:
        DataError: prompts or volumes are missing, or no prompt belongs to the test split.
    """

    def __init__(self, folder: Path, *, tiny: bool = False) -> None:
        self.folder, self.tiny = Path(folder), tiny
        self._released = not (self.folder / PROMPTS).exists() and (self.folder / "prompts").is_dir()
        if not self._released and not (self.folder / PROMPTS).exists():
            raise DataError(
                f"{self.folder}: expected a release of SemantiBench or the project's data/, got no prompts. Give the "
                "folder that `semantiseg bench release` wrote."
            )
        if not (self.folder / VOLUMES).exists():
            remedy = (
                f"Join it with your images first: `semantiseg bench attach {self.folder} IMAGES`."
                if self._released else "Run the stage 'prepare', or give a release."
            )  # fmt: skip
            raise DataError(f"{self.folder}: expected prepared images in {VOLUMES}/, got none. {remedy}")
        self._store = VolumeStore(self.folder / VOLUMES)
        self._volumes: dict[str, LabelledSlice] = {}
        self._depths: dict[str, int] = {}
        self._slices: OrderedDict[tuple[str, int], LabelledSlice] = OrderedDict()

    @cached_property
    def prompts(self) -> pd.DataFrame:
        """`prompts.parquet` without what only people read, all splits."""
        if self._released:
            path, remedy, table = self.folder / "prompts", "Unpack the release anew.", read_prompts(self.folder)
            table = table[table["volume_id"].isin(self._store.manifest.index)]
        else:
            path, remedy = self.folder / PROMPTS, "Run the stage 'verify' again."
            table = read_table(path, what="prompts", remedy=remedy)
        missing = sorted(set(_VERSIONED) - set(table.columns))
        if missing or not (table["split"] == "test").any():
            raise DataError(
                f"{path}: expected test prompts with {_VERSIONED} about images in {VOLUMES}/, got {len(table)} prompts "
                f"without {missing}. {remedy}"
            )
        if self.tiny:
            table = table[(table["split"] != "test") | table["prompt_id"].isin(tiny_suite(table))]
        return table.drop(columns=["evidence", "clauses"], errors="ignore")

    @cached_property
    def test(self) -> dict[str, Any]:
        """Test prompts by id, in the order in which slices are best read; each a tuple with the fields of its row."""
        test = self.prompts[self.prompts["split"] == "test"].sort_values(["volume_id", "slice", "prompt_id"])
        return {row.prompt_id: row for row in rows_of(test[_ASKED])}

    @cached_property
    def collections(self) -> dict[str, str]:
        """Collections that the test prompts ask about, each with its origin (phantom, official, rendered, user)."""
        test = self.prompts[self.prompts["split"] == "test"].sort_values("collection")
        return dict(zip(test["collection"], test["origin"], strict=True))

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
        return {"folder": self.folder, "tiny": self.tiny}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, **state)


def load_benchmark(folder: str | Path, *, tiny: bool = False) -> Benchmark:
    """The benchmark of a release that images were attached to (`semantiseg bench attach`); see `Benchmark`."""
    return Benchmark(Path(folder), tiny=tiny)


_TINY: dict[int, int] = {1: 25, 2: 25, 3: 50}
"""Level -> prompts of the tiny suite: half of them at the level by which models are ranked."""


def tiny_suite(prompts: pd.DataFrame) -> list[str]:
    """Ids of 100 core test prompts in held-out words that predict how models rank on the whole.

    Chosen before any model answers: each level's prompts are laid out by collection, kind and structure, in no order
    within, and taken at equal steps, so that each stands in its share (systematic sampling, Cochran 1977, chapter 8).
    All are taken where there are fewer. How far it errs is measured by `benchmarks/tiny_suite.py`.
    """
    core = prompts[(prompts["split"] == "test") & (prompts["suite"] == "core") & (prompts["phrasing"] == HEADLINE)]
    shuffled = core["prompt_id"].map(lambda name: hashlib.sha256(name.encode()).hexdigest())
    laid = core.assign(shuffled=shuffled).sort_values(["collection", "kind", "structure", "shuffled"])
    chosen: list[str] = []
    for level, wanted in _TINY.items():
        ids = laid.loc[laid["level"] == level, "prompt_id"].tolist()
        steps = min(wanted, len(ids))
        chosen += [ids[int((place + 0.5) * len(ids) / steps)] for place in range(steps)]
    return sorted(chosen)
