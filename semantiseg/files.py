"""Files as the pipeline treats them: content fingerprints, and replacement that leaves either the old or the new."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def fingerprint(path: Path) -> str | None:
    """SHA-256 of a file, or of a folder's relative names and contents; None where there is nothing."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    if not path.is_dir():
        return None
    digest = hashlib.sha256()
    for item in sorted(path.rglob("*")):
        # Importing a module writes its cache beside it; that is no change of the input.
        if item.is_file() and "__pycache__" not in item.parts:
            digest.update(f"{item.relative_to(path).as_posix()}\0{fingerprint(item)}\n".encode())
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a file, link or folder if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def replace(source: Path, target: Path) -> None:
    """Move a finished file or folder to its final name on the same disk; what was there goes first.

    A file is replaced in one step. A folder is absent for an instant: if the process dies then, the target is missing,
    never mixed, and the next run makes it again.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir() or target.is_dir():
        remove(target)
    os.replace(source, target)


def write(path: Path, text: str) -> None:
    """Write a text file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)


@contextmanager
def complete(*paths: Path) -> Iterator[list[Path]]:
    """Names beside `paths`, with their endings, to write to; all take their final names on leaving, none on an error.

    Yields:
        One name for each path; its folder is there.
    """
    made = [path.with_name(f".partial.{path.name}") for path in paths]
    try:
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
        yield made
        for partial, path in zip(made, paths, strict=True):
            os.replace(partial, path)
    finally:
        for partial in made:
            partial.unlink(missing_ok=True)
