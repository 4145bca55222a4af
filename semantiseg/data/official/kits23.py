"""Fetch KiTS23: label maps and metadata from its repository, images from the Hugging Face hub, at pinned commits."""

from __future__ import annotations

import json
from pathlib import Path

from semantiseg.data.official.ledger import Ledger
from semantiseg.data.official.line import Line, Remote
from semantiseg.data.official.registry import KITS23_CASES, KITS23_COMMIT, KITS23_IMAGES, Addresses
from semantiseg.data.official.transfer import text_of
from semantiseg.data.official.wanted import Item, Wanted
from semantiseg.errors import DataError

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
    items = [_item(f"{repository}/kits23.json", home / "kits23.json", home)]
    for name, label, image in zip(names, labels, images, strict=True):
        file = f"images/{name}.nii.gz"
        if file not in listing:
            raise DataError(f"{KITS23_IMAGES}: expected {file} at commit {commit}, got none. {REMEDY}")
        size, sha256 = listing[file]
        items.append(_item(f"{repository}/{name}/segmentation.nii.gz", label, home))
        items.append(_item(f"{hub}/{file}", image, home, size=size, checksum=f"sha256:{sha256}" if sha256 else ""))
    return Wanted("KiTS23", "kits23", [item for item in items if not ledger.holds(item.target)])


def _item(url: str, target: Path, home: Path, *, size: int | None = None, checksum: str = "") -> Item:
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
