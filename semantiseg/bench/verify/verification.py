"""Stage verify, volume by volume: what the verifier rejects is worded anew, then replaced or dropped with the
reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from semantiseg.bench.ask.questions import prompt_id, training_rejection
from semantiseg.bench.measure.labelled_slice import read_volume
from semantiseg.bench.verify.verifier import SliceFacts, UnrecordedError, Verifier
from semantiseg.conventions import LEVELS, record_of
from semantiseg.data.store import VolumeStore
from semantiseg.language.clause import from_json
from semantiseg.language.evaluate import is_defined
from semantiseg.language.grammar.surface import render
from semantiseg.language.program import parse
from semantiseg.randomness import stream

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
    """Asks the verifier about prompts of one volume.

    Args:
        row: the volume's manifest row, `volume_id` included.
        look: gives what is known of an axial slice.
    """

    def __init__(self, row: Mapping[str, Any], look: Callable[[int], SliceFacts]) -> None:
        self.row, self._look = dict(row), look
        self._verifiers: dict[int, Verifier] = {}

    @classmethod
    def reading(cls, store: VolumeStore, volume_id: str) -> Judge:
        """The judge who looks at a prepared volume himself, uncropped: nothing of the planner's is trusted."""
        row = {"volume_id": volume_id, **record_of(store.manifest, volume_id)}
        return cls(row, read_volume(store, volume_id).axial)

    def reasons(self, row: Row, text: str) -> list[str]:
        """Why the row must not be asked in these words; empty if it may."""
        index, program = row["slice"], _program(row["program"])
        if index not in self._verifiers:
            self._verifiers[index] = Verifier(self._look(index))
        try:
            reasons = self._verifiers[index].verify(
                text, program, _clauses(row["clauses"]), must_be_absent=row["target_pixels"] == 0,
                stated_parent=_program(row["parent"]),
            )  # fmt: skip
            facts = self._verifiers[index].facts
            pixels = facts.pixels(program) if is_defined(program, facts.structures) else -1
        except UnrecordedError as error:
            return [f"unrecorded: {error}"]
        if pixels != row["target_pixels"]:
            stated = row["target_pixels"]
            reasons.append(f"pixels: the target has {pixels} pixels on slice {index}, the prompt states {stated}")
        return reasons


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
            verify_volume(Judge.reading(store, volume_id), *rows, seed=seed)
            for volume_id, rows in sorted(by_volume.items())
        ]


def verify_volume(judge: Judge, candidates: list[Row], training: list[Row], *, seed: int) -> Verdict:
    """Verdicts on the candidates of one volume."""
    verdict = Verdict()
    reserve: list[Row] = []
    for row in candidates:
        accepted = _accepted(judge, row, verdict, seed=seed)
        if accepted is not None:
            (reserve if row["suite"] == "reserve" else verdict.prompts).append(accepted)
    _refill_core(verdict, candidates, reserve)
    _drop_broken_groups(verdict, candidates)
    for row in training:
        _verify_training(judge, row, verdict)
    return verdict


def _accepted(judge: Judge, row: Row, verdict: Verdict, *, seed: int) -> Row | None:
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


def _verify_training(judge: Judge, row: Row, verdict: Verdict) -> None:
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
    verdict.rejected += [training_rejection(judge.row, row, text, reason) for reason, text in refused.items()]
