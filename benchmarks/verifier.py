"""How well the verifier judges: the share of contradictions that it rejects (worst kind) and of true prompts, on the
demo's phantoms and on real KiTS23 label maps with images rendered from them.

Real label maps are read from `SEMANTISEG_REAL_DATA` (a folder that holds `kits23_labels/case_*/segmentation.nii.gz`),
by default `shared/data` beside the project. Where they are absent, only the phantoms are examined, and `sets` says so.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from handwritten_mutations import load_mutations

from semantiseg.bench.build import make_candidates
from semantiseg.bench.verify.exam import control, examine, worst_kind
from semantiseg.data.rendered import render_kits23
from semantiseg.errors import StageError

REJECTED_CONTRADICTIONS = 99.0
"""Least share of contradictions of any kind that must be rejected, percent."""
REJECTED_CORRECT = 1.0
"""Largest share of true prompts that may be rejected, percent."""
ACCEPTED_UNSEEN = 1.0
"""Largest share of hand-written mutations that may be read as something that they do not say, percent."""
UNSEEN = Path(__file__).parent / "unseen_mutations_3.yaml"
"""Measured before anybody looked at what the reader does with them, and the reader not changed for them since."""
SEEN = tuple(UNSEEN.with_name(name) for name in ("unseen_mutations.yaml", "unseen_mutations_2.yaml"))
"""Unseen once; the reader was mended on them."""
SPACING_MM = 1.0
MINIMUM_PIXELS = 40
SEED = 0


def quality(root: Path) -> Iterator[dict[str, Any]]:
    """Both rows; `sets` holds the counts of every kind on every set of volumes that was examined.

    Raises:
        StageError: the demo's candidates are not there.
    """
    examined = {"phantoms": _on_phantoms(root)}
    if maps := real_label_maps(root):
        examined["kits23"] = _on_label_maps(maps)
    sets = {where: _counts(results) for where, results in examined.items()}
    worst = min((worst_kind(results) for results in examined.values()), key=lambda row: row["share"])
    value = round(100 * float(worst["share"]), 3)
    yield {
        "name": "verifier_rejects_contradictions", "value": value, "unit": "%", "target": REJECTED_CONTRADICTIONS,
        "better": "higher", "worst_kind": worst["kind"], "sets": sets,
    }  # fmt: skip
    value = round(100 * max(float(control(results)["share"]) for results in examined.values()), 3)
    yield {
        "name": "verifier_rejects_correct", "value": value, "unit": "%", "target": REJECTED_CORRECT,
        "sets": sets,
    }  # fmt: skip


def unseen(root: Path) -> Iterator[dict[str, Any]]:
    """Mutations outside the exam's kinds; they are judged by the words alone, so that no mask can excuse a reading."""
    mutations = load_mutations(UNSEEN)
    misread = [mutation.text for mutation in mutations if mutation.is_misread]
    seen = [mutation for path in SEEN for mutation in load_mutations(path)]
    yield {
        "name": "verifier_accepts_unseen_mutations", "value": round(100 * len(misread) / len(mutations), 3),
        "unit": "%", "target": ACCEPTED_UNSEEN, "judged": len(mutations), "accepted": misread,
        "seen": {"judged": len(seen), "accepted": [mutation.text for mutation in seen if mutation.is_misread]},
    }  # fmt: skip


def real_label_maps(root: Path) -> list[Path]:
    """KiTS23 label maps that lie beside the project; empty where there are none."""
    place = Path(os.environ.get("SEMANTISEG_REAL_DATA", root.parent / "shared/data"))
    return sorted(place.glob("kits23_labels/case_*/segmentation.nii.gz"))


def _on_phantoms(root: Path) -> pd.DataFrame:
    path = root / "data/bench/candidates.parquet"
    if not path.is_file():
        raise StageError(f"benchmark verifier: expected {path}, got none. Run `semantiseg reproduce` first.")
    candidates = pd.read_parquet(path)
    return examine(root / "data/volumes", candidates[candidates["split"] == "test"], seed=SEED)


def _on_label_maps(maps: list[Path]) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as scratch:
        volumes = Path(scratch)
        render_kits23(maps, volumes, spacing_mm=SPACING_MM, seed=SEED)
        made = make_candidates(
            volumes, volumes, minimum_pixels=MINIMUM_PIXELS, slices_per_volume=1, texts_per_question=1, seed=SEED
        )
        return examine(volumes, made.prompts, seed=SEED)


def _counts(results: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {row.kind: {"judged": row.judged, "rejected": row.rejected} for row in results.itertuples()}


BENCHMARKS = (quality, unseen)
