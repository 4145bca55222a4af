"""Would the verifier notice? Faults planted into accepted prompts, by changing the words, or words and clauses
alike.

The verifier's own exam: true prompts turned into contradictions of eight kinds, beside the prompts themselves.

A mutant says something false of its slice. What is false is known from how the mutant was made and, where masks decide,
from the masks of both meanings, never from the verifier's reading. Words come from the grammar (the false meaning put
into words) and from edits of the true text, as a language model's slip would make them.

How well the verifier tells true prompts from contradictions: the shares that it rejects, by kind of mutation.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semantiseg.bench.verify.verification import Judge
from semantiseg.conventions import Mask
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError, PromptError
from semantiseg.language.clause import VALUES, Clause, from_json, to_json
from semantiseg.language.evaluate import evaluate, is_defined
from semantiseg.language.grammar.surface import render
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import Program, atom, call, parent, parse, subject
from semantiseg.randomness import stream

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


CONTROL = "control"
KINDS = (
    "side swapped", "exclusion dropped", "exclusion inverted", "density flipped", "size exaggerated", "wrong parent",
    "absent structure", "vacuous exclusion",
)  # fmt: skip
"""Kinds of contradiction."""
EXAGGERATIONS = (1.5, 2.0, 3.0)
"""Factors by which a diameter is overstated, and two millimetres more."""
GAP_PIXELS = 1
"""Pixels in which the masks of the true and the false meaning must differ."""

_TURNED = {"left": "right", "right": "left"}
_SIDE_WORD = re.compile(r"\b(left|right)\b(?! (?:atri|cardiac|out\b|aside\b|of\b))")
_FLIPS = (
    ("hypo", "hyper"), ("low", "high"), ("dark", "bright"), ("darker", "brighter"), ("reduced", "raised"),
    ("less dense", "denser"), ("lower", "higher"),
)  # fmt: skip
_FLIPPED = {one: other for pair in _FLIPS for one, other in (pair, pair[::-1])}
_DENSITY_WORD = re.compile(
    r"\b(less dense|denser|hypo(?=dense|atten|intense)|hyper(?=dense|atten|intense)|low(?=[- ])|high(?=[- ])|"
    r"darker|brighter|dark|bright(?!er)|reduced|raised|lower|higher)"
)
_DIAMETER = re.compile(r"\b(\d+)(?= mm)")



@dataclass(frozen=True)
class Mutant:
    """A prompt to be judged.

    Attributes:
        kind: one of `KINDS`, or `CONTROL`.
        row: the prompt as it would stand in the table; `text` aside.
        text: its words.
    """

    kind: str
    row: Row
    text: str


class Mutator:
    """Makes the mutants of a volume's prompts.

    Args:
        store: prepared volumes.
        volume_id: the volume that all prompts are about.
        seed: of the words.
    """

    def __init__(self, store: VolumeStore, volume_id: str, *, seed: int) -> None:
        self.seed = seed
        self.structures, self.midline = store.structures(volume_id), store.midline(volume_id)
        self._spacing_mm, self._labels = store.spacing_mm(volume_id), store.labels(volume_id)
        self._masks: dict[int, dict[Program, Mask]] = {}

    def of(self, row: Row) -> Iterator[Mutant]:
        """The prompt itself as control, then its contradictions (none for a prompt whose target is absent)."""
        yield Mutant(CONTROL, row, row["text"])
        if row["target_pixels"] == 0:
            return
        program, clauses = parse(row["program"]), from_json(row["clauses"])
        for make in (self._sides, self._exclusions, self._densities, self._sizes, self._parents, self._absences,
                     self._vacuous):  # fmt: skip
            yield from make(row, program, clauses)

    def _sides(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        turned = _replaced_words(program, _TURNED)
        if not self._differ(program, turned, row["slice"]):
            return
        yield from self._said("side swapped", row, turned, clauses)
        edited = _SIDE_WORD.sub(lambda found: _TURNED[found[1]], row["text"])
        if edited != row["text"] and "what is left" not in row["text"]:
            yield Mutant("side swapped", row, edited)

    def _exclusions(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        if program.operation != "minus":
            return
        kept, removed = program.children
        yield from self._said("exclusion dropped", row, kept, clauses)
        for inverted in (removed, call("union", kept, removed), call("minus", removed, kept)):
            if self._differ(program, inverted, row["slice"]):
                yield from self._said("exclusion inverted", row, inverted, ())

    def _densities(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        for place, clause in enumerate(clauses):
            if clause.attribute not in ("density", "signal"):
                continue
            values = VALUES[clause.attribute]
            false = Clause(clause.attribute, values[0] if values.index(clause.value) else values[-1])
            flipped = (*clauses[:place], false, *clauses[place + 1 :])
            yield from self._said("density flipped", row, program, flipped)
            yield from self._said("density flipped", row | {"clauses": to_json(flipped)}, program, flipped)
            edited = _DENSITY_WORD.sub(lambda found: _FLIPPED[found[1]], row["text"])
            # "As bright as" and "as dark as" say the same.
            if edited != row["text"] and not clause.value.startswith("iso"):
                yield Mutant("density flipped", row, edited)

    def _sizes(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """A stated diameter overstated in the words, or in words and statement; on a prompt that states none, one
        that no component of the target comes near."""
        stated = next((int(clause.value) for clause in clauses if clause.attribute == "diameter"), None)
        others = tuple(clause for clause in clauses if clause.attribute != "diameter")
        if stated is None and (STRUCTURES[subject(program).key].kind == "organ" or not _takes_adjective(program)):
            return
        true = stated if stated is not None else self._reach_mm(program, row["slice"])
        for factor in EXAGGERATIONS:
            false = str(round(true * factor) + 2)
            exaggerated = (*others, Clause("diameter", false))
            yield from self._said("size exaggerated", row | {"clauses": to_json(exaggerated)}, program, exaggerated)
            if stated is not None:
                yield from self._said("size exaggerated", row, program, exaggerated)
                yield Mutant("size exaggerated", row, _DIAMETER.sub(false, row["text"]))

    def _parents(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """A lesion placed in an organ that is not its own; another parent stated."""
        others = [key for key, item in STRUCTURES.items() if item.kind == "organ"]
        rng = stream(self.seed, "wrong parent", row["prompt_id"])
        draw = [others[place] for place in rng.permutation(len(others))]
        own = STRUCTURES[subject(program).key].parent
        if program.operation == "within" and own is not None:
            for key in [key for key in draw if key != own and key not in str(program)][:2]:
                yield from self._said("wrong parent", row, call("within", program.children[0], atom(key)), clauses)
        expected = parse(row["parent"])
        labelled = [atom(key) for key in STRUCTURES if is_defined(atom(key), self.structures)]
        for other in labelled:
            if self._differ(other, expected, row["slice"]):
                yield Mutant("wrong parent", row | {"parent": str(other)}, row["text"])

    def _absences(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """Something asked for that is not on the slice: in the words, or in words and statement."""
        for wrong in self._absent(row, "absent structure", sided=True):
            yield from self._said("absent structure", row, wrong, ())
            changed = {"program": str(wrong), "parent": str(parent(wrong)), "clauses": "[]"}
            yield from self._said("absent structure", row | changed, wrong, ())

    def _vacuous(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """Something left out of the words, or of words and statement, that is not there to be left out."""
        if program.operation in ("minus", "union"):
            return
        for missing in self._absent(row, "vacuous exclusion", sided=False):
            excluding = call("minus", program, missing)
            yield from self._said("vacuous exclusion", row, excluding, clauses)
            yield from self._said("vacuous exclusion", row | {"program": str(excluding)}, excluding, clauses)

    def _absent(self, row: Row, kind: str, *, sided: bool) -> list[Program]:
        """One thing that the collection labels and the slice does not show, and one that is not labelled; with
        `sided`, also a lesion on a side without it."""
        rng = stream(self.seed, kind, row["prompt_id"])
        every = [atom(key) for key in STRUCTURES]
        labelled = [item for item in every if is_defined(item, self.structures)]
        one_sided = [call("side", item, side) for item in labelled if item.operation == "lesion" for side in _TURNED]
        pools = (
            [item for item in labelled if not self._present(item, row["slice"])],
            [item for item in one_sided if sided and not self._present(item, row["slice"])],
            [item for item in every if item not in labelled],
        )
        return [pool[int(rng.integers(len(pool)))] for pool in pools if pool]

    def _said(self, kind: str, row: Row, meaning: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The row in words of the meaning and clauses, if English has them."""
        rng = stream(self.seed, kind, row["prompt_id"], str(meaning), to_json(clauses))
        try:
            text = render(meaning, clauses, part=row["phrasing"], rng=rng)
        except PromptError:
            return
        yield Mutant(kind, row, text)

    def _mask(self, program: Program, index: int) -> Mask:
        return evaluate(
            program, self._labels[index], structures=self.structures, midline=self.midline,
            memo=self._masks.setdefault(index, {}),
        )  # fmt: skip

    def _present(self, program: Program, index: int) -> bool:
        return is_defined(program, self.structures) and bool(self._mask(program, index).any())

    def _differ(self, one: Program, other: Program, index: int) -> bool:
        """Whether two meanings are different masks on the slice; what is not labelled has no mask and differs."""
        if not (is_defined(one, self.structures) and is_defined(other, self.structures)):
            return True
        return int((self._mask(one, index) ^ self._mask(other, index)).sum()) >= GAP_PIXELS

    def _reach_mm(self, program: Program, index: int) -> float:
        """Diagonal of the target's bounding box: no diameter is larger."""
        rows, columns = np.nonzero(self._mask(program, index))
        return float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1) * self._spacing_mm)


def _replaced_words(program: Program, words: dict[str, str]) -> Program:
    """The program with words exchanged in all its nodes."""
    arguments = [
        _replaced_words(argument, words) if isinstance(argument, Program) else words.get(argument, argument)
        for argument in program.arguments
    ]
    return program if program.is_atom else Program(program.operation, tuple(arguments))


def _takes_adjective(program: Program) -> bool:
    return program.is_atom or program.operation in ("side", "within", "largest", "smallest")


COLUMNS = ("kind", "judged", "rejected", "share", "code", "missed")


def examine(volumes: Path, candidates: pd.DataFrame, *, seed: int) -> pd.DataFrame:
    """Let the verifier judge candidate prompts and all their mutants.

    Args:
        volumes: folder of prepared volumes.
        candidates: rows as in `candidates.parquet`: true by construction, and not yet sifted by the verifier, which
            would make every control pass.
        seed: of the mutants' words.

    Returns:
        One row a kind, the control first: `kind`, `judged`, `rejected` (counts), `share` (rejected / judged), `code`
        (the commonest code of the reasons, "" if none), `missed` (one text that was judged wrongly, "" if none).

    Raises:
        DataError: a kind has no mutant, so nothing would be known of it.
    """
    mutants: dict[str, list[tuple[Mutant, list[str]]]] = defaultdict(list)
    with VolumeStore(volumes) as store:
        for volume_id, rows in candidates.groupby("volume_id"):
            judge, mutator = Judge.reading(store, str(volume_id)), Mutator(store, str(volume_id), seed=seed)
            for row in rows.to_dict("records"):
                for mutant in mutator.of(row):
                    mutants[mutant.kind].append((mutant, judge.reasons(mutant.row, mutant.text)))
    if missing := [kind for kind in (CONTROL, *KINDS) if not mutants[kind]]:
        raise DataError(
            f"expected prompts that allow mutants of every kind, got none for {missing}. Judge more volumes."
        )
    return pd.DataFrame([_counted(kind, mutants[kind]) for kind in (CONTROL, *KINDS)], columns=list(COLUMNS))


def worst_kind(results: pd.DataFrame) -> pd.Series:
    """The kind of contradiction that is rejected least often."""
    kinds = results[results["kind"] != CONTROL]
    return kinds.loc[kinds["share"].idxmin()]


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
