"""What a killed run may leave torn: dvc.lock and DVC's file of running processes; kept, put back, held by one run.

DVC writes dvc.lock in place. A process killed meanwhile leaves an empty or half file, every later run ends in a
traceback, and a workspace has no Git to restore it from. So each stage keeps the last whole lock aside.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semantiseg import document
from semantiseg.errors import ParameterError, StageError

LOCK, KEPT = Path("dvc.lock"), Path(".dvc/tmp/dvc.lock.whole")
RUNNING, ALONE = Path(".dvc/tmp/rwlock"), Path(".dvc/tmp/semantiseg.lock")
_READINGS, _PAUSE_S = 4, 0.25


def locked_stages(path: Path) -> set[str]:
    """Names of the stages that a lock records.

    Raises:
        ParameterError: the file is torn: no YAML, or not what DVC reads as a lock.
    """
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from voluptuous import Invalid

    content = document.values(path, fast=True)
    try:
        return set(COMPILED_LOCKFILE_SCHEMA(content)["stages"])
    except (Invalid, KeyError, TypeError) as error:
        raise ParameterError(
            f"{path}: expected DVC's lock, got a torn file ({error}). Run `semantiseg reproduce`, which puts the last "
            "whole one back."
        ) from None


def keep(root: Path) -> None:
    """Keep a copy of dvc.lock, if it is whole and no stage has gone since the copy before; never an error."""
    try:
        content = (root / LOCK).read_bytes()
        candidate = root / f"{KEPT}.{os.getpid()}"
        candidate.parent.mkdir(parents=True, exist_ok=True)
        candidate.write_bytes(content)
        # Another lane may be half through writing it, at the end of a stage.
        if not (root / KEPT).is_file() or locked_stages(root / KEPT) <= locked_stages(candidate):
            locked_stages(candidate)
            os.replace(candidate, root / KEPT)
        candidate.unlink(missing_ok=True)
    except (OSError, ParameterError):
        (root / f"{KEPT}.{os.getpid()}").unlink(missing_ok=True)


def forget(root: Path) -> None:
    """Drop the copy, before a stage is rightly taken out of dvc.lock."""
    (root / KEPT).unlink(missing_ok=True)


def mend(root: Path) -> list[str]:
    """Put back what a kill tore; returns what was done, a line each. Called when no run is under way.

    Raises:
        ParameterError: dvc.lock is torn or holds conflict markers, and there is no copy to put back.
    """
    return [*_mend_lock(root), *_mend_running(root)]


def _mend_lock(root: Path) -> list[str]:
    lock, kept = root / LOCK, root / KEPT
    if not lock.exists():
        return []
    try:
        locked_stages(lock)
        return []
    except ParameterError as error:
        if "conflict markers" in str(error):
            raise
        if not kept.is_file():
            raise ParameterError(
                f"{lock}: expected DVC's lock, got a file torn by a kill, and no copy of it. Run `git checkout "
                "dvc.lock`; without Git remove it: all stages are then taken from the cache, or made again."
            ) from None
    locked_stages(kept)
    os.replace(kept, lock)
    return [f"{LOCK}: torn by a kill; the last whole one was put back"]


def _mend_running(root: Path) -> list[str]:
    """DVC's list of which process reads and writes what. Torn, it only stands in the way: nobody is at work here."""
    path = root / RUNNING
    for _ in range(_READINGS):
        if not path.is_file():
            return []
        try:
            if isinstance(json.loads(path.read_text(encoding="utf-8")), dict):
                return []
        except (ValueError, RecursionError):
            pass
        time.sleep(_PAUSE_S)
    path.unlink(missing_ok=True)
    return [f"{RUNNING}: torn by a kill; removed"]


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the project for one run; the system lets go of it when the process ends, however it ends.

    Raises:
        StageError: another run holds it.
    """
    from zc.lockfile import LockError, LockFile

    path = root / ALONE
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        held = LockFile(str(path))
    except LockError:
        number = path.read_text(encoding="utf-8", errors="replace").strip() or "unknown"
        raise StageError(
            f"{root}: expected no other run of it, got one (process {number}). Wait until it ends, or stop it; or run "
            "in a workspace of its own (`semantiseg workspace FOLDER`)."
        ) from None
    try:
        yield
    finally:
        held.close()
