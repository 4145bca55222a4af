"""What a `dataset.json` means, in the spellings that Decathlon, nnU-Net v1, nnU-Net v2 and people write it in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantiseg.conventions import Modality
from semantiseg.data.case import FileRefused

# Names met in the entries `modality` and `channel_names` -> (channel, modality).
_CHANNELS: dict[str, tuple[str, Modality]] = {
    "ct": ("CT", "CT"),
    "t1": ("T1", "MR"), "t1w": ("T1", "MR"), "t1n": ("T1", "MR"), "mri t1": ("T1", "MR"), "mr t1": ("T1", "MR"),
    "t1gd": ("T1c", "MR"), "t1c": ("T1c", "MR"), "t1ce": ("T1c", "MR"), "t1 gd": ("T1c", "MR"), "t1 ce": ("T1c", "MR"),
    "t2": ("T2", "MR"), "t2w": ("T2", "MR"), "mri t2": ("T2", "MR"), "mr t2": ("T2", "MR"),
    "flair": ("FLAIR", "MR"), "t2f": ("FLAIR", "MR"), "t2 flair": ("FLAIR", "MR"),
    "adc": ("ADC", "MR"),
}  # fmt: skip

# Two tasks say only "MRI". Task04 is T1 (MPRAGE). Task02 is 3D balanced SSFP, whose contrast (T2/T1, bright blood and
# fluid) is nearest to T2 among the channels of the contract.
_MRI_OF_TASK = {"Task02_Heart": "T2", "Task04_Hippocampus": "T1"}

_BACKGROUND = frozenset({"background", "bg", "back ground", "none", "unlabeled", "unlabelled", "clear label", "other"})
_IGNORE = "ignore"

LABELS_LINE = '"labels": {"0": "background", "1": "<name of 1>", "2": "<name of 2>"}'


@dataclass(frozen=True)
class Labels:
    """What label numbers mean.

    Attributes:
        names: number -> name, without background and ignore label.
        ignored: numbers of voxels that nobody annotated (nnU-Net's `ignore`).
        warnings: what was understood but is not used, a sentence each.
    """

    names: Mapping[int, str]
    ignored: frozenset[int] = frozenset()
    warnings: tuple[str, ...] = ()


def read(path: Path) -> dict[str, Any]:
    """The content of a `dataset.json`.

    Raises:
        FileRefused: it is missing, no JSON, or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise FileRefused(
            path,
            f"expected the description of the collection, got {error.strerror or type(error).__name__}",
            "Name the folder that holds dataset.json, imagesTr and labelsTr.",
        ) from None
    except (ValueError, RecursionError) as error:
        raise FileRefused(path, f"expected JSON, got {error}", "Correct the file or fetch it again.") from None
    if not isinstance(content, dict):
        raise FileRefused(
            path,
            f"expected a JSON object with 'labels', 'modality' and 'training', got {type(content).__name__}",
            "Correct the file.",
        )
    return content


def licence(content: Mapping[str, Any]) -> str:
    """The licence that it states, spelled either way."""
    return str(content.get("licence") or content.get("license") or "not stated")


def channels(content: Mapping[str, Any], *, collection: str, source: Path) -> list[tuple[str, Modality]]:
    """Channel and modality of every image of a case, in order.

    `modality` (Decathlon, nnU-Net v1) and `channel_names` (nnU-Net v2) may be objects from "0" on, lists, or one name.

    Raises:
        FileRefused: neither is there, or a name says no contrast that prompts can describe.
    """
    key = next((key for key in ("modality", "channel_names") if content.get(key)), None)
    line = 'Write the line "modality": {"0": "CT"} (or T1, T1c, T2, FLAIR, ADC; one entry a channel).'
    if key is None:
        raise FileRefused(source, f"expected 'modality' or 'channel_names', got the keys {sorted(content)}", line)
    names = _in_order(content[key])
    if not names:
        raise FileRefused(source, f"expected {key} as an object from \"0\" on, got {content[key]!r}", line)
    found = [_channel(name, collection=collection) for name in names]
    for name, channel in zip(names, found, strict=True):
        if channel is None:
            raise FileRefused(
                source,
                f"expected each entry of {key} to be one of CT, T1, T1c, T2, FLAIR, ADC, got {name!r}",
                "Name the contrast in dataset.json: prompts describe signal, which depends on it. " + line,
            )
    known = [channel for channel in found if channel is not None]
    if len({name for name, _ in known}) < len(known):
        raise FileRefused(
            source, f"expected different modalities, got {content[key]!r}", "Keep one channel of each."
        )
    return known


def _in_order(listed: object) -> list[str]:
    if isinstance(listed, str):
        listed = [listed]
    if isinstance(listed, dict):
        if sorted(listed) != sorted(map(str, range(len(listed)))):
            return []
        listed = [listed[str(index)] for index in range(len(listed))]
    return list(listed) if isinstance(listed, list) and all(isinstance(name, str) for name in listed) else []


def _channel(name: str, *, collection: str) -> tuple[str, Modality] | None:
    plain = " ".join(re.sub(r"[_\-]", " ", name).lower().split())
    if plain in ("mri", "mr") and collection in _MRI_OF_TASK:
        return _MRI_OF_TASK[collection], "MR"
    return _CHANNELS.get(plain)


def labels(content: Mapping[str, Any], *, source: Path) -> Labels:
    """What the label numbers mean: `{"1": name}`, `{name: 1}` (nnU-Net v2), or a list of names from background on.

    A region (`"whole": [1, 2]`) is understood where each of its numbers has a name of its own.

    Raises:
        FileRefused: no labels, 0 is not background, numbers or names that occur twice, or numbers without a name.
    """
    declared = content.get("labels")
    pairs = _pairs(declared)
    if not pairs:
        raise FileRefused(
            source,
            f'expected labels as {{"0": "background", "1": name, ...}}, got {_short(declared)}',
            f"Write the line {LABELS_LINE}.",
        )
    singles = [(numbers[0], name) for numbers, name in pairs if len(numbers) == 1]
    regions = {name: numbers for numbers, name in pairs if len(numbers) > 1}
    _require_distinct(singles, source=source)
    names = dict(singles)
    _require_background(names, source=source)
    ignored = frozenset(number for number, name in names.items() if _plain(name) == _IGNORE)
    named = {number: name for number, name in sorted(names.items()) if number and number not in ignored}
    unnamed = sorted({number for numbers in regions.values() for number in numbers if number} - set(named) - ignored)
    if unnamed:
        line = ", ".join(['"0": "background"', *(f'"{n}": "{named.get(n, f"<name of {n}>")}"' for n in
                                                sorted({*named, *unnamed}))])  # fmt: skip
        raise FileRefused(
            source,
            f"expected a name for every number of a region, got regions {regions} and no name for {unnamed}",
            f'Write the line "labels": {{{line}}}: a number means what is in no inner region.',
        )
    if not named or not all(0 < number <= 255 for number in (*named, *ignored)):
        raise FileRefused(
            source, f"expected label numbers from 1 to 255, got {sorted(named)}", "Renumber the label maps."
        )
    warnings = [f"the regions {', '.join(map(repr, regions))} are unions of named labels"] if regions else []
    if ignored:
        warnings.append(f"voxels of the ignore label {sorted(ignored)} become background")
    return Labels(named, ignored, tuple(warnings))


def _pairs(declared: object) -> list[tuple[tuple[int, ...], str]]:
    """(numbers, name) of every entry, [] where something is neither."""
    if isinstance(declared, list):
        declared = {str(number): name for number, name in enumerate(declared)}
    if not isinstance(declared, dict):
        return []
    found = [_pair(key, value) for key, value in declared.items()]
    return [pair for pair in found if pair] if all(found) else []


def _pair(key: str, value: object) -> tuple[tuple[int, ...], str] | None:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", key):
        return ((int(key),), value) if value.strip() else None
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,9}", value) and key.strip():
        return (int(value),), key
    numbers = value if isinstance(value, list) else [value]
    if not numbers or not key.strip() or not all(type(number) is int for number in numbers):
        return None
    return tuple(sorted(set(numbers))), key


def _require_distinct(singles: list[tuple[int, str]], *, source: Path) -> None:
    for index, kind in ((0, "number"), (1, "name")):
        values = [single[index] if index == 0 else _plain(str(single[index])) for single in singles]
        twice = sorted({str(value) for value in values if values.count(value) > 1})
        if twice:
            raise FileRefused(
                source, f"expected each label {kind} once, got {twice} more than once", "Give each label one name."
            )


def _require_background(names: Mapping[int, str], *, source: Path) -> None:
    """0 is no structure: where it has another name, every name stands one number too low."""
    if 0 in names and _plain(names[0]) not in _BACKGROUND:
        shifted = ", ".join(f'"{number + 1}": "{name}"' for number, name in sorted(names.items()))
        raise FileRefused(
            source,
            f'expected "0" to be background, got {names[0]!r}: all names seem one number too low',
            f'If so, write the line "labels": {{"0": "background", {shifted}}}; else call 0 "background".',
        )


def _plain(name: str) -> str:
    return " ".join(re.sub(r"[_\-]", " ", name).lower().split())


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + " ..."
