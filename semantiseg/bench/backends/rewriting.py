"""Prompts worded anew by a back end: every text is verified; what is refused is asked again with the reason, then
dropped."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from semantiseg.bench.backends.asking import Asker
from semantiseg.bench.backends.backend import Reply
from semantiseg.bench.backends.request import Request, read_answer
from semantiseg.bench.prompt import prompt_id
from semantiseg.errors import PromptError

SUITE = "rewritten"
"""Suite and phrasing of what a back end worded; its `group` is the id of the prompt that it words anew."""

Row = dict[str, Any]
Judge = Callable[[Row, str], list[str]]
"""Reasons why a row must not be asked in these words, empty if it may; such as `verification.Judge.reasons`."""


@dataclass
class Rewritten:
    """What became of a back end's texts: rows as in `prompts.parquet`, and rows as in `rejected.parquet`."""

    prompts: list[Row] = field(default_factory=list)
    rejected: list[Row] = field(default_factory=list)


def rewrite(
    rows: Sequence[Row], asker: Asker, judge: Judge, *, texts_per_prompt: int, attempts: int,
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


def _part(phrasing: str) -> str:
    return "seen" if phrasing == SUITE else phrasing


def _sift(
    row: Row, reply: Reply, judge: Judge, accepted: list[str], refused: dict[str, str], wanted: int, *,
    taken: Collection[str], made: Rewritten,
) -> None:  # fmt: skip
    """Judge the texts of one reply; keep what is still wanted."""
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
