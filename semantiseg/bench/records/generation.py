"""Core prompts from stored measurements: planned, worded, verified and written a few volumes at a time.

    measured/measured.parquet   rows of `records/measuring.py`; a row group holds whole volumes, in order
    measured/volumes.parquet    the manifest's columns, `structures` (JSON) and `minimum_pixels`

Neither time nor memory depends on how many volumes there are in all, but for the files that are written.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from semantiseg.bench.ask.candidates import plan_core
from semantiseg.bench.ask.space import compositions
from semantiseg.bench.build import PROMPT_ORDER
from semantiseg.bench.records.stored import COLUMNS, RecordedScene, measure_case
from semantiseg.bench.tables import PROMPT_COLUMNS, REJECTED_COLUMNS, schema_of
from semantiseg.bench.verify.verification import Judge, Verdict, verify_volume
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.parallel import for_each

VOLUMES_AT_ONCE = 50
"""Volumes of a row group of `measured.parquet`."""
MEASURED_SCHEMA = pa.schema(
    [(name, pa.int64() if name in ("slice", "rank", "pixels", "changed", "left_out") else pa.string())
     for name in COLUMNS]
)  # fmt: skip
SHORTFALL_COLUMNS = ("volume_id", "asked", "expected", "reason")

Row = dict[str, Any]


@dataclass(frozen=True)
class Generated:
    """What was made: numbers of accepted and rejected prompts, and the volumes without nine core prompts."""

    prompts: int
    rejected: int
    shortfalls: pd.DataFrame


def measure_volumes(volumes: Path, out: Path, *, minimum_pixels: int, workers: int | None = None) -> None:
    """Measure every prepared volume once; write `measured.parquet` and `volumes.parquet` into `out`.

    Raises:
        DataError: there are no prepared volumes.
    """
    with VolumeStore(volumes) as store:
        manifest = store.manifest.reset_index()
        manifest["structures"] = [_structures(store, volume_id) for volume_id in manifest["volume_id"]]
    if manifest.empty:
        raise DataError(f"{volumes}: expected prepared volumes, got an empty manifest. Run the stage prepare again.")
    manifest["minimum_pixels"] = minimum_pixels
    cases = sorted(manifest["case_id"].unique())
    done = for_each(_measured_case, [((volumes, case_id, minimum_pixels), {}) for case_id in cases], workers=workers)
    rows = (row for found in tqdm(done, total=len(cases), unit="case", disable=None) for row in found)
    write_measured(out, manifest, by_volume(rows))


def write_measured(out: Path, volumes: pd.DataFrame, measured: Iterable[list[Row]]) -> None:
    """Write both files; `measured` gives one volume's rows after the other, sorted by volume."""
    out.mkdir(parents=True, exist_ok=True)
    partial = out / "measured.parquet.partial"
    with pq.ParquetWriter(partial, MEASURED_SCHEMA, compression="zstd") as writer:
        for chunk in _chunks(measured, VOLUMES_AT_ONCE):
            writer.write_table(pa.Table.from_pylist([row for rows in chunk for row in rows], schema=MEASURED_SCHEMA))
    os.replace(partial, out / "measured.parquet")
    volumes.sort_values("volume_id").to_parquet(out / "volumes.parquet", index=False)


def by_volume(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Consecutive rows of one volume together."""
    gathered: list[Row] = []
    for row in rows:
        if gathered and row["volume_id"] != gathered[0]["volume_id"]:
            yield gathered
            gathered = []
        gathered.append(row)
    if gathered:
        yield gathered


def generate(measured: Path, out: Path, *, seed: int, workers: int | None = None) -> Generated:
    """Make the core prompts of every measured volume; write `prompts.parquet` and `rejected.parquet` into `out`.

    The bytes written do not depend on the number of workers. Core and reserve are those that `make_candidates` and
    `verify_candidates` make from the voxels.

    Raises:
        DataError: the measurements are missing, or speak of volumes that `volumes.parquet` does not list.
    """
    try:
        groups = pq.ParquetFile(measured / "measured.parquet").num_row_groups
        facts = _facts(measured)
    except Exception as error:  # as `files.read_table`, of which only the number of groups is read here
        raise DataError(f"{measured}: expected stored measurements, got {error}. Measure the volumes first.") from None
    out.mkdir(parents=True, exist_ok=True)
    done = for_each(_generate_group, [((measured, group, seed), {}) for group in range(groups)], workers=workers)
    totals, shortfalls, unseen = {"prompts": 0, "rejected": 0}, [], dict(facts)
    columns = {"prompts": PROMPT_COLUMNS, "rejected": REJECTED_COLUMNS}
    writers = {
        name: pq.ParquetWriter(out / f"{name}.parquet.partial", schema_of(of), compression="zstd")
        for name, of in columns.items()
    }
    try:
        for tables, short, seen in tqdm(done, total=groups, unit="group", disable=None):
            shortfalls += short
            for volume_id in seen:
                del unseen[volume_id]
            for name, table in tables.items():
                totals[name] += table.num_rows
                writers[name].write_table(table)
    finally:
        for writer in writers.values():
            writer.close()
    for name in columns:
        os.replace(out / f"{name}.parquet.partial", out / f"{name}.parquet")
    # A volume that shows nothing has no measurements.
    shortfalls += [generate_volume(_scene(fact, []), seed=seed)[1] for fact in unseen.values()]
    return Generated(totals["prompts"], totals["rejected"], pd.DataFrame(shortfalls, columns=list(SHORTFALL_COLUMNS)))


def generate_volume(scene: RecordedScene, *, seed: int) -> tuple[Verdict, Row | None]:
    """The verified core of one volume, and its shortfall if there is one."""
    space = compositions(scene.askable, lateral=scene.lateral)
    plan, _ = plan_core(
        scene,
        space,
        best=scene.best,
        minimum_pixels=int(scene.facts["minimum_pixels"]),
        seed=seed,
    )
    return verify_volume(Judge(scene.facts, scene.axial), plan.rows, [], seed=seed), plan.shortfall


def _generate_group(measured: Path, group: int, seed: int) -> tuple[dict[str, pa.Table], list[Row], list[str]]:
    """Tables of a row group's prompts and rejections, its shortfalls, its volumes."""
    facts, seen = _facts(measured), []
    prompts: list[Row] = []
    rejected: list[Row] = []
    shortfalls: list[Row] = []
    for rows in by_volume(_row_group(measured / "measured.parquet", group)):
        volume_id = rows[0]["volume_id"]
        if volume_id not in facts:
            raise DataError(f"{measured}: expected volumes.parquet to list {volume_id}, got nothing. Measure again.")
        verdict, short = generate_volume(_scene(facts[volume_id], rows), seed=seed)
        seen.append(volume_id)
        prompts += verdict.prompts
        rejected += verdict.rejected
        shortfalls += [short] if short else []
    return (
        {"prompts": _table(prompts, PROMPT_COLUMNS), "rejected": _table(rejected, REJECTED_COLUMNS)},
        shortfalls,
        seen,
    )


def _scene(fact: Row, rows: list[Row]) -> RecordedScene:
    structures = {int(number): leaf for number, leaf in json.loads(fact["structures"]).items()}
    return RecordedScene(fact, structures, rows)


def _row_group(path: Path, group: int) -> list[Row]:
    try:
        return pq.ParquetFile(path).read_row_group(group).to_pylist()
    except Exception as error:
        raise DataError(f"{path}: expected stored measurements, got {error}. Measure the volumes again.") from None


def _facts(measured: Path) -> dict[str, Row]:
    path = measured / "volumes.parquet"
    return _facts_at(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _facts_at(path: Path, changed: int) -> dict[str, Row]:
    """Rows of `volumes.parquet` by volume; a worker reads them once."""
    return {row["volume_id"]: row for row in pq.read_table(path).to_pylist()}


def _measured_case(volumes: Path, case_id: str, minimum_pixels: int) -> list[Row]:
    with VolumeStore(volumes) as store:
        return measure_case(store, case_id, minimum_pixels=minimum_pixels)


def _structures(store: VolumeStore, volume_id: str) -> str:
    return json.dumps({str(number): leaf for number, leaf in sorted(store.structures(volume_id).items())})


def _chunks(items: Iterable[list[Row]], size: int) -> Iterator[list[list[Row]]]:
    chunk: list[list[Row]] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _table(rows: list[Row], columns: tuple[str, ...]) -> pa.Table:
    rows = sorted(rows, key=lambda row: tuple(row[name] for name in PROMPT_ORDER))
    return pa.Table.from_pylist(rows, schema=schema_of(columns))
