"""Stage verify, volume by volume: what the verifier rejects is worded anew, then replaced or dropped with the
reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from semantiseg.bench.clause import from_json
from semantiseg.bench.evaluate import evaluate, is_defined
from semantiseg.bench.grammar import render
from semantiseg.bench.program import Program, parse
from semantiseg.bench.prompt import prompt_id, training_rejection
from semantiseg.bench.verifier import SliceVerifier
from semantiseg.conventions import LEVELS, Mask
from semantiseg.data.phantom.stream import stream
from semantiseg.data.store import VolumeStore

REDRAWS = 3
"""New texts tried for a rejected prompt before it is dropped."""

Row = dict[str, Any]


@dataclass
class Verdict:
    """What became of a case's candidates."""

    prompts: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)
    training: list[Row] = field(default_factory=list)


class Judge:
    """Asks the verifier about prompts of one volume. Reads labels and image itself, uncropped: nothing of the
    planner's is trusted.

    Args:
        store: prepared volumes.
        volume_id: the volume that all prompts are about.
    """

    def __init__(self, store: VolumeStore, volume_id: str) -> None:
        self.facts = facts = {"volume_id": volume_id, **store.manifest.loc[volume_id].to_dict()}
        self._labels, self._image = store.labels(volume_id), store.image(volume_id)
        self._context = {
            "structures": store.structures(volume_id),
            "midline": store.midline(volume_id),
            "spacing_mm": store.spacing_mm(volume_id),
            "modality": facts["modality"],
            "channel": facts["channel"],
            "window": (float(facts["window_low"]), float(facts["window_high"])),
            "lateral": bool(facts["lateral"]),
        }
        self._slices: dict[int, SliceVerifier] = {}
        self._masks: dict[int, dict[Program, Mask]] = {}
        self._counts: dict[tuple[Program, int], int] = {}

    def reasons(self, row: Row, text: str) -> list[str]:
        """Why the row must not be asked in these words; empty if it may."""
        index, program = row["slice"], _program(row["program"])
        if index not in self._slices:
            self._slices[index] = SliceVerifier(image=self._image[index], labels=self._labels[index], **self._context)
            self._masks[index] = {}
        reasons = self._slices[index].verify(
            text, program, _clauses(row["clauses"]), must_be_absent=row["target_pixels"] == 0,
            stated_parent=_program(row["parent"]),
        )  # fmt: skip
        pixels = self._pixels(program, index)
        if pixels != row["target_pixels"]:
            stated = row["target_pixels"]
            reasons.append(f"pixels: the target has {pixels} pixels on slice {index}, the prompt states {stated}")
        return reasons

    def _pixels(self, program: Program, index: int) -> int:
        """Pixels of the program's value on the slice; -1 if the collection does not label what it names."""
        if (program, index) not in self._counts:
            structures, midline = self._context["structures"], self._context["midline"]
            count = -1
            if is_defined(program, structures):
                labels, memo = self._labels[index], self._masks[index]
                count = int(evaluate(program, labels, structures=structures, midline=midline, memo=memo).sum())
            self._counts[program, index] = count
        return self._counts[program, index]


# A training row repeats its program for every text, and programs come back on most slices.
_program = lru_cache(maxsize=10_000)(parse)
_clauses = lru_cache(maxsize=10_000)(from_json)


def verify_case(
    volumes: Path, case_id: str, *, prompts: Sequence[Row], training: Sequence[Row], seed: int
) -> list[Verdict]:
    """Verdicts on all candidates of a case, one a volume."""
    by_volume: dict[str, tuple[list[Row], list[Row]]] = defaultdict(lambda: ([], []))
    for position, rows in enumerate((prompts, training)):
        for row in rows:
            by_volume[row["volume_id"]][position].append(row)
    with VolumeStore(volumes) as store:
        return [
            verify_volume(Judge(store, volume_id), *rows, seed=seed) for volume_id, rows in sorted(by_volume.items())
        ]


class RowJudge(Protocol):
    """Judges rows of one volume.

    Attributes:
        facts: the volume's manifest row.
    """

    facts: dict[str, Any]

    def reasons(self, row: Row, text: str) -> list[str]:
        """Why the row must not be asked in these words; empty if it may."""


def verify_volume(judge: RowJudge, candidates: list[Row], training: list[Row], *, seed: int) -> Verdict:
    """Verdicts on the candidates of one volume."""
    verdict = Verdict()
    reserve = []
    for row in candidates:
        accepted = _accepted(judge, row, verdict, seed=seed)
        if accepted is not None:
            (reserve if row["suite"] == "reserve" else verdict.prompts).append(accepted)
    _refill_core(verdict, candidates, reserve)
    _drop_broken_groups(verdict, candidates)
    for row in training:
        _verify_training(judge, row, verdict)
    return verdict


def _accepted(judge: RowJudge, row: Row, verdict: Verdict, *, seed: int) -> Row | None:
    """The row in words that the verifier accepts: its own or, after a rejection, new ones; None if none of them is."""
    rng = stream(seed, "verify", row["prompt_id"])
    for attempt in range(1 + REDRAWS):
        text = row["text"] if attempt == 0 else render(
            _program(row["program"]), _clauses(row["clauses"]), part=row["phrasing"], rng=rng
        )  # fmt: skip
        reasons = judge.reasons(row, text)
        if not reasons:
            accepted = row | {"text": text}
            return accepted | {"prompt_id": prompt_id(accepted)}
        verdict.rejected.append(row | {"text": text, "reason": "; ".join(reasons)})
    return None


def _refill_core(verdict: Verdict, candidates: list[Row], reserve: list[Row]) -> None:
    """Replace rejected core prompts by verified reserves of their level; if there are too few, keep the levels
    equal."""
    planned = sum(row["suite"] == "core" for row in candidates) // len(LEVELS)
    core = [row for row in verdict.prompts if row["suite"] == "core"]
    for level in LEVELS:
        missing = planned - sum(row["level"] == level for row in core)
        for row in [row for row in reserve if row["level"] == level][: max(missing, 0)]:
            promoted = row | {"suite": "core"}
            core.append(promoted | {"prompt_id": prompt_id(promoted)})
    counts = Counter(row["level"] for row in core)
    least = min(counts[level] for level in LEVELS)
    kept: list[Row] = []
    for level in LEVELS:
        of_level = [row for row in core if row["level"] == level]
        kept += of_level[:least]
        reason = "balance: another level of this volume lost a prompt"
        verdict.rejected += [row | {"reason": reason} for row in of_level[least:]]
    verdict.prompts = [row for row in verdict.prompts if row["suite"] != "core"] + kept


def _drop_broken_groups(verdict: Verdict, candidates: list[Row]) -> None:
    """A triple, pair or paraphrase group that lost a member compares nothing any more."""
    planned = Counter(row["group"] for row in candidates if row["group"])
    left = Counter(row["group"] for row in verdict.prompts if row["group"])
    broken = {group for group, count in left.items() if count < planned[group]}
    reason = "group: another prompt of this group was rejected"
    verdict.rejected += [row | {"reason": reason} for row in verdict.prompts if row["group"] in broken]
    verdict.prompts = [row for row in verdict.prompts if row["group"] not in broken]


def _verify_training(judge: RowJudge, row: Row, verdict: Verdict) -> None:
    """Keep the texts of a training question that the verifier accepts; each reason for the others is recorded with
    one text."""
    refused: dict[str, str] = {}
    texts = []
    for text in row["texts"]:
        reasons = judge.reasons(row, text)
        if reasons:
            refused.setdefault("; ".join(reasons), text)
        else:
            texts.append(text)
    if texts:
        verdict.training.append(row | {"texts": texts})
    verdict.rejected += [training_rejection(judge.facts, row, text, reason) for reason, text in refused.items()]
