"""Whether the disk has room for what is about to be written."""

from __future__ import annotations

import shutil
from pathlib import Path

from semantiseg.errors import DataError

SPARE = 1 << 30
"""Bytes left free whatever is fetched: a full disk breaks more than a download."""


def require_space(folder: Path, needed: int, *, purpose: str, spare: int = SPARE) -> None:
    """Stop before writing what would fill the disk that `folder` lies on.

    Raises:
        DataError: fewer than `needed` + `spare` bytes are free; says how many and for what.
    """
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if needed > 0 and free < needed + spare:
        raise DataError(
            f"{folder}: expected {_gib(needed + spare)} GiB free for {purpose}, got {_gib(free)} GiB. Free some space, "
            "name another folder, or fetch fewer cases (--limit) or collections."
        )


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
