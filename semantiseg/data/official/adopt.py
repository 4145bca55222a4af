"""Take collections that were downloaded by hand: recognise them wherever they lie, and list them for the readers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from semantiseg import files
from semantiseg.data.official.registry import CHALLENGES, DECATHLON_TASKS, LICENCES, family
from semantiseg.errors import DataError

DEPTH = 3
"""Folders searched below the one that is named: `kits23/dataset`, `GLI/training_data1_v2`."""


@dataclass(frozen=True)
class Found:
    """A collection on disk: its name, its layout, and the folders that hold its cases (challenges come in several)."""

    collection: str
    layout: str
    folders: tuple[Path, ...]


def recognised(folder: Path) -> list[Found]:
    """The official collections in `folder` and below, by what lies in them, whatever their folders are called.

    Raises:
        DataError: no such folder, or none is recognised; says what is looked for.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder with downloaded collections, got none. Correct the path.")
    homes: dict[str, list[Path]] = {}
    for place in _folders(folder.resolve(), DEPTH):
        if name := _collection(place):
            homes.setdefault(name, []).append(place)
    if not homes:
        raise DataError(
            f"{folder}: expected Task01_BrainTumour ... Task10_Colon (with dataset.json), case_00000 ... of KiTS23, or "
            "BraTS-<challenge>-<patient>-<time point> folders in it or below, got none. Unpack the archives first."
        )
    return [Found(name, _layout(name), tuple(sorted(places))) for name, places in sorted(homes.items())]


def adopt(folder: Path, by_hand: Path) -> list[dict[str, object]]:
    """List the collections below `by_hand` in `folder`/sources.json and link their cases there; nothing is copied.

    Raises:
        DataError: see `recognised`; or a folder of that name is there already.
    """
    found = recognised(by_hand)
    taken = [item.collection for item in found if (folder / item.collection).exists()]
    if taken:
        raise DataError(f"{folder}: expected no folder {taken[0]} yet, got one. Remove it or name another folder.")
    folder.mkdir(parents=True, exist_ok=True)
    for item in found:
        if item.layout == "decathlon":
            os.symlink(item.folders[0], folder / item.collection)
            continue
        (folder / item.collection).mkdir()
        for place in item.folders:
            for entry in sorted(place.iterdir()):
                # Later folders correct earlier ones.
                (folder / item.collection / entry.name).unlink(missing_ok=True)
                os.symlink(entry, folder / item.collection / entry.name)
    return list_sources(folder, {item.collection: item.layout for item in found})


def list_sources(folder: Path, layouts: dict[str, str]) -> list[dict[str, object]]:
    """Renew `sources.json` (see docs/architecture.md); collections listed earlier stay listed."""
    path = folder / "sources.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    records = {str(record["collection"]): record for record in before}
    for name, layout in layouts.items():
        licence = LICENCES[family(name)]
        records[name] = {"collection": name, "layout": layout, "origin": "official", "licence": licence}
    listed = [records[name] for name in sorted(records)]
    files.write(path, json.dumps(listed, indent=1) + "\n")
    return listed


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    yield folder
    if depth and not (folder / "dataset.json").exists():
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and not entry.name.startswith((".", "case_", "BraTS-")):
                yield from _folders(entry, depth - 1)


def _collection(place: Path) -> str | None:
    """Which collection's cases lie directly in a folder."""
    if (place / "dataset.json").is_file():
        return place.name if place.name in DECATHLON_TASKS else None
    names = [entry.name for entry in place.iterdir() if entry.is_dir()]
    if any(name.startswith("case_") for name in names):
        return "KiTS23"
    prefixes = {challenge.replace("BraTS2024", "BraTS") + "-": challenge for challenge in CHALLENGES}
    return next((prefixes[prefix] for prefix in prefixes for name in names if name.startswith(prefix)), None)


def _layout(collection: str) -> str:
    return "decathlon" if collection in DECATHLON_TASKS else collection.lower()
