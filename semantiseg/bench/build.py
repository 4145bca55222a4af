"""SemantiBench built from prepared volumes: candidates first, then what survives verification. The doors of stages
prompts and verify."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from semantiseg.bench.ask.candidates import VolumePlan, plan_volume
from semantiseg.bench.ask.draw import draw_volumes
from semantiseg.bench.ask.scene import scenes_of
from semantiseg.bench.ask.training import training_rows
from semantiseg.bench.tables import (
    ACCOUNT_COLUMNS,
    PLANNED_COLUMNS,
    PROMPT_COLUMNS,
    REJECTED_COLUMNS,
    TRAINING_COLUMNS,
    account,
    write_croissant,
    write_table,
)
from semantiseg.bench.verify.verification import Verdict, verify_case
from semantiseg.conventions import groups_of, records_of
from semantiseg.data.store import VolumeStore, cases_of
from semantiseg.errors import DataError
from semantiseg.files import read_table
from semantiseg.parallel import for_each

PROMPT_ORDER = ("volume_id", "suite", "group", "level", "slice", "program", "phrasing", "text")
TRAINING_ORDER = ("volume_id", "slice", "level", "program", "clauses")
PLANNED_ORDER = ("volume_id", "suite", "level")
ACCOUNT_ORDER = ("collection", "suite", "level")


@dataclass(frozen=True)
class Candidates:
    """What stage prompts makes: candidate prompts, training questions, volumes without nine core prompts, and what was
    wanted and planned of every drawn volume (`PlannedRow`)."""

    prompts: pd.DataFrame
    training: pd.DataFrame
    shortfalls: pd.DataFrame
    planned: pd.DataFrame

    @property
    def drawn(self) -> list[str]:
        """The drawn volumes, sorted."""
        return sorted(self.planned["volume_id"].unique())


@dataclass(frozen=True)
class Bench:
    """What stage verify makes: accepted prompts, rejected ones with reasons, accepted training questions, and the
    account of all that was wanted (`AccountRow`)."""

    prompts: pd.DataFrame
    rejected: pd.DataFrame
    training: pd.DataFrame
    account: pd.DataFrame


def make_candidates(
    volumes: Path, out: Path, *, minimum_pixels: int, slices_per_volume: int, texts_per_question: int, seed: int,
    volumes_drawn: int = 0, volumes_per_task: int = 0, workers: int | None = None,
) -> Candidates:  # fmt: skip
    """Draw volumes and plan each of them; write `candidates`, `training_candidates` and `planned` (Parquet) into `out`.

    Args:
        volumes: folder of prepared volumes.
        out: folder to write to.
        minimum_pixels: smallest target on the asked slice.
        slices_per_volume: slices of a training volume that are asked about.
        texts_per_question: training texts drawn for each training question.
        seed: of all choices and words; the bytes written do not depend on the number of workers. What is planned of a
            volume does not depend on which others are drawn.
        volumes_drawn: volumes asked about, 0 for all that are present.
        volumes_per_task: most of one collection, 0 for no cap.
        workers: processes; all cores by default.

    Raises:
        DataError: there are no prepared volumes.
    """
    drawn: dict[str, dict[str, list[str]]] = {case_id: {"drawn": []} for case_id in _cases(volumes)}
    with VolumeStore(volumes) as store:
        chosen = draw_volumes(store.manifest, volumes_drawn or None, seed=seed, cap=volumes_per_task or None)
        for case_id, volume_id in zip(store.manifest.loc[chosen, "case_id"], chosen, strict=True):
            drawn[case_id]["drawn"].append(volume_id)
    plans = _by_case(
        volumes, _plan_case, workers=workers, shares=drawn, minimum_pixels=minimum_pixels,
        slices_per_volume=slices_per_volume, texts_per_question=texts_per_question, seed=seed,
    )  # fmt: skip
    prompts = [row for plan, _ in plans for row in plan.rows]
    training = [row for _, rows in plans for row in rows]
    shortfalls = [plan.shortfall for plan, _ in plans if plan.shortfall]
    goals = [row for plan, _ in plans for row in plan.goals]
    return Candidates(
        write_table(prompts, out / "candidates.parquet", columns=PROMPT_COLUMNS, sort=PROMPT_ORDER),
        write_table(training, out / "training_candidates.parquet", columns=TRAINING_COLUMNS, sort=TRAINING_ORDER),
        pd.DataFrame(shortfalls, columns=["volume_id", "asked", "expected", "reason"]),
        write_table(goals, out / "planned.parquet", columns=PLANNED_COLUMNS, sort=PLANNED_ORDER),
    )


def verify_candidates(volumes: Path, candidates: Path, out: Path, *, seed: int, workers: int | None = None) -> Bench:
    """Verify every candidate; write `prompts`, `rejected`, `training`, `account` (Parquet) and `croissant.json` into
    `out`.

    Args:
        volumes: folder of prepared volumes.
        candidates: folder with what `make_candidates` wrote.
        out: folder to write to.
        seed: of the words drawn anew for rejected prompts.
        workers: processes; all cores by default.

    Raises:
        DataError: the candidates are missing or belong to other volumes.
    """
    files = {"prompts": "candidates.parquet", "training": "training_candidates.parquet"}
    shares = _shares(volumes, {key: _read(candidates / name) for key, name in files.items()})
    planned = _read(candidates / "planned.parquet")
    verdicts: list[Verdict] = _by_case(volumes, verify_case, workers=workers, shares=shares, seed=seed)
    with VolumeStore(volumes) as store:
        manifest = store.manifest
    prompts = write_table([row for verdict in verdicts for row in verdict.prompts], out / "prompts.parquet",
                          columns=PROMPT_COLUMNS, sort=PROMPT_ORDER)  # fmt: skip
    rejected = write_table([row for verdict in verdicts for row in verdict.rejected], out / "rejected.parquet",
                           columns=REJECTED_COLUMNS, sort=(*PROMPT_ORDER, "reason"))  # fmt: skip
    sums = account(manifest, planned, prompts, rejected)
    bench = Bench(
        prompts,
        rejected,
        write_table([row for verdict in verdicts for row in verdict.training], out / "training.parquet",
                    columns=TRAINING_COLUMNS, sort=TRAINING_ORDER),
        write_table(sums, out / "account.parquet", columns=ACCOUNT_COLUMNS, sort=ACCOUNT_ORDER),
    )  # fmt: skip
    tables = {
        "prompts": PROMPT_COLUMNS, "rejected": REJECTED_COLUMNS, "training": TRAINING_COLUMNS,
        "account": ACCOUNT_COLUMNS,
    }  # fmt: skip
    origins = {name: str(rows["origin"].iloc[0]) for name, rows in groups_of(bench.prompts, "collection")}
    write_croissant(out, tables=tables, origins=origins)
    return bench


def _plan_case(
    volumes: Path, case_id: str, *, drawn: list[str], minimum_pixels: int, slices_per_volume: int,
    texts_per_question: int, seed: int,
) -> list[tuple[VolumePlan, list[dict[str, Any]]]]:  # fmt: skip
    if not drawn:
        return []
    with VolumeStore(volumes) as store:
        scenes = [scene for scene in scenes_of(store, case_id) if scene.volume_id in drawn]
    planned = []
    for scene in scenes:
        plan = plan_volume(scene, minimum_pixels=minimum_pixels, seed=seed)
        rows = []
        if scene.facts["split"] != "test":
            rows = training_rows(
                scene, minimum_pixels=minimum_pixels, slices_per_volume=slices_per_volume,
                texts_per_question=texts_per_question, seed=seed,
            )  # fmt: skip
        planned.append((plan, rows))
    return planned


def _by_case(
    volumes: Path,
    work: Callable[..., list],
    *,
    workers: int | None,
    shares: Mapping[str, dict] | None = None,
    **same: Any,
) -> list:
    """`work(volumes, case_id, ...)` for every case on all cores: all results in one list, in the order of the cases.

    `same` goes to every call, `shares[case_id]` to that case's only.
    """
    cases = _cases(volumes)
    calls = [((volumes, case_id), {**(shares or {}).get(case_id, {}), **same}) for case_id in cases]
    done = for_each(work, calls, workers=workers)
    return [item for found in tqdm(done, total=len(cases), unit="case", disable=None) for item in found]


def _cases(volumes: Path) -> list[str]:
    with VolumeStore(volumes) as store:
        cases = sorted(store.manifest["case_id"].unique())
    if not cases:
        raise DataError(f"{volumes}: expected prepared volumes, got an empty manifest. Run the stage prepare again.")
    return cases


def _shares(volumes: Path, tables: Mapping[str, pd.DataFrame]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """Every case's rows of every table."""
    shares: dict[str, dict[str, list[dict[str, Any]]]] = {
        case_id: {key: [] for key in tables} for case_id in _cases(volumes)
    }
    for key, table in tables.items():
        for case_id, rows in table.groupby(cases_of(table["volume_id"])):
            if case_id not in shares:
                raise DataError(
                    f"{volumes}: expected the cases that the candidates ask about, got none of the name {case_id!r}. "
                    "Run the stage prompts again."
                )
            shares[case_id][key] = records_of(rows)
    return shares


def _read(path: Path) -> pd.DataFrame:
    return read_table(path, what="candidate prompts", remedy="Run the stage prompts first.")
