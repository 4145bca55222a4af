"""The official collections: where they lie, what they hold, under which terms.

Addresses and checksums of the Decathlon are those of MONAI's `DecathlonDataset`; case counts those of the released
`dataset.json` files (the paper's counts are a few higher). KiTS23: repository neheller/kits23, whose commit is pinned
below. BraTS 2024: Synapse project syn53708249; numbers of labelled cases from the collections' pages and papers.

What a collection needs from the network, and what is done with it when it is there.

What was fetched, from which revision, with which checksum: recorded at first sight, demanded ever after.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from semantiseg import files
from semantiseg.data.official.transfer import Remote
from semantiseg.errors import DataError

LICENCES = {
    "MSD": "CC-BY-SA-4.0",
    "KiTS23": "CC-BY-NC-SA-4.0",
    "BraTS2024": "CC-BY-NC-4.0, no redistribution (terms: Synapse wiki syn53708249/627508)",
}


@dataclass(frozen=True)
class Task:
    """A task of the Medical Segmentation Decathlon: labelled cases, channels, and the archive's published checksum."""

    cases: int
    channels: tuple[str, ...]
    md5: str


DECATHLON_TASKS: dict[str, Task] = {
    "Task01_BrainTumour": Task(484, ("FLAIR", "T1", "T1c", "T2"), "240a19d752f0d9e9101544901065d872"),
    "Task02_Heart": Task(20, ("T2",), "06ee59366e1e5124267b774dbd654057"),
    "Task03_Liver": Task(131, ("CT",), "a90ec6c4aa7f6a3d087205e23d4e6397"),
    "Task04_Hippocampus": Task(260, ("T1",), "9d24dba78a72977dbd1d2e110310f31b"),
    "Task05_Prostate": Task(32, ("T2", "ADC"), "35138f08b1efaef89d7424d2bcc928db"),
    "Task06_Lung": Task(63, ("CT",), "8afd997733c7fc0432f71255ba4e52dc"),
    "Task07_Pancreas": Task(281, ("CT",), "4f7080cfca169fa8066d17ce6eb061e4"),
    "Task08_HepaticVessel": Task(303, ("CT",), "641d79e80ec66453921d997fbf12a29c"),
    "Task09_Spleen": Task(41, ("CT",), "410d4a301da4e5b2f6f86ec3ddba524e"),
    "Task10_Colon": Task(126, ("CT",), "bad7a188931dc2f6acf72b08eb6202d0"),
}

KITS23_CASES: tuple[int, ...] = (*range(300), *range(400, 589))
"""Labelled cases; 589 to 698 are the hidden test."""
KITS23_COMMIT = "c1088353084c17b8882a11db71429e7c022b7785"
"""Label maps and `kits23.json` as of 2026-05-13; commits of 2025 corrected `malignant`, so older copies differ."""
KITS23_IMAGES = "neheller/KiTS-Challenge-Imaging"


@dataclass(frozen=True)
class Archive:
    """A file of Synapse: entity, version (None: the present one) and the published checksum ("" if none)."""

    entity: str
    version: int | None = None
    md5: str = ""


@dataclass(frozen=True)
class Challenge:
    """A sub-challenge of BraTS 2024.

    Attributes:
        cases: labelled cases; None where no public count could be confirmed.
        channels: of every case.
        archives: what to fetch, in this order: later ones correct earlier ones. Empty: to be fetched by hand.
        dropped: cases left out, whose published files contradict one another.
    """

    cases: int | None
    channels: tuple[str, ...]
    archives: tuple[Archive, ...] = ()
    dropped: frozenset[str] = field(default_factory=frozenset)


_FOUR = ("T1", "T1c", "T2", "FLAIR")
CHALLENGES: dict[str, Challenge] = {
    "BraTS2024-GLI": Challenge(
        1350 + 271,
        _FOUR,
        (Archive("syn60086071", 2, "1d910b17d6cd32e38aa6296b8dfb7c77"), Archive("syn64314352", 1)),
    ),
    "BraTS2024-MEN-RT": Challenge(
        500,
        ("T1c",),
        (
            Archive("syn60085033", 2, "5bd14a6794e5874b6dd2a09a64795a4c"),
            Archive("syn64826221", None, "aadfd702c07ce72709e5249b73333ad8"),
        ),
    ),
    "BraTS2024-PED": Challenge(257, _FOUR, (Archive("syn58894928"), Archive("syn60140557"))),
    "BraTS2024-SSA": Challenge(60, _FOUR),
    "BraTS2024-MET": Challenge(
        None,
        _FOUR,
        (Archive("syn59407686"), Archive("syn59860022"), Archive("syn61596964")),
        frozenset({"BraTS-MET-00232-000"}),
    ),
}
"""MET: 00232-000 has an image and a mask with different headers. SSA is the release of 2023 (project syn51514109)."""

COLLECTIONS: tuple[str, ...] = (*DECATHLON_TASKS, "KiTS23", *CHALLENGES)
"""Every collection that `semantiseg fetch` knows."""


@dataclass(frozen=True)
class Addresses:
    """The servers; another one can stand in for each (a mirror, or a test's)."""

    decathlon: str = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
    hub: str = "https://huggingface.co"
    github_raw: str = "https://raw.githubusercontent.com"
    synapse: str = "https://repo-prod.prod.sagebase.org/repo/v1"
    synapse_files: str = "https://file-prod.prod.sagebase.org/file/v1"


def family(collection: str) -> str:
    """MSD, KiTS23 or BraTS2024."""
    return "MSD" if collection in DECATHLON_TASKS else collection.partition("-")[0]


@dataclass(frozen=True)
class Item:
    """A file to fetch to `target`; with `recorded` its checksum enters the ledger (archives are removed afterwards)."""

    remote: Remote
    target: Path
    recorded: bool = True


def _nothing() -> Sequence[Path]:
    return ()


@dataclass(frozen=True)
class Wanted:
    """A collection to fetch.

    Attributes:
        collection: its name in the registry and below the folder.
        layout: as in `sources.json`.
        items: what to fetch; what the ledger holds already is left out.
        finish: unpacks what was fetched; returns the files that it wrote, which enter the ledger.
        room: bytes that `finish` writes at most, as far as known.
        complete: fetched before, nothing to do.
    """

    collection: str
    layout: str
    items: Sequence[Item] = ()
    finish: Callable[[], Sequence[Path]] = field(default=_nothing)
    room: int = 0
    complete: bool = False


LEDGER = "fetched.json"


class Ledger:
    """The file `fetched.json` in the folder that collections are fetched into; safe for threads.

    It holds `revisions` (repository -> commit that moving names such as `main` stood for when first asked) and `files`
    (path below the folder -> {source, bytes, sha256}). Keep it beside the data, or hand it to others: whoever fetches
    with it gets the same bytes or an error.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path, self._lock = folder, folder / LEDGER, threading.Lock()
        self._content: dict[str, dict[str, Any]] = {"revisions": {}, "files": {}}
        if self.path.exists():
            try:
                self._content |= json.loads(self.path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{self.path}: expected the record of what was fetched, got {error}. Remove it to record anew."
                ) from None

    def revision(self, repository: str) -> str | None:
        """The commit pinned for a repository, None before the first sight."""
        return self._content["revisions"].get(repository)

    def pin(self, repository: str, commit: str) -> None:
        """Pin a repository to a commit."""
        with self._lock:
            self._content["revisions"][repository] = commit
            self._write()

    def checksum(self, path: Path) -> str:
        """The recorded checksum of a file, `sha256:...`, or "" for one not seen yet."""
        return self._content["files"].get(self._name(path), {}).get("sha256", "")

    def holds(self, path: Path) -> bool:
        """Whether the file is there in the recorded size; `verify` reads the content as well."""
        entry = self._content["files"].get(self._name(path))
        return entry is not None and path.is_file() and path.stat().st_size == entry["bytes"]

    def record(self, path: Path, *, source: str, anew: bool = False) -> None:
        """Record a file's size and checksum; with `anew` in place of an earlier record (the file was made here).

        Raises:
            DataError: another checksum was recorded before.
        """
        found = f"sha256:{files.fingerprint(path)}"
        recorded = self.checksum(path)
        if recorded and recorded != found and not anew:
            raise DataError(
                f"{path}: expected {recorded} as recorded in {self.path}, got {found}. The publisher's file changed or "
                "it was damaged; remove its entry there to accept the new one."
            )
        with self._lock:
            entry = {"source": source, "bytes": path.stat().st_size, "sha256": found}
            self._content["files"][self._name(path)] = entry
            self._write()

    def verify(self) -> list[str]:
        """Names of recorded files that are missing or whose content is another one."""
        return [
            name
            for name, entry in sorted(self._content["files"].items())
            if f"sha256:{files.fingerprint(self.folder / name)}" != entry["sha256"]
        ]

    def _name(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _write(self) -> None:
        ordered = {key: dict(sorted(self._content[key].items())) for key in ("revisions", "files")}
        files.write(self.path, json.dumps(ordered, indent=1) + "\n")
