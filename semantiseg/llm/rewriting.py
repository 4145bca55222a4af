"""Prompts worded anew by a back end: every text is verified; what is refused is asked again with the reason, then
dropped.

A second opinion: a language model says whether a text means the target. It can only reject what the verifier
accepted, never the other way round.

The suite of rewritten prompts as files: a back end's wording of a bench's core prompts, judged on the volumes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from semantiseg.bench.ask.questions import prompt_id
from semantiseg.bench.tables import PROMPT_COLUMNS, REJECTED_COLUMNS, write_table
from semantiseg.bench.verify.verification import Judge
from semantiseg.conventions import records_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError
from semantiseg.files import read_table
from semantiseg.language.grammar.tables import Part
from semantiseg.llm.asking import Asker
from semantiseg.llm.backends import Reply
from semantiseg.llm.request import Request, read_answer

SUITE = "rewritten"
"""Suite and phrasing of what a back end worded; its `group` is the id of the prompt that it words anew."""

Row = dict[str, Any]
Reasons = Callable[[Row, str], list[str]]
"""Reasons why a row must not be asked in these words, empty if it may; such as `verification.Judge.reasons`."""


@dataclass
class Rewritten:
    """What became of a back end's texts: rows as in `prompts.parquet`, and rows as in `rejected.parquet`."""

    prompts: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)


def rewrite(
    rows: Sequence[Row], asker: Asker[Request], judge: Reasons, *, texts_per_prompt: int, attempts: int,
    taken: Collection[str] = (),
) -> Rewritten:  # fmt: skip
    """Have every prompt worded anew.

    Args:
        rows: prompts as in `prompts.parquet`.
        asker: who words them.
        judge: who judges the words.
        texts_per_prompt: texts wanted for each prompt.
        attempts: how often a back end is asked for the texts of one prompt; later attempts are told what was refused
            and why. Prompts that still lack texts are dropped as far as they lack them, with a last row of reasons.
        taken: texts that must not come again, such as training texts.

    Raises:
        BackendError: as `Asker.ask_all`; answers so far are kept in its cache.
    """
    made = Rewritten()
    accepted: dict[str, list[str]] = defaultdict(list)
    refused: dict[str, dict[str, str]] = defaultdict(dict)
    pending = list(rows)
    for attempt in range(attempts):
        requests = [_request(row, refused[row["prompt_id"]], texts_per_prompt, attempt) for row in pending]
        for row, reply in zip(pending, asker.ask_all(requests), strict=True):
            name = row["prompt_id"]
            _sift(row, reply, judge, accepted[name], refused[name], texts_per_prompt, taken=taken, made=made)
        pending = [row for row in pending if len(accepted[row["prompt_id"]]) < texts_per_prompt]
        if not pending:
            break
    for row in pending:
        got = len(accepted[row["prompt_id"]])
        reason = f"dropped: {got} of {texts_per_prompt} texts were accepted in {attempts} attempts"
        made.rejected.append(_row(row, row["text"]) | {"reason": reason})
    return made


def _request(row: Row, refused: Mapping[str, str], count: int, attempt: int) -> Request:
    return Request(
        program=row["program"], clauses=row["clauses"], modality=row["modality"], part=_part(row["phrasing"]),
        count=count, attempt=attempt, refused=tuple(sorted(refused.items())),
    )  # fmt: skip


def _part(phrasing: str) -> Part:
    return "seen" if phrasing == SUITE else cast(Part, phrasing)


def _sift(
    row: Row, reply: Reply, judge: Reasons, accepted: list[str], refused: dict[str, str], wanted: int, *,
    taken: Collection[str], made: Rewritten,
) -> None:  # fmt: skip
    """Reasons the texts of one reply; keep what is still wanted."""
    try:
        texts = read_answer(reply.text, finished=reply.finished)
    except PromptError as error:
        made.rejected.append(_row(row, reply.text) | {"reason": str(error)})
        return
    for text in dict.fromkeys(texts):
        if len(accepted) == wanted or text in accepted:
            continue
        known = text in taken or text == row["text"]
        reasons = ["taken: the text is known already"] if known else judge(row, text)
        if reasons:
            refused[text] = "; ".join(reasons)
            made.rejected.append(_row(row, text) | {"reason": refused[text]})
        else:
            accepted.append(text)
            made.prompts.append(_row(row, text))


def _row(row: Row, text: str) -> Row:
    changed = row | {"suite": SUITE, "phrasing": SUITE, "group": row["prompt_id"], "text": text}
    return changed | {"prompt_id": prompt_id(changed)}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"same": {"type": "boolean"}, "why": {"type": "string"}},
    "required": ["same", "why"],
    "additionalProperties": False,
}
RULES = (
    "You check requests to a medical image segmentation model. Does the sentence ask for exactly the target, with the "
    "same side, organ, exclusion, selection and attributes? Left and right are the patient's. Answer with JSON only: "
    '{"same": true or false, "why": "one short sentence"}.'
)


class _Opinion(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    same: bool
    why: str


@dataclass(frozen=True)
class OpinionRequest:
    """A text to be compared with the meaning that it should have; fields as of `Request`."""

    program: str
    clauses: str
    modality: str
    text: str
    attempt: int = 0

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the answer."""
        return SCHEMA

    def facts(self) -> dict[str, Any]:
        """As `Request.facts`."""
        return asdict(self) | {"rules": RULES}

    def messages(self) -> list[dict[str, str]]:
        """As `Request.messages`."""
        meaning = Request(self.program, self.clauses, self.modality, "seen", 0).meaning()
        asked = "\n".join([*meaning, f"Sentence: {self.text}"])
        return [{"role": "system", "content": RULES}, {"role": "user", "content": asked}]


def disputed(rows: Sequence[dict[str, Any]], asker: Asker[OpinionRequest]) -> dict[str, str]:
    """Prompts that the model takes for something else, by id, with the reason "opinion: ..."; an answer that is no JSON
    of the schema disputes nothing.

    Raises:
        BackendError: as `Asker.ask_all`.
    """
    requests = [OpinionRequest(row["program"], row["clauses"], row["modality"], row["text"]) for row in rows]
    found: dict[str, str] = {}
    for row, reply in zip(rows, asker.ask_all(requests), strict=True):
        try:
            opinion = _Opinion.model_validate_json(reply.text.strip())
        except ValidationError:
            continue
        if not opinion.same:
            found[row["prompt_id"]] = f"opinion: {' '.join(opinion.why.split())[:200]}"
    return found


ORDER = ("volume_id", "group", "text", "prompt_id")


def rewrite_bench(
    volumes: Path,
    bench: Path,
    out: Path,
    asker: Asker[Request],
    *,
    texts_per_prompt: int,
    attempts: int,
    limit: int | None = None,
    opinion: Asker[OpinionRequest] | None = None,
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
    core = prompts[(prompts["split"] == "test") & (prompts["suite"] == "core")].sort_values("prompt_id").iloc[:limit]
    with VolumeStore(volumes) as store:
        made = rewrite(
            records_of(core.sort_values(["volume_id", "prompt_id"])), asker, _Bench(store).reasons,
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
    return read_table(path, what="a bench", remedy="Run the stages prompts and verify first.")
