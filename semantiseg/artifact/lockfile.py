"""What dvc.lock records of the outputs, and the same checksums computed from files, without DVC."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from semantiseg import document
from semantiseg.errors import DataError

_NO_CONTENT = {"__pycache__", ".ipynb_checkpoints"}
"""Folders that .dvcignore keeps out of every checksum."""


@dataclass(frozen=True)
class Output:
    """One output as dvc.lock records it; `files` is None for a single file, `size` counts bytes."""

    stage: str
    path: Path
    md5: str
    size: int
    files: int | None


def outputs(root: Path) -> dict[Path, Output]:
    """Every recorded output by its path relative to the project.

    Raises:
        DataError: there is no dvc.lock, or it is not one.
    """
    lock = root / "dvc.lock"
    if not lock.is_file():
        raise DataError(f"{lock}: expected the record of a run, got no file. Restore it from Git, or run `dvc repro`.")
    content = document.values(lock, error=DataError, fast=True)
    if not isinstance(content, dict) or "stages" not in content:
        raise DataError(f"{lock}: expected 'stages', got none. Restore it from Git.")
    try:
        return {
            Path(out["path"]): Output(name, Path(out["path"]), out["md5"], out["size"], out.get("nfiles"))
            for name, stage in content["stages"].items()
            for out in stage.get("outs", [])
        }
    except (AttributeError, KeyError, TypeError):
        raise DataError(
            f"{lock}: expected each output's path, md5 and size, got a torn record. Run `semantiseg reproduce`, which "
            "puts the last whole one back, or restore it from Git."
        ) from None


def checksum(path: Path) -> str | None:
    """MD5 of a file, or of a folder as DVC has it (that of the sorted list of its files' MD5s, and ".dir"); or None."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "md5").hexdigest()
    if not path.is_dir():
        return None
    entries = [
        {"md5": checksum(item), "relpath": item.relative_to(path).as_posix()}
        for item in sorted(path.rglob("*"), key=lambda item: item.relative_to(path).as_posix())
        if item.is_file() and not _NO_CONTENT & set(item.parts) and item.suffix != ".pyc"
    ]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"
