"""Look into the files of a collection before anything is copied: what no stage could use is a problem with its file.

One door to all layouts: a folder in, a `Collection` with its cases and everything that is wrong with it out.
"""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from semantiseg.conventions import Modality
from semantiseg.data import image_file, nifti
from semantiseg.data.case import Channel, FileRefused, Problem
from semantiseg.data.header import Geometry
from semantiseg.data.image_file import PICTURES
from semantiseg.data.layouts import dataset_json
from semantiseg.data.layouts.collection_folder import CaseFiles, Collection
from semantiseg.data.layouts.decathlon import exists, listed_cases
from semantiseg.data.layouts.nnunet import named_cases
from semantiseg.errors import DataError
from semantiseg.parallel import for_each


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


def case_facts(collection: Collection, *, workers: int | None = None) -> list[CaseFacts]:
    """What every case's files say, in the order of the cases: each label map is read, of the images the headers."""
    # Where the description's labels cannot be read, every number passes: one fault is told once.
    known = frozenset(collection.labels) | collection.ignored or frozenset(range(256))
    calls = [((case,), {"known": known, "described_in": collection.described_in}) for case in collection.cases]
    return list(for_each(facts, calls, workers=hands(collection.cases, workers)))


_SMALL = 64_000_000
"""Bytes of files up to which one process is done before others have started."""


def hands(cases: Iterable[CaseFiles], workers: int | None) -> int:
    """How many processes are worth it to read these cases."""
    size = sum(os.stat(path).st_size for case in cases for path in case.files if exists(path))
    return 1 if size < _SMALL else workers or os.cpu_count() or 1


def facts(case: CaseFiles, *, known: frozenset[int], described_in: Path) -> CaseFacts:
    """What the files of one case say; every problem of every file, nothing is raised."""
    problems: list[Problem] = []
    geometry, notes = None, []
    shape: tuple[int, ...] = ()
    voxels: tuple[tuple[int, int], ...] = ()
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


LAYOUTS = ("decathlon", "nnunet-v1", "nnunet-v2", "pictures")

_Part = TypeVar("_Part")


def collection_folders(text: str) -> list[Path]:
    """The collections that a user names: one folder or several (`a b`, quoted where a name has blanks), sorted.

    A folder without `dataset.json` stands for its subfolders that have one.

    Raises:
        DataError: nothing is named, a folder does not exist, or holds no `dataset.json` in it or one level below.
    """
    if not text.strip():
        raise DataError("fetch.folder: expected a folder of images, got an empty name; set it in params.yaml")
    folders = [folder for name in named_folders(text) for folder in _below(name)]
    twice = sorted({folder.name for folder in folders if [other.name for other in folders].count(folder.name) > 1})
    if twice:
        raise DataError(f"fetch.folder: expected collections of different names, got {twice} twice; rename one folder")
    return folders


def named_folders(text: str) -> list[str]:
    """The names in `text`: one, which may have blanks where there is such a folder, or several.

    Raises:
        DataError: a quote is not closed.
    """
    if os.path.isdir(text):
        return [text]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise DataError(f"fetch.folder: expected folders, got {text!r} ({error}); close the quote") from None


def _below(name: str) -> list[Path]:
    # Resolved, so that a link to the folder (workspaces make one) does not name the collection.
    path = Path(os.path.realpath(name))
    if not os.path.isdir(path):
        raise DataError(f"fetch.folder: expected a folder of images, got nothing at {path}; correct the path")
    if os.path.isfile(path / "dataset.json"):
        return [path]
    # A name's target again: a folder of links holds collections by their own names.
    folders = sorted({Path(os.path.realpath(file.parent)) for file in path.glob("*/dataset.json")})
    if not folders:
        raise DataError(
            f"fetch.folder: expected dataset.json in {path} or its subfolders, got none; "
            "name the folder that holds dataset.json, imagesTr and labelsTr, or write a dataset.json: "
            f'{{"modality": {{"0": "CT"}}, {dataset_json.LABELS_LINE}}}'
        )
    return folders


def read_folder(folder: Path, *, name: str = "") -> Collection:
    """Everything that the description and the file names say; no image is opened, and nothing is raised.

    Args:
        folder: holds `dataset.json`.
        name: of the collection; that of the folder by default.
    """
    name, source, problems = name or folder.name, folder / "dataset.json", []

    def attempt(part: Callable[[], _Part], otherwise: _Part) -> _Part:
        try:
            return part()
        except FileRefused as error:
            problems.append(error.problem)
            return otherwise

    content: dict[str, Any] = attempt(lambda: dataset_json.read(source), {})
    if problems:
        return Collection(folder, name, "decathlon", source, problems=tuple(problems))
    none: list[tuple[str, Modality]] = []
    channels = attempt(lambda: dataset_json.channels(content, collection=name, source=source), none)
    labels = attempt(lambda: dataset_json.labels(content, source=source), dataset_json.Labels({}))
    cases, found, layout = _cases(content, channels, folder=folder) if channels else ([], [], "decathlon")
    problems += found
    if channels and not cases and not problems:
        problems.append(Problem(source, "expected training cases, got none", "List image and label of every case."))
    return Collection(
        folder, name, layout, source, dataset_json.licence(content), tuple(channel for channel, _ in channels),
        labels.names, labels.ignored, tuple(sorted(cases, key=lambda case: case.case_id)), tuple(problems),
        labels.warnings,
    )  # fmt: skip


def _cases(content: dict[str, Any], channels: list, *, folder: Path) -> tuple[list[CaseFiles], list[Problem], str]:
    # nnU-Net v2 lists no cases; some tools write an empty list.
    if "training" in content and not (content["training"] in ([], None) and "channel_names" in content):
        return listed_cases(content, channels, folder=folder)
    cases, problems = named_cases(content, channels, folder=folder)
    layout = "nnunet-v2" if "channel_names" in content else "nnunet-v1"
    if cases and all(case.label.name.lower().endswith(PICTURES) for case in cases):
        layout = "pictures"
    return cases, problems, layout
