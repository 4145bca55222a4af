"""Turn a folder that `dataset.json` describes (any layout of `layouts/`) into cases with structures and patients."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from semantiseg.data.case import Origin, SourceCase
from semantiseg.data.labels import DECATHLON, decathlon_structures, named_structures
from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.layouts.reader import read_folder
from semantiseg.errors import DataError

# Left and right mean nothing on a tight crop of one side (hippocampus, prostate, heart), and the headers of the
# released Task07 and Task08 are reported left-right mirrored, so words for sides would be wrong there.
_CROPS = frozenset({"Task02_Heart", "Task04_Hippocampus", "Task05_Prostate"})
_MIRRORED_HEADERS = frozenset({"Task07_Pancreas", "Task08_HepaticVessel"})


def read_cases(folder: Path, *, collection: str, origin: Origin, mapping: Mapping[str, str]) -> list[SourceCase]:
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
    structures, dropped = _structures(found, mapping=mapping)
    lateral = says_sides(collection, origin=origin)
    return [
        SourceCase(
            case_id=case.case_id,
            patient_id=case.patient or (case.case_id if collection in DECATHLON else ""),
            collection=collection,
            origin=origin,
            channels=case.channels,
            label=case.label,
            structures=structures,
            ignored=found.ignored | dropped,
            described_in=str(found.described_in),
            lateral=lateral,
        )
        for case in found.cases
    ]


def _structures(found: Collection, *, mapping: Mapping[str, str]) -> tuple[dict[int, str], frozenset[int]]:
    """Label number -> leaf, and the numbers that the user's mapping drops."""
    if found.name in DECATHLON:
        return decathlon_structures(found.name, found.labels, source=found.described_in), frozenset()
    return named_structures(found.labels, mapping=mapping, source=found.described_in)


def says_sides(collection: str, *, origin: Origin = "official") -> bool:
    """Whether left and right may be asked of a collection's volumes."""
    return collection not in _CROPS and (origin == "phantom" or collection not in _MIRRORED_HEADERS)
