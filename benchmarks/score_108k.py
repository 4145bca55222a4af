"""108,000 predictions on slices of 352 x 352 scored and bootstrapped: minutes and peak memory on two cores.

    python benchmarks/score_108k.py                     the full run; writes benchmarks/score_108k.json
    python benchmarks/score_108k.py --prompts 5400      a small one; writes nothing

Patients are drawn (two kidneys, tumours, cysts), prompts of every suite asked about ten slices each, and answered a
little off. Making them is not measured.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from joblib.externals.loky import get_reusable_executor
from numpy.typing import NDArray

from semantiseg import files, measure
from semantiseg.conventions import Mask
from semantiseg.data import store
from semantiseg.errors import SemantiSegError
from semantiseg.evaluation import runs
from semantiseg.scoring.benchmark import Benchmark
from semantiseg.scoring.scorecard import score

PROMPTS, MINUTES, GIB = 108_000, 15, 4
RECORD = Path(__file__).with_suffix(".json")
SIZE, SLICES, WORKERS, RESAMPLES = 352, 10, 2, 2000
STRUCTURES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
KIDNEY, TUMOUR, RIGHT, LEFT = (
    "organ(kidney)", "lesion(kidney_tumour)", "side(organ(kidney), right)", "side(organ(kidney), left)",
)  # fmt: skip
BARE = "minus(organ(kidney), lesion(kidney_tumour))"
CYST = "lesion(kidney_cyst)"

# suite, group, level, kind, program, parent, phrasing
ASKED = (
    ("core", "", 1, "name", KIDNEY, KIDNEY, "unseen"),
    ("core", "", 2, "attribute", TUMOUR, KIDNEY, "unseen"),
    ("core", "", 3, "exclusion", BARE, KIDNEY, "unseen"),
    ("core", "", 3, "side", RIGHT, KIDNEY, "unseen"),
    *(("phrasing", "", 1, "name", KIDNEY, KIDNEY, part) for part in ("seen", "unseen_template", "unseen_synonym")),
    *(("phrasing", "", 3, "exclusion", BARE, KIDNEY, part) for part in ("seen", "unseen_template", "unseen_synonym")),
    *(("triple", "t", level, "name", TUMOUR, KIDNEY, "unseen") for level in (1, 2, 3)),
    *(("paraphrase", "p", 3, "side", RIGHT, KIDNEY, "unseen") for _ in range(2)),
    *(("counterfactual", "c", 3, "side", side, KIDNEY, "unseen") for side in (RIGHT, LEFT)),
    ("absent", "", 1, "name", CYST, CYST, "unseen"),
)


def recorded(_: Path) -> Iterator[dict[str, Any]]:
    """Rows of the full run as last recorded; none before the first."""
    if not RECORD.is_file():
        print(f"score_108k: not recorded yet; run {Path(__file__).name} on a quiet machine")
        return
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    yield {"name": "score_108k_minutes", "value": record["minutes"], "unit": "min", "target": MINUTES}
    yield {"name": "score_108k_peak_gib", "value": record["peak_gib"], "unit": "GiB", "target": GIB}


def draw_labels(rng: np.random.Generator) -> NDArray[np.uint8]:
    """Two kidneys with a tumour in the right one, `[SLICES, SIZE, SIZE]`."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    labels = np.zeros((SLICES, SIZE, SIZE), dtype=np.uint8)
    for index in range(SLICES):
        for centre in (95, 255):
            high, wide = rng.uniform(40, 65), rng.uniform(25, 45)
            wave = 1 + 0.1 * np.sin(4 * np.arctan2(rows - 170, columns - centre) + rng.uniform(0, 6))
            labels[index][((rows - 170) / high) ** 2 + ((columns - centre) / wide) ** 2 < wave] = 1
        labels[index][np.hypot(rows - rng.uniform(150, 190), columns - 255) < rng.uniform(8, 22)] = 2
    return labels


def write_bench(root: Path, prompts: int) -> Benchmark:
    """A benchmark of at least so many test prompts below `root`."""
    rng, manifest, rows = np.random.default_rng(0), [], []
    (root / "volumes").mkdir(parents=True)
    (root / "bench").mkdir()
    nothing = np.zeros((SLICES, SIZE, SIZE), dtype=np.float16)
    for patient in range(-(-prompts // (SLICES * len(ASKED)))):
        case, labels = f"case{patient:05d}", draw_labels(rng)
        store.write_case(
            root / "volumes" / f"{case}.h5", images={"CT": nothing}, labels=labels, affine=np.eye(4), spacing_mm=1.0,
            midline=175.0, structures=STRUCTURES,
        )  # fmt: skip
        manifest.append(
            {"volume_id": f"{case}:CT", "channel": "CT", "file": f"{case}.h5", "source_spacing_mm": [1.0] * 3}
            | {"leaves": ["kidney"], "modality": "CT", "window_low": -150.0, "window_high": 250.0, "lateral": True}
        )
        rows += [row for index in range(SLICES) for row in prompt_rows(case, index, labels[index])]
    store.write_manifest(root / "volumes", manifest)
    pd.DataFrame(rows).to_parquet(root / "bench" / "prompts.parquet", index=False)
    return Benchmark(root)


def prompt_rows(case: str, index: int, labels: NDArray[np.uint8]) -> Iterator[dict[str, object]]:
    """All that is asked about one slice."""
    right = np.arange(SIZE) > 175
    pixels = {
        KIDNEY: labels > 0, TUMOUR: labels == 2, RIGHT: (labels > 0) & right, LEFT: (labels > 0) & ~right,
        BARE: labels == 1, CYST: labels == 3,
    }  # fmt: skip
    for place, (suite, group, level, kind, program, parent, phrasing) in enumerate(ASKED):
        yield {
            "prompt_id": f"{case}-{index}-{place:02d}", "volume_id": f"{case}:CT", "case_id": case, "patient_id": case,
            "collection": "drawn", "origin": "phantom", "modality": "CT", "channel": "CT", "split": "test",
            "slice": index, "suite": suite, "group": f"{group}-{case}-{index}" if group else "", "level": level,
            "kind": kind, "structure": "kidney", "program": program, "parent": parent, "clauses": "[]",
            "text": f"{kind} {place}", "phrasing": phrasing, "evidence": "{}",
            "target_pixels": int(pixels[program].sum()), "parent_pixels": int(pixels[parent].sum()),
        }  # fmt: skip


def write_predictions(path: Path, benchmark: Benchmark) -> None:
    """Answers a little off, in an order that has nothing to do with slices."""
    rng = np.random.default_rng(1)
    kept = [
        {"prompt_id": prompt_id, "height": SIZE, "width": SIZE, "runs": runs.encode(a_little_off(target, rng))}
        for prompt_id, target in (
            (key, benchmark.shown(key).mask(row.program)) for key, row in benchmark.test.items()
        )
    ]
    rng.shuffle(kept)
    pq.write_table(pa.Table.from_pylist(kept), path, row_group_size=8192)


def a_little_off(target: Mask, rng: np.random.Generator) -> Mask:
    """Moved by a few pixels, with a bite taken out of it."""
    moved = np.roll(target, rng.integers(-4, 5, size=2), axis=(0, 1))
    row, column = rng.integers(0, SIZE - 40, size=2)
    moved[row : row + 40, column : column + 40] = False
    return moved


def make(root: Path, prompts: int) -> None:
    """The benchmark and the predictions below `root`."""
    write_predictions(root / "model.parquet", write_bench(root / "data", prompts))


def run(prompts: int, workers: int) -> dict[str, Any]:
    """Make and score so many predictions; what it cost."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        # In a process of its own, whose memory goes with it.
        with ProcessPoolExecutor(1) as maker:
            maker.submit(make, root, prompts).result()
        with measure.Meter() as meter:
            card = score(
                root / "model.parquet", bench=root / "data", out=root / "out", resamples=RESAMPLES, workers=workers
            )
            get_reusable_executor().shutdown()  # processor time of a process counts when it ends
    return {
        "prompts": len(card.results),
        "patients": int(card.results["patient_id"].nunique()),
        "minutes": round(meter.seconds / 60, 2),
        "cpu_minutes": round(meter.cpu_seconds / 60, 2),
        "peak_gib": round(meter.peak_mib / 1024, 2),
        "workers": workers,
    } | measure.machine()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--prompts", type=int, default=PROMPTS)
    parser.add_argument("--workers", type=int, default=WORKERS)
    options = parser.parse_args()
    record = run(options.prompts, options.workers)
    print(json.dumps({key: value for key, value in record.items() if key != "versions"}))
    if (options.prompts, options.workers) == (PROMPTS, WORKERS):
        files.write(RECORD, json.dumps(record, indent=1) + "\n")


BENCHMARKS = (recorded,)


if __name__ == "__main__":
    try:
        main()
    except SemantiSegError as error:
        raise SystemExit(str(error)) from None
