"""Fetch official collections into a folder, in their upstream layouts. Run by hand, never by the pipeline."""

from __future__ import annotations

import gzip
import os
import threading
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path

import httpx
from tqdm import tqdm

from semantiseg import limits
from semantiseg.data.official import brats, decathlon, kits23
from semantiseg.data.official.adopt import list_sources
from semantiseg.data.official.ledger import Ledger
from semantiseg.data.official.line import Line, Patience
from semantiseg.data.official.registry import COLLECTIONS, DECATHLON_TASKS, Addresses
from semantiseg.data.official.space import require_space
from semantiseg.data.official.transfer import download
from semantiseg.data.official.wanted import Item, Wanted
from semantiseg.errors import DataError, ParameterError


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
        return decathlon.wanted_task(name, folder, ledger=ledger, addresses=addresses, line=line, limit=limit)
    if name == "KiTS23":
        return kits23.wanted_cases(folder, ledger=ledger, addresses=addresses, line=line, limit=limit)
    return brats.wanted_challenge(name, folder, ledger=ledger, addresses=addresses, line=line, environment=environment)


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


def _counted(bar: tqdm):
    lock = threading.Lock()

    def count(arrived: int) -> None:
        with lock:
            bar.update(arrived)

    return count
