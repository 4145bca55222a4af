"""How well sentences are read: the shares of the clinical sentences read rightly and wrongly, and whether confidence
tells them apart.

A program is right if it has the mask of the sentence's own program on drawn label maps with every structure in its
place: "kidneys with their tumours" may be a union or the organ. The clinical sentences are a test set; the sentences on
which the reader was made are in `reader_sentences.yaml`, of which only one half was looked at.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

from semantiseg.bench.ask.clinical import sentences
from semantiseg.conventions import LabelArray
from semantiseg.language.clause import Clause
from semantiseg.language.evaluate import evaluate
from semantiseg.language.ontology import LEAVES, STRUCTURES
from semantiseg.language.program import Program, parse
from semantiseg.language.reader.parser import read
from semantiseg.language.reader.structured import corrected, understand
from semantiseg.randomness import stream

TARGETS = {1: 95.0, 2: 90.0, 3: 90.0}
"""Level -> least share read rightly, percent."""
WRONG, MILLISECONDS, ERROR = 4.0, 5.0, 0.05
"""Largest share read wrongly, percent; time of a sentence; expected calibration error."""
WRITTEN = Path(__file__).parent / "reader_sentences.yaml"
MAPS = 8
BINS = 10

_MR = ("left_atrium", "prostate", "hippocampus", "brain_tumour", "meningioma", "resection_cavity")
_NUMBERS = {number: leaf for number, leaf in enumerate(sorted(LEAVES), 1) if not leaf.startswith("whole_")}
_CELL = 40


@dataclass(frozen=True)
class Judged:
    """A sentence, what it asks for (None: it must be refused), and what became of it."""

    text: str
    program: Program | None
    clauses: tuple[Clause, ...]
    read: Program | None
    confidence: float
    right: bool

    @property
    def level(self) -> int:
        """1 for a structure, 2 for a described structure, 3 for a composed program."""
        return 3 if self.program is None or not self.program.is_atom else 2 if self.clauses else 1

    @property
    def wrong(self) -> bool:
        """Whether it was read as something else."""
        return self.read is not None and not self.right


@cache
def clinical() -> list[Judged]:
    """The clinical sentences of the repository."""
    return [judged(item.text, item.program, item.clauses) for item in sentences()]


@cache
def written(half: int) -> list[Judged]:
    """One half of the sentences on which the reader was made: 0 was looked at, 1 was not."""
    document = YAML(typ="safe").load(WRITTEN.read_text(encoding="utf-8"))
    found = []
    for entry in document["sentences"]:
        program = None if entry["program"] == "none" else parse(entry["program"])
        clauses = tuple(sorted(Clause(*clause) for clause in entry.get("clauses", {}).items()))
        mine = [text for text in entry["texts"] if hashlib.sha256(text.encode()).digest()[0] % 2 == half]
        found += [judged(text, program, clauses) for text in mine]
    return found


def judged(text: str, program: Program | None, clauses: Sequence[Clause]) -> Judged:
    """Read a sentence and compare."""
    modality = "MR" if program is not None and program.structure.main in _MR else "CT"
    found = understand(text, modality=modality)
    if found.program is None or program is None:
        right = found.program is None and program is None
    else:
        right = found.clauses == tuple(clauses) and same(found.program, program)
    return Judged(text, program, tuple(clauses), found.program, found.confidence, right)


def same(one: Program, other: Program) -> bool:
    """Whether two programs have the same mask on every drawn label map."""
    masks = ([evaluate(program, labels, structures=_NUMBERS, midline=middle) for labels, middle in drawn_maps()]
             for program in (one, other))  # fmt: skip
    return all(np.array_equal(mine, others) for mine, others in zip(*masks, strict=True))


@cache
def drawn_maps() -> tuple[tuple[LabelArray, float], ...]:
    """Label maps `[H, W]` with every structure as discs, paired organs on both sides, lesions and parts within theirs;
    and the midline's column."""
    return tuple(_drawn(stream("reader", number)) for number in range(MAPS))


def _drawn(rng: np.random.Generator) -> tuple[LabelArray, float]:
    numbers = {leaf: number for number, leaf in _NUMBERS.items()}
    tops = [item for item in STRUCTURES.values() if item.parent is None]
    labels = np.zeros((_CELL * len(tops), 4 * _CELL), np.uint8)
    for row in range(len(tops)):
        own = [leaf for leaf in tops[row].leaves if leaf in numbers]
        right, left = [leaf for leaf in own if "left" not in leaf], [leaf for leaf in own if "right" not in leaf]
        paired = tops[row].key in ("kidney", "lung", "adrenal_gland", "hippocampus")
        for column, leaves in ((1, left), (3, right)) if paired else ((2, own),):
            middle = (_CELL * (row + 0.5), _CELL * column)
            _disc(labels, middle, 17, numbers[leaves[0]])
            for leaf in leaves[1:]:
                for _ in range(int(rng.integers(0 if paired else 1, 4))):
                    angle, distance = rng.uniform(0, 2 * np.pi), rng.uniform(2, 11)
                    place = (middle[0] + distance * np.sin(angle), middle[1] + distance * np.cos(angle))
                    _disc(labels, place, rng.uniform(2, 5), numbers[leaf])
    return labels, 2.0 * _CELL


def _disc(labels: LabelArray, middle: tuple[float, float], radius: float, number: int) -> None:
    rows, columns = np.ogrid[: labels.shape[0], : labels.shape[1]]
    labels[(rows - middle[0]) ** 2 + (columns - middle[1]) ** 2 <= radius**2] = number


def reading(root: Path) -> Iterator[dict[str, Any]]:
    """Clinical sentences: read rightly at each level, and wrongly."""
    found = clinical()
    for level, target in TARGETS.items():
        here = [item for item in found if item.level == level]
        yield {
            "name": f"reader_clinical_l{level}", "value": _percent(item.right for item in here), "unit": "%",
            "target": target, "better": "higher", "sentences": len(here), "unseen": _unseen(level),
        }  # fmt: skip
    yield {
        "name": "reader_wrong", "value": _percent(item.wrong for item in found), "unit": "%", "target": WRONG,
        "sentences": len(found), "unseen": _percent(item.wrong for item in written(1)),
    }  # fmt: skip


def calibration(root: Path) -> Iterator[dict[str, Any]]:
    """Expected calibration error on the half that nobody looked at, with its curve; and the time of a sentence."""
    found = [item for item in written(1) if item.read is not None]
    curve = reliability(found)
    error = sum(row["sentences"] * abs(row["confidence"] - row["right"]) for row in curve) / max(len(found), 1)
    yield {
        "name": "reader_ece", "value": round(error, 4), "unit": "", "target": ERROR, "curve": curve,
        "clinical_curve": reliability([item for item in clinical() if item.read is not None]),
    }  # fmt: skip
    texts = [item.text for item in sentences()]
    for remembered in (understand, read, corrected):
        remembered.cache_clear()
    start = time.process_time()
    for text in texts:
        understand(text)
    value = 1000 * (time.process_time() - start) / len(texts)
    yield {"name": "reader_ms", "value": round(value, 3), "unit": "ms", "target": MILLISECONDS}


def reliability(found: Sequence[Judged]) -> list[dict[str, float]]:
    """Mean confidence and share read rightly in bins of confidence."""
    places = Counter(min(int(item.confidence * BINS), BINS - 1) for item in found)
    rows = []
    for place in sorted(places):
        here = [item for item in found if min(int(item.confidence * BINS), BINS - 1) == place]
        confidence = sum(item.confidence for item in here) / len(here)
        share = sum(item.right for item in here) / len(here)
        rows.append({"sentences": len(here), "confidence": round(confidence, 4), "right": round(share, 4)})
    return rows


def _unseen(level: int) -> float:
    return _percent(item.right for item in written(1) if item.program is not None and item.level == level)


def _percent(which: Iterator[bool]) -> float:
    every = list(which)
    return round(100 * sum(every) / max(len(every), 1), 2)


BENCHMARKS = (reading, calibration)
