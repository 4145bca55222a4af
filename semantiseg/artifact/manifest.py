"""One list of checksums over every tracked file that no stage makes: what is here is what was committed together.

`sha256sum --check manifest.sha256` reads it too. `semantiseg manifest` writes it again from what Git tracks.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

from semantiseg import files
from semantiseg.artifact import committed
from semantiseg.errors import DataError

MANIFEST = Path("manifest.sha256")
ELSEWHERE = {
    Path("dvc.lock"): "benchmarks/demo_run.json holds its checksum (check `cost`)",
    Path("figures"): "dvc.lock holds its checksums (check `published`)",
    Path("notebooks/rendered"): "dvc.lock holds its checksums (check `published`)",
    MANIFEST: "a changed line names a file or a checksum that is not there",
}
"""Tracked files that are not listed, and what sees a change in them instead."""

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def listed(root: Path) -> list[Path]:
    """What Git tracks and the manifest lists, sorted.

    Raises:
        DataError: no Git checkout.
    """
    command = ["git", "ls-files", "-z", "--cached", "--deduplicate"]
    answer = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if answer.returncode:
        raise DataError(f"{root}: expected a Git checkout, got none. Write the manifest in a clone.")
    tracked = [Path(name) for name in answer.stdout.decode("utf-8").split("\0") if name]
    return sorted(path for path in tracked if not elsewhere(path) and (root / path).is_file())


def elsewhere(path: Path) -> bool:
    """Is a file seen by another check?"""
    return any(path.is_relative_to(other) for other in (*ELSEWHERE, *committed.MADE))


def text(root: Path) -> str:
    """The manifest as it should be now."""
    return "".join(f"{files.fingerprint(root / path)}  {path.as_posix()}\n" for path in listed(root))


def read(root: Path) -> tuple[dict[Path, str], list[str]]:
    """Listed file -> SHA-256, and the lines that are no such entries or name a file again.

    Raises:
        DataError: there is no manifest.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise DataError(f"{path}: expected the checksums of the tracked files, got no file. Run `semantiseg manifest`.")
    found: dict[Path, str] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or Path(match[2]) in found:
            problems.append(f"{MANIFEST}, line {number}: expected a checksum and a file named once, got {line[:80]!r}")
        else:
            found[Path(match[2])] = match[1]
    return found, problems


def problem(root: Path, path: Path, wanted: str) -> str | None:
    """Why a listed file is not the one that was listed; None if it is."""
    if not (root / path).is_file():
        return f"{path}: absent, but listed"
    return None if files.fingerprint(root / path) == wanted else f"{path}: not the file that was listed"


def check(root: Path) -> tuple[bool, str, list[str], Any]:
    """Is every listed file the one that was listed, and, under Git, is every tracked file listed?"""
    wanted, problems = read(root)
    problems += filter(None, (problem(root, path, checksum) for path, checksum in wanted.items()))
    if (root / ".git").exists():
        problems += [f"{path}: tracked by Git, but not listed" for path in listed(root) if path not in wanted]
    if problems:
        remedy = "if the change is meant, run `semantiseg manifest` and commit manifest.sha256; else `git checkout` it"
        return False, f"{len(problems)} of {len(wanted)} tracked files differ: {remedy}", problems, problems
    return True, f"all {len(wanted)} tracked files that no stage makes are those of {MANIFEST}", [], len(wanted)
