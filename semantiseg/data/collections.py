"""Read every collection that `raw/sources.json` lists, each by the reader of its layout."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from semantiseg.data import brats2024, decathlon, image_file, kits23
from semantiseg.data.case import Origin, SourceCase
from semantiseg.data.labels import LEAVES
from semantiseg.data.layouts import reader
from semantiseg.data.patients import Patients, tell_apart
from semantiseg.errors import DataError

DESCRIBED = reader.LAYOUTS
"""Layouts whose `dataset.json` says what the labels mean."""
LAYOUTS = (*DESCRIBED, "kits23", *brats2024.NAMING)


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
            cases += decathlon.read_cases(folder, collection=collection, origin=origin, mapping=mapping or {})
        elif source["layout"] == "kits23":
            cases += kits23.read_cases(folder, collection=collection, origin=origin)
        else:
            cases += brats2024.read_cases(folder, collection=collection, origin=origin, layout=source["layout"])
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
            grid=lambda case_id, mine=mine: image_file.grid_of(mine[case_id].channels[0].path),
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
