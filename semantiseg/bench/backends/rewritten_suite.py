"""The suite of rewritten prompts as files: a back end's wording of a bench's core prompts, judged on the volumes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from semantiseg.bench.backends.asking import Asker
from semantiseg.bench.backends.opinion import disputed
from semantiseg.bench.backends.rewriting import Rewritten, Row, rewrite
from semantiseg.bench.export import PROMPT_COLUMNS, REJECTED_COLUMNS, write_table
from semantiseg.bench.verification import Judge
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError

ORDER = ("volume_id", "group", "text", "prompt_id")


def rewrite_bench(
    volumes: Path,
    bench: Path,
    out: Path,
    asker: Asker,
    *,
    texts_per_prompt: int,
    attempts: int,
    limit: int | None = None,
    opinion: Asker | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Word the core prompts of a bench's test split anew; write `rewritten.parquet` and `rewritten_rejected.parquet`.

    Texts that training uses are refused, so a rewritten prompt is as unseen as any other test prompt.

    Args:
        volumes: folder of prepared volumes.
        bench: folder with `prompts.parquet` and `training.parquet`.
        out: folder to write to.
        asker: who words them.
        texts_per_prompt, attempts: as in `rewrite`.
        limit: only so many prompts, the first by id; None for all.
        opinion: who is asked for a second opinion on what the verifier accepted, or None.

    Raises:
        DataError: the bench is not there.
        BackendError: the back end cannot answer; run again to go on from the kept answers.
    """
    prompts, training = (_read(bench / name) for name in ("prompts.parquet", "training.parquet"))
    core = prompts[(prompts["split"] == "test") & (prompts["suite"] == "core")].sort_values("prompt_id").head(limit)
    with VolumeStore(volumes) as store:
        made = rewrite(
            core.sort_values(["volume_id", "prompt_id"]).to_dict("records"), asker, _Bench(store).reasons,
            texts_per_prompt=texts_per_prompt, attempts=attempts, taken=frozenset(training["texts"].explode()),
        )  # fmt: skip
    if opinion is not None:
        reasons = disputed(made.prompts, opinion)
        made.rejected += [
            row | {"reason": reasons[row["prompt_id"]]} for row in made.prompts if row["prompt_id"] in reasons
        ]
        made.prompts = [row for row in made.prompts if row["prompt_id"] not in reasons]
    return _write(made, out)


class _Bench:
    """Judges rows of any volume; keeps the judge of the last one, since rows come volume by volume."""

    def __init__(self, store: VolumeStore) -> None:
        self._store, self._volume_id = store, ""

    def reasons(self, row: Row, text: str) -> list[str]:
        """As `Judge.reasons`."""
        if row["volume_id"] != self._volume_id:
            self._volume_id, self._judge = row["volume_id"], Judge.reading(self._store, row["volume_id"])
        return self._judge.reasons(row, text)


def _write(made: Rewritten, out: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return (
        write_table(made.prompts, out / "rewritten.parquet", columns=PROMPT_COLUMNS, sort=ORDER),
        write_table(
            made.rejected, out / "rewritten_rejected.parquet", columns=REJECTED_COLUMNS, sort=(*ORDER, "reason")
        ),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a bench, got {error}. Run the stages prompts and verify first.") from None
