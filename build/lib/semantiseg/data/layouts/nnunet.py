"""nnU-Net's raw folders: cases are told from file names (`labelsTr/<case>`, `imagesTr/<case>_0000`, `_0001`, ...).

Format: https://github.com/MIC-DKFZ/nnUNet/blob/master/documentation/dataset_format.md
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semantiseg.conventions import Modality
from semantiseg.data.case import FileRefused, Problem
from semantiseg.data.layouts.collection_folder import CaseFiles
from semantiseg.data.layouts.decathlon import (
    channels_of,
    exists,
    inside,
    is_hidden,
    stem,
    with_channel,
    without_channel,
)

FOLDERS = (("imagesTr", "labelsTr"), ("images", "masks"), ("images", "labels"))
"""Where images and label maps lie, nnU-Net's names first."""


def named_cases(
    content: Mapping[str, Any], channels: Sequence[tuple[str, Modality]], *, folder: Path
) -> tuple[list[CaseFiles], list[Problem]]:
    """The cases that the file names (or nnU-Net v2's entry `dataset`) tell, and what is wrong with them."""
    if isinstance(content.get("dataset"), dict):
        return _from_dataset(content["dataset"], channels, folder=folder)
    pair = next(((a, b) for a, b in FOLDERS if (folder / a).is_dir() and (folder / b).is_dir()), None)
    if pair is None:
        remedy = "Put images and label maps there, or list them under 'training' in dataset.json."
        return [], [Problem(folder, "expected the folders imagesTr and labelsTr, got none", remedy)]
    images, labels = (_by_stem(folder / part) for part in pair)
    cases, problems = [], []
    for own, label in sorted(labels.items()):
        try:
            cases.append(_named(own, label, images, channels, folder=folder / pair[0]))
        except FileRefused as error:
            problems.append(error.problem)
    if not labels:
        problems.append(Problem(folder / pair[1], "expected label maps, got none", "Add one for every image."))
    return cases, problems


def _by_stem(folder: Path) -> dict[str, Path]:
    return {stem(path.name): path for path in sorted(folder.iterdir()) if not is_hidden(path)}


def _named(
    own: str, label: Path, images: Mapping[str, Path], channels: Sequence[tuple[str, Modality]], *, folder: Path
) -> CaseFiles:
    numbered = [images.get(f"{own}_{index:04d}") for index in range(len(channels))]
    paths = [path for path in numbered if path is not None]
    if len(paths) == len(channels):
        return CaseFiles(own, channels_of(paths, channels), label)
    if own in images and not paths:
        return CaseFiles(own, channels_of([images[own]], channels), label)
    wanted = [with_channel(folder / label.name, index).name for index, path in enumerate(numbered) if path is None]
    raise FileRefused(
        label, f"expected an image for every label map, got no {', '.join(wanted)} in {folder}", "Add it, or leave out "
        "the label map."
    )  # fmt: skip


def _from_dataset(
    listed: Mapping[str, Any], channels: Sequence[tuple[str, Modality]], *, folder: Path
) -> tuple[list[CaseFiles], list[Problem]]:
    source = folder / "dataset.json"
    cases, problems = [], []
    for name, entry in sorted(listed.items()):
        try:
            cases.append(_from_entry(name, entry, channels, folder=folder, source=source))
        except FileRefused as error:
            problems.append(error.problem)
    return cases, problems


def _from_entry(
    name: str, entry: object, channels: Sequence[tuple[str, Modality]], *, folder: Path, source: Path
) -> CaseFiles:
    images, label = (entry.get("images"), entry.get("label")) if isinstance(entry, dict) else (None, None)
    if not isinstance(images, list) or not isinstance(label, str) or len(images) != len(channels):
        raise FileRefused(
            source,
            f"expected 'images' (one a channel, {len(channels)}) and 'label' for {name!r}, got {repr(entry)[:200]}",
            "Correct the entry.",
        )
    paths = [inside(folder, str(image), source=source) for image in (*images, label)]
    missing = [str(path) for path in paths if not exists(path)]
    if missing:
        raise FileRefused(source, f"expected all listed files, got no {', '.join(missing)}", "Add them.")
    return CaseFiles(without_channel(stem(name)), channels_of(paths[:-1], channels), paths[-1])
