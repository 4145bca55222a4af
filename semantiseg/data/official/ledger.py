"""What was fetched, from which revision, with which checksum: recorded at first sight, demanded ever after."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from semantiseg import files
from semantiseg.errors import DataError

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
