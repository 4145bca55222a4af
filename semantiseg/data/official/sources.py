"""Fetch KiTS23: label maps and metadata from its repository, images from the Hugging Face hub, at pinned commits.

Fetch a task of the Medical Segmentation Decathlon: the whole archive, or some cases out of it.

Fetch a BraTS 2024 challenge from Synapse: needs an account, accepted terms and the user's own token.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from semantiseg import files
from semantiseg.data.official.archives import tar_members, unpack_tar, unpack_zip
from semantiseg.data.official.registry import (
    CHALLENGES,
    DECATHLON_TASKS,
    KITS23_CASES,
    KITS23_COMMIT,
    KITS23_IMAGES,
    Addresses,
    Archive,
    Item,
    Ledger,
    Wanted,
)
from semantiseg.data.official.transfer import Line, Remote, size_of, text_of
from semantiseg.errors import DataError
from semantiseg.secret import Secret, from_environment

REMEDY = "Fetch it as the README of neheller/kits23 says and give the folder `dataset` with --from."


def wanted_cases(folder: Path, *, ledger: Ledger, addresses: Addresses, line: Line, limit: int | None) -> Wanted:
    """What KiTS23 needs below `folder`; with `limit` the first so many cases.

    The image repository is published under the moving name `main`; the commit that it stands for at first sight is
    pinned in the ledger, with the sizes and SHA-256 sums that the hub gives for it.

    Raises:
        DataError: the hub refuses, or its listing lacks a case.
    """
    home = folder / "KiTS23"
    names = [f"case_{number:05d}" for number in KITS23_CASES[:limit]]
    labels = [home / name / "segmentation.nii.gz" for name in names]
    images = [home / name / "imaging.nii.gz" for name in names]
    if all(ledger.holds(path) for path in (home / "kits23.json", *labels, *images)):
        return Wanted("KiTS23", "kits23", complete=True)
    commit, listing = _listing(addresses, ledger=ledger, line=line)
    repository = f"{addresses.github_raw}/neheller/kits23/{KITS23_COMMIT}/dataset"
    hub = f"{addresses.hub}/datasets/{KITS23_IMAGES}/resolve/{commit}"
    items = [_kits23_item(f"{repository}/kits23.json", home / "kits23.json", home)]
    for name, label, image in zip(names, labels, images, strict=True):
        file = f"images/{name}.nii.gz"
        if file not in listing:
            raise DataError(f"{KITS23_IMAGES}: expected {file} at commit {commit}, got none. {REMEDY}")
        size, sha256 = listing[file]
        items.append(_kits23_item(f"{repository}/{name}/segmentation.nii.gz", label, home))
        checksum = f"sha256:{sha256}" if sha256 else ""
        items.append(_kits23_item(f"{hub}/{file}", image, home, size=size, checksum=checksum))
    return Wanted("KiTS23", "kits23", [item for item in items if not ledger.holds(item.target)])


def _kits23_item(url: str, target: Path, home: Path, *, size: int | None = None, checksum: str = "") -> Item:
    name = f"KiTS23 {target.relative_to(home).as_posix()}"
    return Item(Remote(name, lambda: url, size=size, checksum=checksum, remedy=REMEDY), target)


def _listing(addresses: Addresses, *, ledger: Ledger, line: Line) -> tuple[str, dict[str, tuple[int | None, str]]]:
    """The pinned commit, and file -> (bytes, SHA-256 or "") at it, as the hub's API tells them."""
    revision = ledger.revision(KITS23_IMAGES) or "main"
    url = f"{addresses.hub}/api/datasets/{KITS23_IMAGES}/revision/{revision}?blobs=true"
    remote = Remote(f"{KITS23_IMAGES} at {revision}", lambda: url, remedy=REMEDY)
    answer = text_of(remote, line=line)
    try:
        content = json.loads(answer)
        commit = str(content["sha"])
        files = {
            str(item["rfilename"]): (item.get("size"), str((item.get("lfs") or {}).get("sha256", "")))
            for item in content["siblings"]
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"{remote.name}: expected the hub's listing, got {type(error).__name__}. {REMEDY}") from None
    if ledger.revision(KITS23_IMAGES) is None:
        ledger.pin(KITS23_IMAGES, commit)
    return commit, files


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
    stated = {"Range": f"bytes={member.start}-{member.start + index['dataset.json'].size - 1}"}
    content = json.loads(text_of(replace(member, headers=stated), line=line))
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


TOKENS = ("SYNAPSE_AUTH_TOKEN", "SYNAPSE_TOKEN")
"""Environment variables that may hold the token; the first is Synapse's own."""
BY_HAND = (
    "Or fetch the archives by hand at synapse.org (project syn53708249), unpack them and name their folder with --from."
)
WITHOUT_TOKEN = (
    f"BraTS 2024: expected a Synapse token in the environment variable {TOKENS[0]}, got none. Make an account at "
    "synapse.org, accept the terms of project syn53708249 (wiki 627508), make a personal access token with the right "
    f"`download` under Account Settings, and set {TOKENS[0]} to it. {BY_HAND}"
)


def wanted_challenge(
    challenge: str, folder: Path, *, ledger: Ledger, addresses: Addresses, line: Line, environment: Mapping[str, str]
) -> Wanted:
    """What a challenge needs below `folder`. Zips cannot be limited to some cases before they are there.

    Raises:
        DataError: there is no token (says how to get one), Synapse refuses it, or the challenge has no open archive.
    """
    layout = challenge.lower()
    home, done = folder / challenge, folder / ".archives" / f"{challenge}.unpacked"
    if done.exists():
        return Wanted(challenge, layout, complete=True)
    archives = CHALLENGES[challenge].archives
    if not archives:
        raise DataError(f"{challenge}: expected an archive that can be fetched, got none on record. {BY_HAND}")
    token = from_environment(TOKENS, environment)
    if not token:
        raise DataError(WITHOUT_TOKEN)
    synapse = _Synapse(addresses, token, line)
    items = [_brats_item(synapse, archive, folder, challenge) for archive in archives]

    def finish() -> Sequence[Path]:
        unpacked: dict[Path, None] = {}
        for item in items:
            unpacked |= dict.fromkeys(_place(item.target, home, challenge))
        done.touch()
        return list(unpacked)

    return Wanted(challenge, layout, items, finish=finish, room=sum(item.remote.size or 0 for item in items))


def _place(archive: Path, home: Path, challenge: str) -> list[Path]:
    """Put an archive's case files below `home` and remove it; a corrected scan may also come as a bare image."""
    if archive.suffix == ".zip":
        found = unpack_zip(archive, home, wanted=lambda name: _is_case_file(name, challenge))
        archive.unlink()
        return found
    # `BraTS-MEN-RT-0402-1_t1c.nii.gz` belongs to case `BraTS-MEN-RT-0402-1`.
    target = home / re.split(r"[_-](?=[a-z0-9]+\.nii\.gz$)", archive.name)[0] / archive.name
    files.replace(archive, target)
    return [target]


def _is_case_file(name: PurePosixPath, challenge: str) -> bool:
    case = name.parent.name
    prefix = challenge.replace("BraTS2024", "BraTS")
    kept = case.startswith(prefix) and name.name.startswith(case) and name.name.endswith(".nii.gz")
    return kept and case not in CHALLENGES[challenge].dropped


def _brats_item(synapse: _Synapse, archive: Archive, folder: Path, challenge: str) -> Item:
    handle, details = synapse.file(archive)
    published = str(details.get("contentMd5") or "")
    if archive.md5 and published and archive.md5 != published:
        raise DataError(
            f"{archive.entity}: expected the archive with md5 {archive.md5}, got {published}. Synapse has another "
            "version; see docs/collections.md."
        )
    md5, name = archive.md5 or published, PurePosixPath(str(details.get("fileName") or "archive.zip")).name
    if not name.endswith((".zip", ".nii.gz")):
        raise DataError(f"{archive.entity}: expected a .zip or .nii.gz file, got {name!r}. {BY_HAND}")
    remote = Remote(
        f"{challenge} {archive.entity}",
        # Signed addresses live for minutes: a new one for every try.
        lambda: synapse.address(archive, handle),
        size=details.get("contentSize"),
        checksum=f"md5:{md5}" if md5 else "",
        remedy=BY_HAND,
    )
    return Item(remote, folder / ".archives" / archive.entity / name, recorded=False)


class _Synapse:
    """The two calls of Synapse's REST interface that a download needs; the token goes nowhere else."""

    def __init__(self, addresses: Addresses, token: Secret, line: Line) -> None:
        self._addresses, self._line = addresses, line
        self._token, self._headers = token, {"Authorization": f"Bearer {token.value}"}

    def file(self, archive: Archive) -> tuple[str, dict]:
        """File handle of an entity, and what Synapse says about it (contentMd5, contentSize)."""
        version = "" if archive.version is None else f"/version/{archive.version}"
        entity = self._ask(archive, f"{self._addresses.synapse}/entity/{archive.entity}{version}")
        handle = str(entity.get("dataFileHandleId", ""))
        answer = self._batch(archive, handle, urls=False)
        return handle, answer.get("fileHandle") or {}

    def address(self, archive: Archive, handle: str) -> str:
        """A signed address of the file, good for some minutes."""
        url = str(self._batch(archive, handle, urls=True).get("preSignedURL") or "")
        if not re.match(r"https?://", url):
            raise DataError(f"{archive.entity}: expected a download address from Synapse, got none. {WITHOUT_TOKEN}")
        return url

    def _batch(self, archive: Archive, handle: str, *, urls: bool) -> dict:
        asked = {
            "requestedFiles": [
                {"fileHandleId": handle, "associateObjectId": archive.entity, "associateObjectType": "FileEntity"}
            ],
            "includePreSignedURLs": urls,
            "includeFileHandles": not urls,
        }
        answer = self._ask(archive, f"{self._addresses.synapse_files}/fileHandle/batch", post=asked)
        found = answer.get("requestedFiles") or [{}]
        if found[0].get("failureCode"):
            raise DataError(
                f"{archive.entity}: expected the right to download, got {found[0]['failureCode']}. Accept the terms of "
                f"project syn53708249 at synapse.org. {BY_HAND}"
            )
        return found[0]

    def _ask(self, archive: Archive, url: str, *, post: object = None) -> dict:
        remedy = f"Check that the token has the right `download` and that you accepted the terms. {BY_HAND}"
        remote = Remote(f"Synapse {archive.entity}", lambda: url, remedy=remedy, headers=self._headers)
        answer = text_of(remote, line=self._line, post=post)
        # Names and reasons of the answer go into paths, the ledger and messages.
        if self._token.shows_in(answer):
            raise DataError(
                f"{remote.name}: expected an answer of Synapse, got one that repeats a part of the token in "
                f"{self._token.name}. Nothing of it was kept. This is not Synapse: withdraw the token."
            )
        try:
            return dict(json.loads(answer))
        except (ValueError, TypeError, RecursionError):
            raise DataError(f"{remote.name}: expected JSON, got something else. {remedy}") from None
