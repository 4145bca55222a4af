"""Fetch a BraTS 2024 challenge from Synapse: needs an account, accepted terms and the user's own token."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from semantiseg import files
from semantiseg.data.official.ledger import Ledger
from semantiseg.data.official.line import Line, Remote
from semantiseg.data.official.registry import CHALLENGES, Addresses, Archive
from semantiseg.data.official.transfer import text_of
from semantiseg.data.official.unpack import unpack_zip
from semantiseg.data.official.wanted import Item, Wanted
from semantiseg.errors import DataError
from semantiseg.secret import Secret, from_environment

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
    items = [_item(synapse, archive, folder, challenge) for archive in archives]

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


def _item(synapse: _Synapse, archive: Archive, folder: Path, challenge: str) -> Item:
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
