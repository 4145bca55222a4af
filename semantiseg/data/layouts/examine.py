"""Look into the files of a collection before anything is copied: what no stage could use is a problem with its file."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from semantiseg.data import image_file, nifti
from semantiseg.data.case import Channel
from semantiseg.data.cluster import for_each
from semantiseg.data.header import Geometry
from semantiseg.data.layouts.collection_folder import CaseFiles, Collection
from semantiseg.data.problem import FileRefused, Problem


@dataclass(frozen=True)
class CaseFacts:
    """What the files of one case say.

    Attributes:
        case_id: of the case.
        geometry: of the label map, None where it cannot be read.
        shape: of the label map's volume, `[I, J, K]`; () where it cannot be read.
        voxels: label number -> voxels that carry it, of the numbers that occur, without background.
        notes: what the headers make doubtful, a clause each.
        problems: why the case cannot be used.
    """

    case_id: str
    geometry: Geometry | None = None
    shape: tuple[int, ...] = ()
    voxels: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


def examined(collection: Collection, *, workers: int | None = None) -> Collection:
    """The collection with the problems and warnings that its files add to those of its description."""
    return with_facts(collection, case_facts(collection, workers=workers))


def case_facts(collection: Collection, *, workers: int | None = None) -> list[CaseFacts]:
    """What every case's files say, in the order of the cases: each label map is read, of the images the headers."""
    # Where the description's labels cannot be read, every number passes: one fault is told once.
    known = frozenset(collection.labels) | collection.ignored or frozenset(range(256))
    calls = [((case,), {"known": known, "described_in": collection.described_in}) for case in collection.cases]
    return list(for_each(facts, calls, workers=workers or os.cpu_count() or 1))


def facts(case: CaseFiles, *, known: frozenset[int], described_in: Path) -> CaseFacts:
    """What the files of one case say; every problem of every file, nothing is raised."""
    problems: list[Problem] = []
    geometry, shape, voxels, notes = None, (), (), []
    try:
        raw, geometry = image_file.read(case.label)
        labels = nifti.label_values(raw, known=known, path=case.label, described_in=described_in.name)
        counts = np.bincount(labels.ravel(order="K"), minlength=256)
        shape, voxels = labels.shape, tuple((int(n), int(counts[n])) for n in np.flatnonzero(counts) if n)
        notes += [f"label map: {note}" for note in geometry.notes]
    except FileRefused as error:
        problems.append(error.problem)
    for path in dict.fromkeys(channel.path for channel in case.channels):
        mine = [channel for channel in case.channels if channel.path == path]
        try:
            notes += _image_notes(mine, shape, geometry, label=case.label)
        except FileRefused as error:
            problems.append(error.problem)
    return CaseFacts(case.case_id, geometry, shape, voxels, tuple(notes), tuple(problems))


def _image_notes(
    channels: list[Channel], label_shape: tuple[int, ...], label_geometry: Geometry | None, *, label: Path
) -> list[str]:
    """What an image's header makes doubtful, after a look whether its shape and place fit the label map."""
    path = channels[0].path
    stored, geometry = image_file.read_layout(path)
    shape = nifti.volume_shape(stored, channels[0])
    if label_geometry is not None and label_shape:
        nifti.require_same_grid(shape, geometry.affine, label_shape, label_geometry.affine, image=path, label=label)
    return [f"image: {note}" for note in geometry.notes]


def with_facts(collection: Collection, facts_of_cases: list[CaseFacts]) -> Collection:
    """The collection with what its cases' facts add to problems and warnings."""
    problems = [problem for case in facts_of_cases for problem in case.problems]
    present = {number for case in facts_of_cases for number, _ in case.voxels}
    empty = {number: name for number, name in collection.labels.items() if number not in present}
    if collection.cases and not problems and len(empty) == len(collection.labels) > 0:
        text = f"expected a voxel of at least one label, got none of {_listed(empty)} in any label map"
        remedy = "Nothing can be asked of these images: give the label maps that were drawn, or name their numbers."
        problems.append(Problem(collection.described_in, text, remedy))
    warnings = [f"no voxel carries {_listed(empty)}, so it is never asked"] if empty and not problems else []
    counts = Counter(note for case in facts_of_cases for note in case.notes)
    warnings += [f"{note} ({count} of {len(facts_of_cases)} cases)" for note, count in counts.items()]
    return replace(
        collection, problems=(*collection.problems, *problems), warnings=(*collection.warnings, *warnings)
    )


def _listed(labels: dict[int, str]) -> str:
    return ", ".join(f"{number} {name}" for number, name in labels.items())
