"""Read a collection in Medical Segmentation Decathlon layout: `dataset.json`, `imagesTr/`, `labelsTr/`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semantiseg.conventions import Modality
from semantiseg.data.case import Channel, Origin, SourceCase
from semantiseg.data.labels import DECATHLON, decathlon_structures, named_structures
from semantiseg.errors import DataError

# Names met in the `modality` entry of dataset.json -> (channel, modality).
_CHANNELS: dict[str, tuple[str, Modality]] = {
    "ct": ("CT", "CT"),
    "t1": ("T1", "MR"), "t1w": ("T1", "MR"), "t1n": ("T1", "MR"), "mri t1": ("T1", "MR"),
    "t1gd": ("T1c", "MR"), "t1c": ("T1c", "MR"), "t1ce": ("T1c", "MR"),
    "t2": ("T2", "MR"), "t2w": ("T2", "MR"), "mri t2": ("T2", "MR"),
    "flair": ("FLAIR", "MR"), "t2f": ("FLAIR", "MR"),
    "adc": ("ADC", "MR"),
}  # fmt: skip

# Two tasks say only "MRI". Task04 is T1 (MPRAGE). Task02 is 3D balanced SSFP, whose contrast (T2/T1, bright blood and
# fluid) is nearest to T2 among the channels of the contract.
_MRI_OF_TASK = {"Task02_Heart": "T2", "Task04_Hippocampus": "T1"}

# Left and right mean nothing on a tight crop of one side (hippocampus, prostate, heart), and the headers of the
# released Task07 and Task08 are reported left-right mirrored, so words for sides would be wrong there.
_CROPS = frozenset({"Task02_Heart", "Task04_Hippocampus", "Task05_Prostate"})
_MIRRORED_HEADERS = frozenset({"Task07_Pancreas", "Task08_HepaticVessel"})


def read_cases(folder: Path, *, collection: str, origin: Origin, mapping: Mapping[str, str]) -> list[SourceCase]:
    """All training cases of one Decathlon folder, sorted by case id.

    A case is named for its image file. Its patient is the optional key `patient` of its training entry; without it, in
    the original tasks, the case; elsewhere "", since nothing states it (`patients.tell_apart` then does).

    Raises:
        DataError: `dataset.json` is missing or malformed, names no training cases, or names files that do not exist.
        OntologyError: a label is not known, or contradicts the table of an original task.
    """
    description = folder / "dataset.json"
    content = _read_description(description)
    declared = _labels(content, source=description)
    ignored: frozenset[int] = frozenset()
    if collection in DECATHLON:
        structures = decathlon_structures(collection, declared, source=description)
    else:
        structures, ignored = named_structures(declared, mapping=mapping, source=description)
    channels = _channels(content, collection=collection, source=description)
    entries = _entries(content, folder=folder, source=description)
    stems = [_stem(image) for image, _, _ in entries]
    lateral = says_sides(collection, origin=origin)
    cases = [
        SourceCase(
            case_id=stem,
            patient_id=patient or (stem if collection in DECATHLON else ""),
            collection=collection,
            origin=origin,
            channels=tuple(
                Channel(name, modality, image, index if len(channels) > 1 else None, len(channels))
                for index, (name, modality) in enumerate(channels)
            ),
            label=label,
            structures=structures,
            ignored=ignored,
            described_in=str(description),
            lateral=lateral,
        )
        for stem, (image, label, patient) in zip(stems, entries, strict=True)
    ]
    return sorted(cases, key=lambda case: case.case_id)


def says_sides(collection: str, *, origin: Origin = "official") -> bool:
    """Whether left and right may be asked of a collection's volumes."""
    return collection not in _CROPS and (origin == "phantom" or collection not in _MIRRORED_HEADERS)


def _read_description(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{path}: expected the description of a Decathlon folder, got {error.strerror}. "
            "Name the folder that holds dataset.json, imagesTr and labelsTr."
        ) from None
    except ValueError as error:
        raise DataError(f"{path}: expected JSON, got {error}. Correct the file or fetch it again.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: expected a JSON object, got {type(content).__name__}. Correct the file.")
    for key in ("modality", "labels", "training"):
        if key not in content:
            raise DataError(
                f"{path}: expected the keys 'modality', 'labels' and 'training' of the Decathlon layout, got "
                f"{sorted(content)}. "
                f"Add {key!r} (nnU-Net's own layout has no list of training cases)."
            )
    return content


def _labels(content: Mapping[str, Any], *, source: Path) -> dict[int, str]:
    try:
        labels = {int(number): str(name) for number, name in content["labels"].items()}
    except (ValueError, AttributeError):
        raise DataError(
            f'{source}: expected labels as {{"0": "background", "1": name, ...}}, got {content["labels"]!r}. '
            "Correct the file."
        ) from None
    labels.pop(0, None)
    if not labels or not all(0 < number <= 255 for number in labels):
        raise DataError(
            f"{source}: expected label numbers from 1 to 255, got {sorted(labels)}. Renumber the label maps."
        )
    return labels


def _channels(content: Mapping[str, Any], *, collection: str, source: Path) -> list[tuple[str, Modality]]:
    listed = content["modality"]
    if not isinstance(listed, dict) or sorted(listed) != sorted(map(str, range(len(listed)))) or not listed:
        raise DataError(f'{source}: expected modality as {{"0": name, ...}}, got {listed!r}. Correct the file.')
    channels: list[tuple[str, Modality]] = []
    for index in range(len(listed)):
        name = " ".join(re.sub(r"[_\-]", " ", str(listed[str(index)])).lower().split())
        if name in ("mri", "mr") and collection in _MRI_OF_TASK:
            channels.append((_MRI_OF_TASK[collection], "MR"))
        elif name in _CHANNELS:
            channels.append(_CHANNELS[name])
        else:
            raise DataError(
                f"{source}: expected each modality to be one of CT, T1, T1c, T2, FLAIR, ADC, got "
                f"{listed[str(index)]!r}. "
                "Name the contrast in dataset.json: prompts describe signal, which depends on it."
            )
    if len({name for name, _ in channels}) < len(channels):
        raise DataError(f"{source}: expected different modalities, got {listed!r}. Keep one channel of each.")
    return channels


def _entries(content: Mapping[str, Any], *, folder: Path, source: Path) -> list[tuple[Path, Path, str]]:
    """Image, label and patient (or "") of every case; AppleDouble files (`._*`) of the original tars are no cases."""
    entries = []
    for entry in content["training"]:
        if not isinstance(entry, dict) or not {"image", "label"} <= set(entry):
            raise DataError(
                f"{source}: expected training entries with 'image' and 'label', got {entry!r}. Correct the file."
            )
        image, label = folder / entry["image"], folder / entry["label"]
        if not image.name.startswith("._"):
            entries.append((image, label, str(entry.get("patient", ""))))
    if not entries:
        raise DataError(
            f"{source}: expected training cases, got an empty list 'training'. List image and label of every case."
        )
    missing = [str(path) for image, label, _ in entries for path in (image, label) if not path.is_file()]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{source}: expected all listed files, {len(missing)} do not exist: {shown}. Add them or take their "
            "entries out."
        )
    return entries


def _stem(path: Path) -> str:
    return re.sub(r"\.nii(\.gz)?$", "", path.name)
