"""What the pipeline costs: the smoke profile from nothing, a run with nothing to do, the demo as last run in full."""

from __future__ import annotations

import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from semantiseg.errors import StageError
from semantiseg.pipeline import runner

DEMO_MINUTES = 20
DEMO_GIB = 6
SMOKE_SECONDS = 90
NOOP_SECONDS = 10


def smoke(root: Path) -> Iterator[dict[str, Any]]:
    """Seconds of the smoke profile in a fresh place (environment present), and of a second `dvc repro` there."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = runner.create(Path(scratch) / "smoke", project=root, profile="smoke")
        yield {"name": "smoke_seconds", "value": _repro_seconds(folder), "unit": "s", "target": SMOKE_SECONDS}
        yield {"name": "repro_noop_seconds", "value": _repro_seconds(folder), "unit": "s", "target": NOOP_SECONDS}


def demo(root: Path) -> Iterator[dict[str, Any]]:
    """Minutes and peak memory of the demo, from the record of a full run whose dvc.lock is the present one.

    `logs/demo_run.json` is what `semantiseg reproduce` just wrote, `benchmarks/demo_run.json` what is committed.

    Raises:
        StageError: neither records a full run of the present lock.
    """
    lock = hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest() if (root / "dvc.lock").is_file() else None
    for name in ("logs/demo_run.json", "benchmarks/demo_run.json"):
        path = root / name
        record = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if record.get("complete") and record["lock"] == lock and record["profile"] == "demo":
            yield {
                "name": "demo_minutes",
                "value": round(record["seconds"] / 60, 2),
                "unit": "min",
                "target": DEMO_MINUTES,
                "source": name,
            }
            yield {
                "name": "demo_peak_gib",
                "value": record["peak_gib"],
                "unit": "GiB",
                "target": DEMO_GIB,
                "source": name,
            }
            return
    raise StageError(
        "benchmark demo: expected the record of a full run of the present dvc.lock, got none. Run `make reproduce` in "
        "a fresh clone and copy its logs/demo_run.json to benchmarks/demo_run.json."
    )


def _repro_seconds(folder: Path) -> float:
    started = time.perf_counter()
    if runner.dvc("repro", "--quiet", root=folder).returncode:
        raise StageError(f"benchmark: expected `dvc repro` in {folder} to succeed, got an error. It stands above.")
    return round(time.perf_counter() - started, 1)


BENCHMARKS = (demo, smoke)
