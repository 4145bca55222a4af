"""Take collections that were downloaded by hand: recognise them wherever they lie, and list them for the readers.

Fetch official collections into a folder, in their upstream layouts. Run by hand, never by the pipeline.

What `semantiseg fetch` does, line by line of its answer.
"""

from __future__ import annotations

import gzip
import json
import os
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
from tqdm import tqdm

from semantiseg import files, limits
from semantiseg.data.official import sources
from semantiseg.data.official.registry import (
    CHALLENGES,
    COLLECTIONS,
    DECATHLON_TASKS,
    KITS23_CASES,
    LICENCES,
    Addresses,
    Item,
    Ledger,
    Wanted,
    family,
)
from semantiseg.data.official.transfer import Line, Patience, download, require_space
from semantiseg.errors import DataError, ParameterError
from semantiseg.files import claim

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


def fetch_collections(
    folder: Path,
    collections: Sequence[str],
    *,
    limit: int | None = None,
    jobs: int = 4,
    addresses: Addresses = Addresses(),  # noqa: B008 (frozen)
    line: Line | None = None,
    environment: Mapping[str, str] = os.environ,
) -> list[dict[str, object]]:
    """Fetch `collections` into `folder`; a second call fetches what is missing. Returns the records of `sources.json`.

    Everything that must be asked for is known, and the room for it checked, before the first file is fetched.

    Args:
        folder: gets one folder a collection, `sources.json`, and the ledger `fetched.json`.
        collections: names in `registry.COLLECTIONS`.
        limit: cases of each Decathlon task and of KiTS23, the first by name; None for all. BraTS comes whole.
        jobs: transfers at a time.
        addresses, line, environment: stand-ins for tests.

    Raises:
        ParameterError: unknown collection, or a number out of range.
        DataError: says what failed and what to do; whatever arrived is kept for the next call.
    """
    unknown = sorted(set(collections) - set(COLLECTIONS))
    if unknown or not collections:
        raise ParameterError(f"expected collections among {', '.join(COLLECTIONS)}, got {unknown or 'none'}.")
    if jobs < 1 or (limit is not None and limit < 1):
        raise ParameterError(f"expected at least one job and one case, got jobs {jobs}, limit {limit}.")
    ledger = Ledger(folder)
    with httpx.Client(follow_redirects=True) as client:
        line = line or Line(client, Patience())
        wanted = [
            _wanted(name, folder, ledger=ledger, addresses=addresses, line=line, limit=limit, environment=environment)
            for name in dict.fromkeys(collections)
        ]
        items = [item for collection in wanted for item in collection.items]
        total = sum(_bytes(item) for item in items)
        require_space(folder, total + sum(collection.room for collection in wanted), purpose="what is to be fetched")
        with tqdm(total=total or None, desc="fetch", unit="B", unit_scale=True, disable=None) as bar:
            _transfer(items, ledger=ledger, line=replace(line, progress=_counted(bar)), jobs=jobs)
    for collection in wanted:
        for path in collection.finish():
            ledger.record(path, source=collection.collection, anew=True)
    return list_sources(folder, {collection.collection: collection.layout for collection in wanted})


def _wanted(
    name: str, folder: Path, *, ledger: Ledger, addresses: Addresses, line: Line, limit: int | None,
    environment: Mapping[str, str],
) -> Wanted:  # fmt: skip
    if name in DECATHLON_TASKS:
        return sources.wanted_task(name, folder, ledger=ledger, addresses=addresses, line=line, limit=limit)
    if name == "KiTS23":
        return sources.wanted_cases(folder, ledger=ledger, addresses=addresses, line=line, limit=limit)
    return sources.wanted_challenge(
        name, folder, ledger=ledger, addresses=addresses, line=line, environment=environment
    )


def _transfer(items: Sequence[Item], *, ledger: Ledger, line: Line, jobs: int) -> None:
    """Fetch all items, `jobs` at a time; the first failure stops what has not begun and is raised."""
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        running = [pool.submit(_one, item, ledger=ledger, line=line) for item in items]
        done, waiting = wait(running, return_when=FIRST_EXCEPTION)
        for future in waiting:
            future.cancel()
    for future in running:
        if not future.cancelled():
            future.result()


def _one(item: Item, *, ledger: Ledger, line: Line) -> None:
    remote = item.remote
    if not remote.checksum and (recorded := ledger.checksum(item.target)):
        remote = replace(remote, checksum=recorded)
    download(remote, item.target, line=line)
    if item.recorded:
        if item.target.name.endswith(".gz"):
            _require_whole_gzip(item.target)
        ledger.record(item.target, source=remote.name)


def _require_whole_gzip(path: Path) -> None:
    """gzip carries a checksum of its own: where the publisher gives none, it tells damage on the way."""
    try:
        with gzip.open(path) as stream:
            size = 0
            while block := stream.read(1 << 22):
                size += len(block)
                # Eight bytes a voxel is the most that images have.
                limits.VOXELS.require(f"{path} unpacked", (-(-size // 8),))
    except (OSError, EOFError, zlib.error) as error:
        path.unlink()
        raise DataError(f"{path}: expected a whole gzip file, got {error}. It was removed; fetch it again.") from None


def _bytes(item: Item) -> int:
    remote = item.remote
    return remote.stop - remote.start if remote.stop is not None else remote.size or 0


def _counted(bar: tqdm) -> Callable[[int], None]:
    lock = threading.Lock()

    def count(arrived: int) -> None:
        with lock:
            bar.update(arrived)

    return count


def carry_out(
    folder: Path, collections: Sequence[str], *, limit: int | None, jobs: int, by_hand: Path | None, verify: bool
) -> Iterator[str]:
    """List, fetch, adopt or verify, as the options say; yields lines to print.

    Raises:
        DataError, ParameterError: as the functions called; with `verify` also when a file is not as recorded.
    """
    if verify:
        wrong = Ledger(folder).verify()
        if wrong:
            raise DataError(
                f"{folder}: expected every file as recorded when it was fetched, got {len(wrong)} other or missing: "
                f"{', '.join(wrong[:5])}. Remove them and fetch again."
            )
        yield f"{folder}: every fetched file is as recorded"
    elif by_hand is not None:
        _claim(folder, inputs=[by_hand])
        yield from _told(folder, adopt(folder, by_hand))
    elif collections:
        _claim(folder, inputs=[])
        yield from _told(folder, fetch_collections(folder, collections, limit=limit, jobs=jobs))
    else:
        for name in COLLECTIONS:
            yield f"{name:<22} {_cases(name):>5} cases  {LICENCES[family(name)]}"
        yield f"Name those to fetch: semantiseg fetch {folder} {COLLECTIONS[0]} KiTS23"


def _claim(folder: Path, *, inputs: Sequence[Path]) -> None:
    claim(folder, verb="fetch", inputs=inputs, own=(*COLLECTIONS, "sources.json", "fetched.json", ".*"))


def _told(folder: Path, records: Sequence[dict[str, object]]) -> Iterator[str]:
    for record in records:
        yield f"{folder / str(record['collection'])}: {record['layout']}, licence {record['licence']}"
    yield f"Use it: set fetch.source to official and fetch.folder to {folder} in params.yaml"


def _cases(name: str) -> str:
    if name in DECATHLON_TASKS:
        return str(DECATHLON_TASKS[name].cases)
    if name == "KiTS23":
        return str(len(KITS23_CASES))
    return str(CHALLENGES[name].cases or "?")
