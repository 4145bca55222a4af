"""108,000 core prompts generated and verified from stored measurements: minutes on two cores, peak memory.

The measurements of 12,000 channel-volumes are made up from those of some of the demo's phantoms, in the true format:
every copy is a patient of its own, larger or smaller by a factor, with all sizes and diameters scaled alike and every
other number moved within its margin. Making them is not timed; only files pass from there to what is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from semantiseg.bench.records import generation
from semantiseg.bench.records.stored import measure_case
from semantiseg.data.store import VolumeStore
from semantiseg.errors import StageError
from semantiseg.measure import Meter
from semantiseg.randomness import stream

VOLUMES = 12_000
PROMPTS = 108_000
MINUTES = 10.0
PEAK_GIB = 4.0
WORKERS = 2
MINIMUM_PIXELS = 40
EVERY_CASE = 8
"""Every so many of the demo's cases is measured."""
SCALES = (0.8, 1.25)

Row = dict[str, Any]


def prompts_108k(root: Path, *, volumes: int = VOLUMES, workers: int = WORKERS) -> Iterator[Row]:
    """Both rows.

    Raises:
        StageError: the demo's volumes are not there, or fewer prompts than the plan's were made.
    """
    if not (root / "data/volumes/manifest.parquet").is_file():
        raise StageError("benchmark prompts_108k: expected data/volumes, got none. Run `semantiseg reproduce` first.")
    with tempfile.TemporaryDirectory() as scratch:
        measured = Path(scratch) / "measured"
        make_up(root / "data/volumes", measured, volumes=volumes)
        with Meter() as meter:
            made = generation.generate(measured, Path(scratch) / "bench", seed=0, workers=workers)
        levels = pq.read_table(Path(scratch) / "bench/prompts.parquet", columns=["level"])["level"].to_pandas()
    wanted = PROMPTS * volumes // VOLUMES
    if made.prompts != wanted or levels.value_counts().nunique() != 1:
        raise StageError(
            f"benchmark prompts_108k: expected {wanted} prompts, equally many a level, got {made.prompts}."
        )
    notes = {"volumes": volumes, "prompts": made.prompts, "rejected": made.rejected, "workers": workers}
    minutes, gib = round(meter.seconds / 60, 2), round(meter.peak_mib / 1024, 2)
    yield {"name": "prompts_108k_minutes", "value": minutes, "unit": "min", "target": MINUTES, **notes}
    yield {"name": "prompts_108k_peak_gib", "value": gib, "unit": "GiB", "target": PEAK_GIB, **notes}


def make_up(prepared: Path, out: Path, *, volumes: int) -> None:
    """Measure some prepared volumes and write the measurements of `volumes` made-up ones into `out`."""
    with VolumeStore(prepared) as store:
        manifest = store.manifest.reset_index()
        cases = sorted(manifest["case_id"].unique())[::EVERY_CASE]
        manifest = manifest[manifest["case_id"].isin(cases)].copy()
        manifest["structures"] = [
            json.dumps({str(number): leaf for number, leaf in store.structures(volume_id).items()})
            for volume_id in manifest["volume_id"]
        ]
        rows = [row for case in cases for row in measure_case(store, case, minimum_pixels=MINIMUM_PIXELS)]
    originals = {found[0]["volume_id"]: found for found in generation.by_volume(rows)}
    manifest = manifest[manifest["volume_id"].isin(originals)].set_index("volume_id", drop=False)
    manifest["minimum_pixels"] = MINIMUM_PIXELS
    names = [f"copy{number // len(originals):03d}_" for number in range(volumes)]
    sources = [list(originals)[number % len(originals)] for number in range(volumes)]
    pairs = sorted((name + source, source) for name, source in zip(names, sources, strict=True))
    table = pd.DataFrame([_patient(manifest.loc[source].to_dict(), name) for name, source in pairs])
    generation.write_measured(out, table, (_copy(originals[source], name) for name, source in pairs))


def _patient(facts: Row, name: str) -> Row:
    case = name.rpartition(":")[0]
    return facts | {"volume_id": name, "case_id": case, "patient_id": case}


def _copy(rows: list[Row], name: str) -> list[Row]:
    """The measurements of a patient of another size."""
    rng = stream("made up", name)
    scale = float(rng.uniform(*SCALES))
    area = scale**2
    return [
        row | {
            "volume_id": name, "pixels": round(row["pixels"] * area), "changed": round(row["changed"] * area),
            "left_out": round(row["left_out"] * area) if row["left_out"] > 0 else row["left_out"],
            "measured": json.dumps([_scaled(item, scale, rng) for item in json.loads(row["measured"])])
            if row["measured"] else "",
        }
        for row in rows
    ]  # fmt: skip


def _scaled(item: list, scale: float, rng: np.random.Generator) -> list:
    attribute, number, unit, value, margin = item
    if attribute == "diameter":
        return [attribute, number * scale, unit, str(int(number * scale + 0.5)), margin]
    return [attribute, number + float(rng.uniform(-0.5, 0.5)) * margin, unit, value, margin / 2]


BENCHMARKS = (prompts_108k,)
