"""Scores kept as they come, so that a run that was stopped goes on where it was: one small Parquet file a batch.

Score the masks of anybody's model, batch by batch, on one or several cores.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pandas as pd
from tqdm import tqdm

from semantiseg import files
from semantiseg.errors import DataError
from semantiseg.files import read_table
from semantiseg.parallel import Call, for_each
from semantiseg.scoring.benchmark import Benchmark
from semantiseg.scoring.orientation import require_upright
from semantiseg.scoring.predictions import Item, Order, mask, open_predictions

_STATE = "state.json"


class ScoredBatches:
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
        rows = pd.concat(
            [read_table(path, what="scores kept from before", remedy="Remove it; what it held is scored again.")
             for path in paths],
            ignore_index=True,
        )  # fmt: skip
        rows = rows[rows["stamp"] == rows["prompt_id"].map(stamps)]
        return rows.drop_duplicates("prompt_id", keep="last").sort_values("prompt_id", ignore_index=True)


Missing = Literal["refuse", "worst"]

_ABSENT = "absent"
"""Stamp of a prompt without an answer."""


def score_predictions(
    predictions: Path,
    benchmark: Benchmark,
    *,
    progress: Path,
    nsd_tolerance_mm: float,
    missing: Missing = "refuse",
    resume: bool = False,
    workers: int = 1,
    order: Order = "row",
    as_is: bool = False,
) -> tuple[pd.DataFrame, list[str]]:
    """Score every prediction against its prompt's target.

    Args:
        predictions: folder of masks or Parquet file; see `predictions.open_predictions`.
        progress: folder for batches on the way; the caller removes it.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        missing: what happens to test prompts without an answer: stop, or count each as the worst answer possible.
        resume: go on with what `progress` holds.
        workers: processes.
        order: of a table's run lengths.
        as_is: score masks that look turned, flipped or inverted, too (`orientation.require_upright`).

    Returns:
        Records (columns of `results.parquet` without `model`), one a test prompt, ordered by `prompt_id`; and the
        prompts that had no answer.

    Raises:
        DataError: a prompt has no answer and `missing` is "refuse", or whatever else is wrong with the predictions.
    """
    given = open_predictions(predictions, benchmark, order=order)
    absent = sorted(set(benchmark.test) - set(given.ids))
    if absent and missing == "refuse":
        raise DataError(
            f"{predictions}: expected an answer to each of {len(benchmark.test)} test prompts, got none to "
            f"{len(absent)}: {absent[:5]}{' and others' if len(absent) > 5 else ''}. A mean over the others would hide "
            "them: answer them, or count each as the worst answer possible (missing='worst', --missing worst)."
        )
    if not as_is:
        require_upright(given, benchmark)
    stamps = given.stamps() | dict.fromkeys(absent, _ABSENT)
    settings = {"benchmark": benchmark.version, "nsd_tolerance_mm": nsd_tolerance_mm, "order": order}
    kept = ScoredBatches(progress, settings, resume=resume)
    open_ids = set(stamps) - set(kept.done(stamps)["prompt_id"])
    with tqdm(total=len(stamps), initial=len(stamps) - len(open_ids), unit="mask", disable=None) as bar:
        for records in _scored(given.batches(open_ids - set(absent)), benchmark, nsd_tolerance_mm, workers):
            kept.add([record | {"stamp": stamps[str(record["prompt_id"])]} for record in records])
            bar.update(len(records))
    left_out = [benchmark.worst(prompt_id) | {"stamp": _ABSENT} for prompt_id in absent if prompt_id in open_ids]
    if left_out:
        kept.add(left_out)
    return kept.done(stamps).drop(columns="stamp"), absent


def _scored(
    batches: Iterator[list[Item]], benchmark: Benchmark, tolerance_mm: float, workers: int
) -> Iterator[list[dict[str, object]]]:
    if workers == 1:
        return (_score_batch(batch, benchmark, tolerance_mm) for batch in batches)
    # Each process reads prompts for itself, once: a benchmark does not travel well.
    place = benchmark.folder, benchmark.tiny
    calls: Iterator[Call] = (((batch, *place, tolerance_mm), {}) for batch in batches)
    return for_each(_score_batch_at, calls, workers=workers)


def _score_batch(batch: list[Item], benchmark: Benchmark, tolerance_mm: float) -> list[dict[str, object]]:
    return [benchmark.score(item[0], mask(item, benchmark), nsd_tolerance_mm=tolerance_mm) for item in batch]


@lru_cache(maxsize=1)
def _opened(folder: Path, tiny: bool) -> Benchmark:
    return Benchmark(folder, tiny=tiny)


def _score_batch_at(batch: list[Item], folder: Path, tiny: bool, tolerance_mm: float) -> list[dict[str, object]]:
    return _score_batch(batch, _opened(folder, tiny), tolerance_mm)
