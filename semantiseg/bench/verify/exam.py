"""The verifier's exam: true prompts, and contradictions made from them (`mutations.py`), and which it rejects."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain
from pathlib import Path

import pandas as pd

from semantiseg.bench.verify.mutations import CONTROL, KINDS, Mutant, Mutator, exchanged
from semantiseg.bench.verify.verification import Judge
from semantiseg.conventions import groups_of, records_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError

COLUMNS = ("kind", "judged", "rejected", "share", "code", "missed")


def examine(volumes: Path, candidates: pd.DataFrame, *, seed: int, every_kind: bool = True) -> pd.DataFrame:
    """Let the verifier judge candidate prompts and all their mutants.

    Args:
        volumes: folder of prepared volumes.
        candidates: rows as in `candidates.parquet`: true by construction, and not yet sifted by the verifier, which
            would make every control pass.
        seed: of the mutants' words.
        every_kind: whether a kind without mutants is an error; else it is left out.

    Returns:
        One row a kind, the control first: `kind`, `judged`, `rejected` (counts), `share` (rejected / judged), `code`
        (the commonest code of the reasons, "" if none), `missed` (one text that was judged wrongly, "" if none).

    Raises:
        DataError: a kind has no mutant, so nothing would be known of it.
    """
    mutants: dict[str, list[tuple[Mutant, list[str]]]] = defaultdict(list)
    with VolumeStore(volumes) as store:
        for volume_id, rows in groups_of(candidates, "volume_id"):
            judge, mutator = Judge.reading(store, volume_id), Mutator(store, volume_id, seed=seed)
            of_volume = records_of(rows)
            for mutant in chain(chain.from_iterable(map(mutator.of, of_volume)), exchanged(of_volume)):
                mutants[mutant.kind].append((mutant, judge.reasons(mutant.row, mutant.text)))
    missing = [kind for kind in (CONTROL, *KINDS) if not mutants[kind]]
    if missing and every_kind:
        raise DataError(
            f"expected prompts that allow mutants of every kind, got none for {missing}. Judge more volumes."
        )
    planted = [kind for kind in (CONTROL, *KINDS) if mutants[kind]]
    return pd.DataFrame([_counted(kind, mutants[kind]) for kind in planted], columns=list(COLUMNS))


def worst_kind(results: pd.DataFrame) -> pd.Series:
    """The kind of contradiction that is rejected least often."""
    kinds = results[results["kind"] != CONTROL]
    return kinds.iloc[int(kinds["share"].argmin())]


def control(results: pd.DataFrame) -> pd.Series:
    """The row of the true prompts."""
    return results[results["kind"] == CONTROL].iloc[0]


def _counted(kind: str, judged: Iterable[tuple[Mutant, list[str]]]) -> tuple:
    pairs = list(judged)
    rejected = [reasons for _, reasons in pairs if reasons]
    codes = pd.Series([reasons[0].split(":")[0] for reasons in rejected]).mode()
    wrong = [mutant.text for mutant, reasons in pairs if bool(reasons) == (kind == CONTROL)]
    share = len(rejected) / len(pairs)
    return kind, len(pairs), len(rejected), share, codes[0] if len(codes) else "", wrong[0] if wrong else ""
