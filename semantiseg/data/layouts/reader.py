"""One door to all layouts: a folder in, a `Collection` with its cases and everything that is wrong with it out."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from semantiseg.data.image_file import PICTURES
from semantiseg.data.layouts import dataset_json
from semantiseg.data.layouts.collection_folder import CaseFiles, Collection
from semantiseg.data.layouts.decathlon import listed_cases
from semantiseg.data.layouts.nnunet import named_cases
from semantiseg.data.problem import FileRefused, Problem
from semantiseg.errors import DataError

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
    names = [text] if os.path.isdir(text) else _split(text)
    folders = [folder for name in names for folder in _below(name)]
    twice = sorted({folder.name for folder in folders if [other.name for other in folders].count(folder.name) > 1})
    if twice:
        raise DataError(f"fetch.folder: expected collections of different names, got {twice} twice; rename one folder")
    return folders


def _split(text: str) -> list[str]:
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
    channels = attempt(lambda: dataset_json.channels(content, collection=name, source=source), [])
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
