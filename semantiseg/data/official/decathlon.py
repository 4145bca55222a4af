"""Fetch a task of the Medical Segmentation Decathlon: the whole archive, or some cases out of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from semantiseg import files
from semantiseg.data.official.ledger import Ledger
from semantiseg.data.official.line import Line, Remote
from semantiseg.data.official.registry import DECATHLON_TASKS, Addresses
from semantiseg.data.official.remote_archive import tar_members
from semantiseg.data.official.transfer import size_of, text_of
from semantiseg.data.official.unpack import unpack_tar
from semantiseg.data.official.wanted import Item, Wanted
from semantiseg.errors import DataError

KEPT = ("imagesTr", "labelsTr")
"""Folders that are unpacked, beside dataset.json: the test images have no masks, so nothing can be asked of them."""


def wanted_task(
    task: str, folder: Path, *, ledger: Ledger, addresses: Addresses, line: Line, limit: int | None
) -> Wanted:
    """What task `task` needs below `folder`; with `limit` the first so many cases by name.

    Raises:
        DataError: the server refuses, or with a limit does not serve ranges.
    """
    home = folder / task
    remote = Remote(
        f"{task}.tar",
        lambda: f"{addresses.decathlon}/{task}.tar",
        checksum=f"md5:{DECATHLON_TASKS[task].md5}",
        remedy="Fetch it by hand from medicaldecathlon.com and give its folder with --from.",
    )
    if _complete(home, ledger=ledger, limit=limit):
        return Wanted(task, "decathlon", complete=True)
    if limit is not None:
        return _some_cases(task, home, remote, ledger=ledger, line=line, limit=limit)
    archive = folder / ".archives" / f"{task}.tar"
    size, _ = size_of(remote, line=line)
    return Wanted(
        task,
        "decathlon",
        [Item(replace(remote, size=size), archive, recorded=False)],
        finish=lambda: _unpack(archive, home),
        room=size or 0,
    )


def _unpack(archive: Path, home: Path) -> list[Path]:
    unpacked = unpack_tar(archive, home, wanted=_is_kept)
    archive.unlink()
    return unpacked


def _is_kept(name: PurePosixPath) -> bool:
    return not name.name.startswith("._") and (
        name.as_posix() == "dataset.json" or name.parts[:1] in [(k,) for k in KEPT]
    )


def _some_cases(task: str, home: Path, remote: Remote, *, ledger: Ledger, line: Line, limit: int) -> Wanted:
    """Index the remote archive by its headers and ask for the stretches of the chosen cases only."""
    whole = replace(remote, checksum="")
    index = {PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix(): member
             for member in tar_members(whole, line=line)}  # fmt: skip

    def stretch(name: str) -> Remote:
        if name not in index:
            raise DataError(f"{task}.tar: expected the file {name}, got none. {remote.remedy}")
        member = index[name]
        return replace(whole, name=f"{task}.tar: {name}", start=member.start, stop=member.start + member.size)

    member = stretch("dataset.json")
    content = json.loads(
        text_of(replace(member, headers={"Range": f"bytes={member.start}-{member.stop - 1}"}), line=line)
    )
    chosen = chosen_entries(content, limit)
    names = [PurePosixPath(entry[key]).as_posix() for entry in chosen for key in ("image", "label")]
    items = [Item(stretch(name), home / name) for name in names if not ledger.holds(home / name)]

    def finish() -> Sequence[Path]:
        description = content | {"training": chosen, "numTraining": len(chosen), "test": [], "numTest": 0}
        files.write(home / "dataset.json", json.dumps(description, indent=1) + "\n")
        return [home / "dataset.json"]

    return Wanted(task, "decathlon", items, finish=finish)


def chosen_entries(content: dict[str, Any], limit: int) -> list[dict[str, str]]:
    """The first `limit` training entries by image name, AppleDouble files left out."""
    entries = [entry for entry in content["training"] if not PurePosixPath(entry["image"]).name.startswith("._")]
    return sorted(entries, key=lambda entry: entry["image"])[:limit]


def _complete(home: Path, *, ledger: Ledger, limit: int | None) -> bool:
    """Whether all files of at least as many cases as wanted were fetched before and are still there."""
    description = home / "dataset.json"
    if not ledger.holds(description):
        return False
    entries = json.loads(description.read_text(encoding="utf-8"))["training"]
    full = len(entries) >= (limit or DECATHLON_TASKS[home.name].cases)
    return full and all(
        ledger.holds(home / PurePosixPath(entry[key])) for entry in entries for key in ("image", "label")
    )
