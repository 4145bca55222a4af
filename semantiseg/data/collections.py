"""Read KiTS23: `case_00000/{imaging,segmentation}.nii.gz`, one case a patient.

Read BraTS 2024: a folder a time point, a file a channel; five sub-challenges with labels and names of their own.

Turn a folder that `dataset.json` describes (any layout of `layouts/`) into cases with structures and patients.

Read every collection that `raw/sources.json` lists, each by the reader of its layout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, get_args

from semantiseg.data import image_file
from semantiseg.data.case import Channel, Origin, SourceCase
from semantiseg.data.header import Affine
from semantiseg.data.labels import BRATS2024, DECATHLON, KITS23, LEAVES, decathlon_structures, named_structures
from semantiseg.data.layouts import reader
from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.layouts.reader import read_folder
from semantiseg.data.patients import Patients, tell_apart
from semantiseg.errors import DataError


def kits23_cases(folder: Path, *, collection: str, origin: Origin) -> list[SourceCase]:
    """All cases of a KiTS23 folder, sorted by case id.

    KiTS23 keeps label maps in its Git repository and images elsewhere, so a case without image is the usual mishap.

    Raises:
        DataError: there are no cases, or one lacks its image or segmentation.
    """
    cases = []
    for case in sorted(folder.glob("case_*")):
        if not case.is_dir():
            continue
        image, label = case / "imaging.nii.gz", case / "segmentation.nii.gz"
        for path in (image, label):
            if not path.is_file():
                raise DataError(
                    f"{path}: expected this file in every case folder, got none. Download it as KiTS23's README says."
                )
        cases.append(
            SourceCase(
                case_id=case.name,
                patient_id=case.name,
                collection=collection,
                origin=origin,
                channels=(Channel("CT", "CT", image),),
                label=label,
                structures=KITS23,
                described_in="KiTS23's label table",
            )
        )
    if not cases:
        raise DataError(
            f"{folder}: expected folders case_00000, case_00001, ..., got none. Fetch the collection again."
        )
    return cases


CHANNELS: dict[str, str] = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR"}
"""File suffix -> channel."""
CONTRADICTORY = frozenset({"BraTS-MET-00232-000"})
"""Cases whose published image and mask have different headers; left out, as nobody can say which is right."""


@dataclass(frozen=True)
class Naming:
    """How a sub-challenge names its files: `<case><separator><suffix>.nii.gz`."""

    suffixes: tuple[str, ...]
    label: str = "seg"
    separator: str = "-"


NAMING = {
    "brats2024-gli": Naming(tuple(CHANNELS)),
    "brats2024-ped": Naming(tuple(CHANNELS)),
    "brats2024-ssa": Naming(tuple(CHANNELS)),
    "brats2024-met": Naming(tuple(CHANNELS)),
    # One channel, native space, defaced; an underscore, and "gtv" for the label.
    "brats2024-men-rt": Naming(("t1c",), "gtv", "_"),
}
"""Layout, as in `sources.json` -> its naming."""


def brats_cases(folder: Path, *, collection: str, origin: Origin, layout: str = "brats2024-gli") -> list[SourceCase]:
    """All time points of a BraTS 2024 folder, sorted; `BraTS-GLI-02071-100` belongs to patient `BraTS-GLI-02071`.

    Raises:
        DataError: there are no cases, a folder's name has no time point, or one of its files is missing.
    """
    challenge, naming = layout.removeprefix("brats2024-").upper(), NAMING[layout]
    cases = []
    for case in sorted(folder.glob(f"BraTS-{challenge}-*")):
        if not case.is_dir() or case.name in CONTRADICTORY:
            continue
        matched = re.fullmatch(rf"(BraTS-{challenge}-\d+)-\d+", case.name)
        if not matched:
            raise DataError(
                f"{case}: expected a folder named BraTS-{challenge}-<patient>-<time point>, got {case.name!r}. Rename "
                "it."
            )
        files = {
            suffix: case / f"{case.name}{naming.separator}{suffix}.nii.gz"
            for suffix in (*naming.suffixes, naming.label)
        }
        for path in files.values():
            if not path.is_file():
                raise DataError(
                    f"{path}: expected this file in every case folder, got none. Fetch the collection again."
                )
        cases.append(
            SourceCase(
                case_id=case.name,
                patient_id=matched[1],
                collection=collection,
                origin=origin,
                channels=tuple(Channel(CHANNELS[suffix], "MR", files[suffix]) for suffix in naming.suffixes),
                label=files[naming.label],
                structures=BRATS2024[challenge],
                described_in=f"BraTS 2024 {challenge}'s label table",
            )
        )
    if not cases:
        raise DataError(
            f"{folder}: expected folders BraTS-{challenge}-<patient>-<time point>, got none. Fetch the collection "
            "again."
        )
    return cases


# Left and right mean nothing on a tight crop of one side (hippocampus, prostate, heart), and the headers of the
# released Task07 and Task08 are reported left-right mirrored, so words for sides would be wrong there.
_CROPS = frozenset({"Task02_Heart", "Task04_Hippocampus", "Task05_Prostate"})
_MIRRORED_HEADERS = frozenset({"Task07_Pancreas", "Task08_HepaticVessel"})


def decathlon_cases(folder: Path, *, collection: str, origin: Origin, mapping: Mapping[str, str]) -> list[SourceCase]:
    """All training cases of one folder, sorted by case id.

    A case is named for its image file. Its patient is the optional key `patient` of its training entry; without it, in
    the original tasks, the case; elsewhere "", since nothing states it (`patients.tell_apart` then does).

    Raises:
        DataError: the description or a file it names cannot be used; all problems at once.
        OntologyError: a label is not known, or contradicts the table of an original task.
    """
    found = read_folder(folder, name=collection)
    if found.problems:
        raise DataError("\n".join(map(str, found.problems)))
    return source_cases(found, origin=origin, labels=structures_of(found, mapping=mapping))


def source_cases(
    found: Collection, *, origin: Origin, labels: tuple[Mapping[int, str], frozenset[int]]
) -> list[SourceCase]:
    """The cases of a described folder; `labels` are those of `structures_of`."""
    structures, dropped = labels
    return [
        SourceCase(
            case_id=case.case_id,
            patient_id=case.patient or (case.case_id if found.name in DECATHLON else ""),
            collection=found.name,
            origin=origin,
            channels=case.channels,
            label=case.label,
            structures=structures,
            ignored=found.ignored | dropped,
            described_in=str(found.described_in),
            lateral=says_sides(found.name, origin=origin),
        )
        for case in found.cases
    ]


def structures_of(found: Collection, *, mapping: Mapping[str, str]) -> tuple[dict[int, str], frozenset[int]]:
    """Label number -> leaf, and the numbers that the user's mapping drops.

    Raises:
        OntologyError: a label is not known, or contradicts the table of an original task.
    """
    if found.name in DECATHLON:
        return decathlon_structures(found.name, found.labels, source=found.described_in), frozenset()
    return named_structures(found.labels, mapping=mapping, source=found.described_in)


def says_sides(collection: str, *, origin: Origin = "official") -> bool:
    """Whether left and right may be asked of a collection's volumes."""
    return collection not in _CROPS and (origin == "phantom" or collection not in _MIRRORED_HEADERS)


DESCRIBED = reader.LAYOUTS
"""Layouts whose `dataset.json` says what the labels mean."""
LAYOUTS = (*DESCRIBED, "kits23", *NAMING)


def read_cases(raw: Path, *, mapping: Mapping[str, str] | None = None) -> list[SourceCase]:
    """All cases below `raw`, sorted by collection and case id. Only descriptions are read, no image.

    Args:
        raw: folder with `sources.json` and one folder a collection (see docs/architecture.md).
        mapping: label name -> leaf key or `ignore`, for labels of users' collections that the ontology does not know.

    Raises:
        DataError: a description or a file is missing or malformed, or two collections share a case id.
        OntologyError: a label is not known.
    """
    cases: list[SourceCase] = []
    for source in sorted(_read_sources(raw / "sources.json"), key=lambda source: source["collection"]):
        folder, collection, origin = raw / source["collection"], source["collection"], source["origin"]
        if not folder.is_dir():
            raise DataError(
                f"{folder}: expected the folder of a collection that sources.json lists, got none. Fetch it again."
            )
        if source["layout"] in DESCRIBED:
            cases += decathlon_cases(folder, collection=collection, origin=origin, mapping=mapping or {})
        elif source["layout"] == "kits23":
            cases += kits23_cases(folder, collection=collection, origin=origin)
        else:
            cases += brats_cases(folder, collection=collection, origin=origin, layout=source["layout"])
    _require_unique(cases)
    unknown = {leaf for case in cases for leaf in case.structures.values()} - LEAVES
    if unknown:
        raise DataError(f"prepare.mapping: expected leaf keys, got {sorted(unknown)}. Known are {sorted(LEAVES)}.")
    return cases


def _read_sources(path: Path) -> list[dict[str, Any]]:
    try:
        sources = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: expected the list of collections, got {error.strerror}. Run the stage fetch first."
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got {error}. Run the stage fetch again.") from None
    if not isinstance(sources, list) or not sources:
        raise DataError(f"{path}: expected a list of collections, got {sources!r}. Run the stage fetch again.")
    for source in sources:
        if (
            not isinstance(source, dict)
            or not isinstance(source.get("collection"), str)
            or source.get("layout") not in LAYOUTS
            or source.get("origin") not in get_args(Origin)
        ):
            raise DataError(
                f"{path}: expected entries with collection, layout ({', '.join(LAYOUTS)}) and origin "
                f"({', '.join(get_args(Origin))}), got {source!r}. Correct the entry or run the stage fetch again."
            )
    return sources


def _require_unique(cases: list[SourceCase]) -> None:
    """Files are named for cases: no two collections may share an id."""
    labels: dict[str, Path] = {}
    for case in cases:
        if case.case_id in labels:
            raise DataError(
                f"{case.label}: expected case ids that are unique over all collections, got {case.case_id!r} also for "
                f"{labels[case.case_id]}. Rename the files of one of them."
            )
        labels[case.case_id] = case.label


def with_patients(
    cases: Sequence[SourceCase], *, pattern: str = "", table: str = ""
) -> tuple[list[SourceCase], list[Patients]]:
    """The cases with their patients, and how they were told apart where a collection does not state them.

    Args:
        cases: of `read_cases`.
        pattern, table: see `patients.tell_apart`; of users' collections only.

    Raises:
        DataError: a collection's names allow no guess, or two collections share a patient.
        ParameterError: pattern or table do not fit.
    """
    told: dict[str, Patients] = {}
    for name in sorted({case.collection for case in cases if not case.patient_id}):
        mine = {case.case_id: case for case in cases if case.collection == name}
        told[name] = tell_apart(
            list(mine), collection=name, stated={case_id: case.patient_id for case_id, case in mine.items()},
            pattern=pattern, table=table,
            grid=partial(_grid, mine),
        )  # fmt: skip
    named = [
        replace(case, patient_id=told[case.collection].of[case.case_id]) if case.collection in told else case
        for case in cases
    ]
    _require_homes(named)
    return named, list(told.values())


def _require_homes(cases: Sequence[SourceCase]) -> None:
    """A patient lies in one split, and collections are split one by one: none may be in two."""
    homes: dict[str, str] = {}
    for case in cases:
        home = homes.setdefault(case.patient_id, case.collection)
        if home != case.collection:
            raise DataError(
                f"{case.label}: expected a patient in one collection only, got {case.patient_id!r} in {home} and "
                f"{case.collection}. "
                "Put a patient's cases into one collection, or give distinct `patient` entries in dataset.json."
            )


def _grid(cases: Mapping[str, SourceCase], case_id: str) -> tuple[tuple[int, ...], Affine] | None:
    return image_file.grid_of(cases[case_id].channels[0].path)
