"""Names of image files: what is a case's own name in them, and what only says the format or the channel.

Folders whose `dataset.json` lists every training case (Medical Segmentation Decathlon, nnU-Net v1).
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from semantiseg.conventions import Modality
from semantiseg.data.case import Channel, FileRefused, Problem
from semantiseg.data.layouts.collection_folder import CaseFiles

_ENDINGS = re.compile(r"\.(nii\.gz|nii|mha|mhd|nrrd|nhdr|png|tiff?|jpe?g|bmp|img|hdr)$", re.IGNORECASE)


def stem(name: str) -> str:
    """A file's name without folder and format, in any case: `a/b.NII.GZ` -> `b`."""
    return _ENDINGS.sub("", Path(name).name)


def exists(path: Path) -> bool:
    """Whether there is such a file, or folder of slices; a name that no file can have is none (`Path` would raise)."""
    return os.path.isfile(path) or os.path.isdir(path)


def with_channel(path: Path, channel: int) -> Path:
    """nnU-Net's name of one channel: `case.nii.gz` -> `case_0000.nii.gz`."""
    own = stem(path.name)
    return path.with_name(f"{own}_{channel:04d}{path.name[len(own):]}")


def without_channel(own: str) -> str:
    """A stem without nnU-Net's channel number."""
    return re.sub(r"_\d{4}$", "", own)


def is_hidden(path: Path) -> bool:
    """AppleDouble files (`._*`) of the original tars, `.DS_Store` and the like are no images."""
    return path.name.startswith(".")


def listed_cases(
    content: Mapping[str, Any], channels: Sequence[tuple[str, Modality]], *, folder: Path
) -> tuple[list[CaseFiles], list[Problem], str]:
    """The cases of the list `training`, what is wrong with them, and the layout that the files are named by.

    Where a listed image is not there but its files by nnU-Net's naming are (`_0000` before the ending, one file a
    channel), those are taken.
    """
    source = folder / "dataset.json"
    listed = content.get("training")
    if not isinstance(listed, list):
        problem = Problem(
            source,
            f"expected a list 'training', got {type(listed).__name__}",
            'Write one entry a case: {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}.',
        )
        return [], [problem], "decathlon"
    cases, problems = [], []
    for entry in listed:
        try:
            case = _case(entry, channels, folder=folder)
        except FileRefused as error:
            problems.append(error.problem)
        else:
            cases += [case] if case else []
    problems += _repeated(cases, source=source)
    numbered = any(stem(case.channels[0].path.name) != case.case_id for case in cases)
    return cases, problems, "nnunet-v1" if numbered else "decathlon"


def _case(entry: object, channels: Sequence[tuple[str, Modality]], *, folder: Path) -> CaseFiles | None:
    """One entry's files; None for a hidden file."""
    source = folder / "dataset.json"
    if not isinstance(entry, dict) or not isinstance(entry.get("label"), str) or not entry.get("image"):
        raise FileRefused(
            source,
            f"expected training entries with 'image' and 'label', got {repr(entry)[:200]}",
            "Correct the file.",
        )
    images = entry["image"] if isinstance(entry["image"], list) else [entry["image"]]
    if not all(isinstance(image, str) for image in images) or len(images) not in (1, len(channels)):
        raise FileRefused(
            source,
            f"expected one image a case, or one a channel ({len(channels)}), got {repr(entry['image'])[:200]}",
            "Correct the entry.",
        )
    paths = [inside(folder, image, source=source) for image in images]
    label = inside(folder, entry["label"], source=source)
    if is_hidden(paths[0]):
        return None
    if not exists(paths[0]):
        numbered = [with_channel(paths[0], index) for index in range(len(channels))]
        paths = numbered if all(map(exists, numbered)) else paths
    _require_files([*paths, label], source=source)
    own = stem(paths[0].name)
    short = without_channel(own)
    name = short if short != own and (len(paths) > 1 or short == stem(label.name)) else own
    return CaseFiles(name, channels_of(paths, channels), label, str(entry.get("patient") or ""))


def inside(folder: Path, name: str, *, source: Path) -> Path:
    """The path of a listed file.

    Raises:
        FileRefused: it lies outside the folder.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise FileRefused(source, f"expected files below this folder, got {name!r}", "Move them into it.")
    return folder / Path(name)


def channels_of(paths: Sequence[Path], channels: Sequence[tuple[str, Modality]]) -> tuple[Channel, ...]:
    """Channels in files of their own, or all in one file along its fourth axis."""
    if len(paths) == len(channels):
        return tuple(Channel(name, kind, path) for path, (name, kind) in zip(paths, channels, strict=True))
    count = len(channels)
    return tuple(Channel(name, kind, paths[0], index, count) for index, (name, kind) in enumerate(channels))


def _require_files(paths: list[Path], *, source: Path) -> None:
    missing = [path for path in paths if not exists(path)]
    if missing:
        raise FileRefused(
            source,
            f"expected all listed files, {len(missing)} do not exist: {', '.join(map(str, missing))}",
            "Add them or take their entries out.",
        )


def _repeated(cases: list[CaseFiles], *, source: Path) -> list[Problem]:
    """Cases that are listed twice, or two of one name."""
    counts = Counter(case.case_id for case in cases)
    problems = []
    for case_id, count in counts.items():
        if count > 1:
            files = list(dict.fromkeys(os.fspath(case.channels[0].path) for case in cases if case.case_id == case_id))
            text = f"expected each case once in 'training', got {case_id!r} {count} times ({', '.join(files)})"
            remedy = "Take the repeated entry out." if len(files) == 1 else "Rename the files of one of them."
            problems.append(Problem(source, text, remedy))
    return problems
