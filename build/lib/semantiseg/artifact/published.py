"""What dvc.lock records of the outputs, and the same checksums computed from files, without DVC.

Publish: copy what people read (figures, tables, rendered notebooks) from the cached outputs to Git-tracked folders.

The only stage whose outputs are not in the DVC cache: run as `python -m semantiseg.artifact.published`.

Do the files people read have the checksums under which dvc.lock records what the stages made?

What is committed, kept apart from what was just made: a run replaces files that people read with its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from semantiseg import document, files
from semantiseg.errors import DataError, StageError

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


def dvc_checksum(path: Path) -> str | None:
    """MD5 of a file, or of a folder as DVC has it (that of the sorted list of its files' MD5s, and ".dir"); or None."""
    if path.is_file():
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "md5").hexdigest()
    if not path.is_dir():
        return None
    entries = [
        {"md5": dvc_checksum(item), "relpath": item.relative_to(path).as_posix()}
        for item in sorted(path.rglob("*"), key=lambda item: item.relative_to(path).as_posix())
        if item.is_file() and not _NO_CONTENT & set(item.parts) and item.suffix != ".pyc"
    ]
    return hashlib.md5(json.dumps(entries, sort_keys=True).encode()).hexdigest() + ".dir"


PUBLISHED = {Path("data/report"): Path("figures"), Path("data/rendered"): Path("notebooks/rendered")}


def publish(*, root: Path) -> None:
    """Make each published folder an exact copy of its source; what is no longer produced goes.

    Raises:
        StageError: a source is absent or empty; nothing is published then.
    """
    for source in PUBLISHED:
        if not (root / source).is_dir() or not any((root / source).iterdir()):
            raise StageError(
                f"publish: expected reports in {source}, got none. Run `dvc repro`, which makes them first."
            )
    for source, target in PUBLISHED.items():
        partial = root / target.parent / f".{target.name}.partial"
        files.remove(partial)
        shutil.copytree(root / source, partial, ignore=shutil.ignore_patterns(".*"))
        files.replace(partial, root / target)


if __name__ == "__main__":
    publish(root=Path.cwd())


def recorded_outputs(recorded: Mapping[Path, Output]) -> dict[Path, Output]:
    """Published file -> the recorded output that it is a copy of. A folder's recorded files stand one by one."""
    return {
        target / path.relative_to(source): output
        for path, output in recorded.items()
        for source, target in PUBLISHED.items()
        if path.is_relative_to(source)
    }


def check_published(root: Path) -> tuple[bool, str, list[str], Any]:
    """Compare every published file with its maker's record, and each folder with what `publish` recorded."""
    recorded, problems, rows = outputs(root), [], []
    wanted = recorded_outputs(recorded)
    for path, output in sorted(wanted.items()):
        found = dvc_checksum(root / path)
        rows.append({"file": path.as_posix(), "stage": output.stage, "md5": output.md5, "found": found})
        if found is None:
            problems.append(f"{path}: absent; stage {output.stage} made it")
        elif found != output.md5:
            problems.append(f"{path}: MD5 {found}, but stage {output.stage} made {output.md5}")
    for folder in PUBLISHED.values():
        here = {item.relative_to(root) for item in (root / folder).rglob("*") if item.is_file()}
        problems += [f"{path}: no stage makes it" for path in sorted(here - set(wanted))]
        record = recorded.get(folder)
        if record is None or record.md5 != dvc_checksum(root / folder):
            problems.append(f"{folder}: not the folder that stage publish recorded")
    if not wanted:
        problems.append("dvc.lock: records nothing that is published")
    if problems:
        return False, f"{len(problems)} problems among {len(wanted)} published files", problems, rows
    return True, f"all {len(wanted)} published files have the checksums of the stages that made them", [], rows


LOCK = Path("dvc.lock")
MADE = (LOCK, *PUBLISHED.values())
"""What a run replaces among the tracked files."""


def committed_content(root: Path, path: Path) -> bytes | None:
    """A file as Git's HEAD has it; None without Git or where HEAD has no such file."""
    answer = subprocess.run(["git", "show", f"HEAD:./{path.as_posix()}"], cwd=root, capture_output=True, check=False)
    return None if answer.returncode else answer.stdout


def is_rerun(root: Path) -> bool:
    """Were the files in `root` made again by the committed code and parameters, to other bytes than the committed?

    Commands, parameters and sources of every stage are those that HEAD's dvc.lock records, and its outputs are not. An
    author who changed code and ran it has made new results instead; those are to be committed, and are judged as such.
    """
    before, here = committed_content(root, LOCK), root / LOCK
    if before is None or not here.is_file() or before == here.read_bytes():
        return False
    return _asked(before) == _asked(here.read_bytes())


def _asked(lock: bytes) -> Any:
    """What every stage was made from, without what other stages made."""
    content = YAML(typ="safe").load(lock.decode("utf-8", errors="replace"))
    if not isinstance(content, dict) or not isinstance(content.get("stages"), dict):
        return None
    stages = content["stages"]
    made = {out["path"] for stage in stages.values() for out in stage.get("outs", [])}
    return {
        name: (
            stage.get("cmd"),
            stage.get("params"),
            [(dep["path"], dep["md5"]) for dep in stage.get("deps", []) if not _made(dep["path"], made)],
        )
        for name, stage in stages.items()
    }


def _made(path: str, made: set[str]) -> bool:
    """Is a dependency an output, lies it in one, or does it hold some (data/results)?"""
    return any(path == out or path.startswith(f"{out}/") or out.startswith(f"{path}/") for out in made)


@contextmanager
def committed_tree(root: Path) -> Iterator[Path]:
    """The project as it is committed: `root` itself, or, after a rerun there, a view with HEAD's results in it.

    Whatever no run makes is the same file as in `root`, so that a change to it is seen either way.
    """
    if not is_rerun(root):
        yield root
        return
    with tempfile.TemporaryDirectory() as scratch:
        view = Path(scratch)
        command = ["git", "archive", "--format=tar", "HEAD", "--", *(path.as_posix() for path in MADE)]
        answer = subprocess.run(command, cwd=root, capture_output=True, check=True)
        with tarfile.open(fileobj=io.BytesIO(answer.stdout)) as archive:
            archive.extractall(view, filter="data")
        _link(root, view)
        yield view


def _link(root: Path, view: Path, folder: Path = Path()) -> None:
    """Links in `view` to everything in `root` that no run makes."""
    for item in sorted((root / folder).iterdir()):
        path = folder / item.name
        if any(made != path and made.is_relative_to(path) for made in MADE):
            _link(root, view, path)
        elif path not in MADE:
            (view / path).symlink_to(item.resolve())
