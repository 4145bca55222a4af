"""Would the verifier notice? Faults planted into accepted prompts, by changing the words, or words and clauses
alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.bench.clause import VALUES, Clause, from_json, to_json
from semantiseg.bench.grammar import render
from semantiseg.bench.program import Program, parse
from semantiseg.bench.verification import Judge
from semantiseg.data.phantom.stream import stream
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError

AN_ATTRIBUTE = "an attribute turned round"
UNCHANGED = "none (control)"
MIRRORED = {"left": "right", "right": "left"}

Row = dict[str, Any]


def notice_faults(volumes: Path, prompts: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """How many planted faults the verifier rejects, on the core prompts and counterfactual pairs of the test split.

    Columns: `fault`, `planted`, `rejected`, `code` (the commonest code of the reasons).
    """
    asked = prompts[(prompts.split == "test") & prompts.suite.isin(["core", "counterfactual"])]
    reasons: dict[str, list[str]] = defaultdict(list)
    with VolumeStore(volumes) as store:
        for volume_id, rows in asked.groupby("volume_id"):
            judge = Judge.reading(store, volume_id)
            for fault, row, text in plant(rows.to_dict("records"), seed=seed):
                reasons[fault].append("; ".join(judge.reasons(row, text)))
    table = [
        (fault, len(found), sum(map(bool, found)), pd.Series(found).str.split(":").str[0].mode()[0])
        for fault, found in sorted(reasons.items())
    ]
    return pd.DataFrame(table, columns=["fault", "planted", "rejected", "code"])


def plant(rows: list[Row], *, seed: int) -> Iterator[tuple[str, Row, str]]:
    """Every fault that fits a volume's prompts: its name, the prompt, and the wrong words; the prompts themselves as
    controls."""
    pairs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        yield UNCHANGED, row, row["text"]
        pairs[row["group"]].append(row)
        for fault, program, clauses in _wrong_meanings(row):
            text = _words(row, program, clauses, seed=seed)
            if text is not None:
                yield fault, row, text
            if text is not None and fault == AN_ATTRIBUTE:
                # Words and statement agree here: only the image can object.
                yield "an attribute stated and said wrongly", row | {"clauses": to_json(clauses)}, text
    for group, pair in pairs.items():
        if group and len(pair) == 2:
            yield "texts of a counterfactual pair exchanged", pair[0], pair[1]["text"]
            yield "texts of a counterfactual pair exchanged", pair[1], pair[0]["text"]


def _wrong_meanings(row: Row) -> Iterator[tuple[str, Program, tuple[Clause, ...]]]:
    program, clauses = parse(row["program"]), from_json(row["clauses"])
    if row["level"] == 3:
        yield "qualifiers dropped, parent named", parse(row["parent"]), ()
    if _mirrored(program) != program:
        yield "left and right exchanged", _mirrored(program), clauses
    for place, clause in enumerate(clauses):
        other = _opposite(clause)
        yield AN_ATTRIBUTE, program, (*clauses[:place], other, *clauses[place + 1 :])


def _words(row: Row, program: Program, clauses: tuple[Clause, ...], *, seed: int) -> str | None:
    try:
        return render(program, clauses, part=row["phrasing"], rng=stream(seed, "fault", row["prompt_id"], str(program)))
    except PromptError:
        return None


def _mirrored(program: Program) -> Program:
    """The program with every left and right exchanged."""
    arguments = [
        _mirrored(argument) if isinstance(argument, Program) else MIRRORED.get(argument, argument)
        for argument in program.arguments
    ]
    return Program(program.operation, tuple(arguments))


def _opposite(clause: Clause) -> Clause:
    """Another value of the attribute, the farthest in its list; a diameter grows by half."""
    values = VALUES[clause.attribute]
    if not values:
        return Clause(clause.attribute, str(round(int(clause.value) * 1.5) + 1))
    return Clause(clause.attribute, values[0] if values.index(clause.value) else values[-1])
