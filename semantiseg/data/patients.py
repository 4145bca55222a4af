"""Which cases are one patient: stated, or guessed from file names and then only where names allow one reading.

A patient in two splits makes every test number too good, and nobody can see it afterwards. So a guess is accepted when
one rule explains every name, no rival rule groups the names otherwise, groups make at least `FEWEST_GUESSED` patients,
and shape and affine agree within each. Otherwise the run stops with the line to paste. Nothing here opens a file but
the table and, through `grid`, headers of cases that a guess would put together.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from semantiseg.data.header import Affine
from semantiseg.errors import DataError, ParameterError

Told = Literal["key", "table", "pattern", "convention", "guess"]
Grid = tuple[tuple[int, ...], Affine]
"""Shape and affine of a case's image, as its header says."""

FEWEST_GUESSED = 5
"""A rule that puts several files together is believed only if it makes so many patients: fewer show no pattern."""

FIELD = re.compile(r"[A-Za-z]+|\d+|[^A-Za-z\d]+")
"""A name's parts: a run of letters, of digits, or of anything else."""

# Words that say what stands beside the patient: a slice, a visit, a phase of contrast, a side.
_BESIDE = re.compile(
    r"(?P<rest>.*\d.*?)[_\-. ]*(?<![A-Za-z])"
    r"(?:slice|slc|sl|frame|z|ses|session|visit|timepoint|tp|day|week|month|year|scan|run|rep|acq|"
    r"pre-?op|post-?op|pre|post|baseline|bl|follow-?up|fu|arterial|venous|portal|delayed|left|right|lh|rh)"
    r"[_\-. ]?\d*",
    re.IGNORECASE,
)
_DATE = re.compile(r"(?P<rest>.*\d.*?)[_\-. ](?:19|20)\d\d-?[01]\d-?[0-3]\d")
_CHANNEL = re.compile(r"(?P<rest>.+)_0000")

# Whole names of which a published convention says what the patient is.
_CONVENTIONS = (
    ("BIDS names a patient sub-<label>", re.compile(r"(?P<patient>sub-[A-Za-z0-9]+)(?:_.*)?")),
    ("BraTS ends a name in the time point", re.compile(r"(?P<patient>BraTS-[A-Za-z\-]+-\d{4,5})-\d{3}(?:[_\-].*)?")),
    (
        "a TCGA barcode's first three parts are the patient",
        re.compile(r"(?P<patient>TCGA[_\-]\w\w[_\-]\w{4})(?:\W.*|_.*)?"),
    ),
    (
        "a word for the patient stands in the name",
        re.compile(
            r"(?P<patient>(?:.*[_\-. ])?(?:patient|subject|subj|participant|pat|sub)[_\-]?\d+)(?:[_\-. ].*)?",
            re.IGNORECASE,
        ),
    ),
)

# A number after these words counts hospitals or parts of a collection; whoever shares it is not one person.
_HOLDS_PATIENTS = frozenset(
    "site center centre hospital clinic institution scanner cohort batch fold part task dataset group".split()
)
_SPLITS = frozenset("tr ts va train training test val validation".split())


@dataclass(frozen=True)
class Patients:
    """Who is who in one collection.

    Attributes:
        of: case -> patient, for every case.
        told: by what they were told apart.
        sentence: the same for people, with numbers.
    """

    of: Mapping[str, str]
    told: Told
    sentence: str

    @property
    def count(self) -> int:
        """How many patients there are."""
        return len(set(self.of.values()))


@dataclass(frozen=True)
class _Reading:
    """One way to read the names: case -> patient, and why."""

    of: Mapping[str, str]
    reason: str
    pattern: str = ""

    @property
    def merges(self) -> bool:
        """Whether several files become one patient."""
        return self.count < len(self.of)

    @property
    def groups(self) -> frozenset[frozenset[str]]:
        return frozenset(map(frozenset, _members(self.of).values()))

    @property
    def count(self) -> int:
        return len(set(self.of.values()))


def tell_apart(
    cases: Sequence[str],
    *,
    collection: str,
    stated: Mapping[str, str] | None = None,
    table: str = "",
    pattern: str = "",
    grid: Callable[[str], Grid | None] | None = None,
) -> Patients:
    """The patient of every case: by the key of its entry, a table, a pattern, or a guess over the names.

    Args:
        cases: names of the cases, without endings and channel numbers.
        collection: named in messages.
        stated: case -> patient, as the collection's own description says; where it names every case it is believed.
        table: CSV file with the columns `case` and `patient` (`prepare.patient_table`), or empty.
        pattern: regular expression (`prepare.patient_pattern`), or empty; what it matches at the start of a name (its
            first group, if it has one) is the patient.
        grid: shape and affine of a case, None where they cannot be read; asked only about cases that a guess groups.

    Raises:
        ParameterError: the pattern is no regular expression, or does not match a name; the table lacks a case.
        DataError: only some cases state their patient, or the names allow no guess; with the line to paste.
    """
    names = sorted(set(cases))
    stated = {case: patient for case, patient in (stated or {}).items() if patient}
    if table or pattern:
        found = _by_table(names, Path(table)) if table else by_pattern(names, pattern)
        told: Told = "table" if table else "pattern"
        return _told({**found, **stated}, told, f"by {table or 'the pattern ' + pattern}", collection=collection)
    if stated:
        missing = [name for name in names if name not in stated]
        if missing:
            raise DataError(
                f"{collection}: expected a patient for every case or for none, got none for {_shown(missing)}. Add the "
                f"key 'patient' to these entries, or remove it everywhere and {_remedy([])}"
            )
        return _told(stated, "key", "by the key 'patient' of the description", collection=collection)
    return guess(names, collection=collection, grid=grid)


def by_pattern(cases: Iterable[str], pattern: str) -> dict[str, str]:
    """Case -> what `pattern` matches at the start of its name (its first group, if it has one).

    Raises:
        ParameterError: the pattern is no regular expression, or does not match a name.
    """
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise ParameterError(
            f"prepare.patient_pattern: expected a regular expression, got {pattern!r} ({error}). Correct it."
        ) from None
    found = {case: expression.match(case) for case in cases}
    patients = {case: match[min(1, expression.groups)] or "" for case, match in found.items() if match}
    missing = [case for case in found if not patients.get(case)]
    if missing:
        raise ParameterError(
            f"prepare.patient_pattern: expected {pattern!r} to match the start of every name, got none in "
            f"{_shown(missing)}. Widen it."
        )
    return patients


def _by_table(cases: Sequence[str], path: Path) -> dict[str, str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ParameterError(f"{path}: expected a CSV file with the columns case and patient, got {error}.") from None
    if not rows or not {"case", "patient"} <= set(rows[0]):
        raise ParameterError(
            f"{path}: expected rows with the columns case and patient, got {sorted(map(str, rows[0])) if rows else []}."
            " Correct the first line."
        )
    patients: dict[str, str] = {}
    for row in rows:
        case, patient = (row["case"] or "").strip(), (row["patient"] or "").strip()
        if patients.setdefault(case, patient) != patient:
            raise ParameterError(f"{path}: expected one patient for {case!r}, got {patients[case]!r} and {patient!r}.")
    missing = [case for case in cases if not patients.get(case)]
    if missing:
        raise ParameterError(f"{path}: expected a patient for every case, got none for {_shown(missing)}. Add rows.")
    return {case: patients[case] for case in cases}


def guess(
    cases: Sequence[str], *, collection: str, grid: Callable[[str], Grid | None] | None = None
) -> Patients:  # fmt: skip
    """Patients guessed from the names alone, if they allow one reading (see the head of this module).

    Raises:
        DataError: names allow none or several readings, too few patients, or grids that differ within one.
    """
    names = sorted(set(cases))
    chosen, rivals, doubt = _choose(readings(names), grid=grid)
    if chosen is None:
        raise DataError(
            f"{collection}: expected names that tell patients apart, got {doubt}. A patient in two splits would make "
            f"every result too good, so nothing is guessed here: {_remedy(rivals)}"
        )
    told: Told = "convention" if chosen.reason.startswith("by convention") else "guess"
    return _told(chosen.of, told, chosen.reason, collection=collection)


def readings(cases: Sequence[str]) -> list[_Reading]:
    """All ways to read the names that group them differently, the one that keeps most together first.

    A published convention that explains every name is the only reading. Starts without a number that all names share
    (`liver_`) are no reading.
    """
    names = sorted(set(cases))
    cores = _without_channel(names)
    for reason, convention in _CONVENTIONS:
        matches = {name: convention.fullmatch(core) for name, core in cores.items()}
        if all(matches.values()):
            of = {name: match["patient"] for name, match in matches.items() if match}
            pattern = _pattern([tuple(FIELD.findall(patient)) for patient in of.values()])
            return [_Reading(of, f"by convention: {reason}", pattern)]
    cores = {name: _core(core) for name, core in cores.items()}
    whole = {core: tuple(FIELD.findall(core)) for core in set(cores.values())}
    found: dict[frozenset[frozenset[str]], _Reading] = {}
    for length in range(1, min(map(len, whole.values()), default=0) + 1):
        starts = {core: "".join(fields[:length]) for core, fields in whole.items()}
        if _may_name([fields[:length] for fields in whole.values()], [fields[length:] for fields in whole.values()]):
            pattern = _pattern([fields[:length] for fields in whole.values()])
            reading = _Reading({name: starts[core] for name, core in cores.items()}, "by how names begin", pattern)
            found.setdefault(reading.groups, reading)
    merged = len(whole) < len(names)
    reason = "by the names less slice, visit, phase and side" if merged else "as one file a patient, by the names"
    # Words in the names beat numbers: what they call a slice or a visit is no patient, and this reading stands last.
    finest = _Reading(cores, reason, _pattern(list(whole.values())) if merged else "^.+")
    coarser = (reading for groups, reading in found.items() if groups != finest.groups)
    return [*sorted(coarser, key=lambda reading: reading.count), finest]


def _may_name(starts: Sequence[Sequence[str]], rests: Sequence[Sequence[str]]) -> bool:
    """Whether the names' first parts may be patients: cut between words, no hospital, no release, no split."""
    if len(set(map(tuple, starts))) == 1 and not any(field.isdigit() for field in starts[0]):
        return False
    cuts = zip(starts, rests, strict=True)
    return all(_ends_a_word(start[-1], rest) and not _is_a_group(start) for start, rest in cuts)


def _ends_a_word(last: str, rest: Sequence[str]) -> bool:
    """Whether a name may be cut between two of its fields: at a sign, or behind a number."""
    return last.isalnum() and (not rest or last.isdigit() or not rest[0].isalnum())


def _is_a_group(start: Sequence[str]) -> bool:
    """Whether a start such as `site1` or `FLARE22_Tr` names what patients belong to."""
    words = [field.lower() for field in start if field.isalpha()]
    if start[-1].isalpha():
        return words[-1] in _HOLDS_PATIENTS | _SPLITS
    behind = [field for field in start[:-1] if field.isalnum()]
    return bool(behind) and behind[-1].lower() in _HOLDS_PATIENTS


def _without_channel(names: Sequence[str]) -> dict[str, str]:
    """Name -> name less `_0000`, where all have it: nnU-Net's number of the first channel."""
    matches = [_CHANNEL.fullmatch(name) for name in names]
    if len(names) > 1 and all(matches):
        return {name: match["rest"] for name, match in zip(names, matches, strict=True) if match}
    return {name: name for name in names}


def _core(name: str) -> str:
    """A name less what stands beside the patient: slice, visit, date, phase and side, in any order."""
    match = _BESIDE.fullmatch(name) or _DATE.fullmatch(name)
    return _core(match["rest"].rstrip("_-. ")) if match else name


def _choose(
    found: Sequence[_Reading], *, grid: Callable[[str], Grid | None] | None
) -> tuple[_Reading | None, Sequence[_Reading], str]:
    """The reading to believe, or None with the readings to offer and what speaks against choosing."""
    *coarser, finest = found
    few = finest.count < FEWEST_GUESSED
    # That all files are one person is a rival only where there are too few to show a pattern.
    rivals = [reading for reading in coarser if reading.count > 1 or (few and len(finest.of) > 1)]
    chosen = finest
    if rivals:
        if len(rivals) > 1 or rivals[0].count < FEWEST_GUESSED or not _single_slices(finest.of, grid=grid):
            counts = " or ".join(f"{reading.count} ({_example(reading)})" for reading in [*rivals, finest])
            return None, [*rivals, finest], f"names in which {len(finest.of)} cases may be of {counts} patients"
        # Files of one slice come from scans of many: of the two readings, the one that keeps a scan together.
        chosen = rivals[0]
    if chosen.merges and chosen.count < FEWEST_GUESSED:
        return None, [chosen], f"{len(chosen.of)} cases of {chosen.count} patients, if {_example(chosen)} is one"
    apart = _differing(chosen, grid=grid) if chosen.merges else ""
    return (None, [chosen], apart) if apart else (chosen, [], "")


def _single_slices(cases: Iterable[str], *, grid: Callable[[str], Grid | None] | None) -> bool:
    """Whether every case is known to be a single slice."""
    shapes = [found[0] if (found := grid(case)) else () for case in cases] if grid else [()]
    return all(len(shape) >= 2 and (len(shape) == 2 or min(shape[:3]) == 1) for shape in shapes)


def _differing(reading: _Reading, *, grid: Callable[[str], Grid | None] | None) -> str:
    """The first two cases of one patient whose shape, voxel size or direction differ, as a sentence, or ""."""
    for patient, members in _members(reading.of).items() if grid else ():
        grids = [(case, found) for case in members if grid and (found := grid(case))]
        for case, (shape, affine) in grids[1:]:
            first, (expected, other) = grids[0]
            if shape != expected or not np.allclose(affine[:3, :3], other[:3, :3], rtol=1e-3, atol=1e-4):
                return f"{first} and {case} of other shape or affine, which by their names would be {patient}"
    return ""


def _pattern(starts: Sequence[Sequence[str]]) -> str:
    """A regular expression for first parts of names, or "" where they are built differently."""
    if len({len(start) for start in starts}) != 1:
        return ""
    return "^" + "".join(_one_field(set(fields)) for fields in zip(*starts, strict=True))


def _one_field(values: set[str]) -> str:
    if len(values) == 1:
        return re.escape(next(iter(values)))
    if all(value.isdigit() for value in values):
        return r"\d+"
    return "[A-Za-z]+" if all(value.isalpha() for value in values) else r"[^A-Za-z\d]+"


def _remedy(rivals: Sequence[_Reading]) -> str:
    """What to do, with a line to paste for every reading that a pattern can say."""
    lines = [
        f"  --set prepare.patient_pattern='{reading.pattern}'   ({reading.count} patients: {_example(reading)})"
        for reading in rivals
        if reading.pattern and _same_groups(reading)
    ]
    other = "the key 'patient' of every case, or --set prepare.patient_table=FILE.csv (case, patient)"
    if not lines:
        return f"say who is who by {other}, or --set prepare.patient_pattern='REGULAR EXPRESSION'."
    return "add the line that is true to the command:\n" + "\n".join(lines) + f"\nor say it by {other}."


def _same_groups(reading: _Reading) -> bool:
    try:
        return _Reading(by_pattern(reading.of, reading.pattern), "").groups == reading.groups
    except ParameterError:
        return False


def _members(of: Mapping[str, str]) -> dict[str, list[str]]:
    members: dict[str, list[str]] = defaultdict(list)
    for case, patient in sorted(of.items()):
        members[patient].append(case)
    return members


def _example(reading: _Reading) -> str:
    """A patient with the most files: `ABD_001 = ABD_001_100, ABD_001_110, ...`."""
    patient, cases = max(_members(reading.of).items(), key=lambda item: len(item[1]))
    return patient if cases == [patient] else f"{patient} = {_shown(cases)}"


def _shown(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _told(of: Mapping[str, str], told: Told, reason: str, *, collection: str) -> Patients:
    reading = _Reading(of, reason)
    example = f", such as {_example(reading)}" if reading.merges else ""
    counts = f"{reading.count} patients in {len(of)} cases"
    return Patients(dict(of), told, f"{collection}: {counts}, told apart {reason}{example}")
