"""What is committed, kept apart from what was just made: a run replaces files that people read with its own."""

from __future__ import annotations

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from semantiseg.report.publish import PUBLISHED

LOCK = Path("dvc.lock")
MADE = (LOCK, *PUBLISHED.values())
"""What a run replaces among the tracked files."""


def shown(root: Path, path: Path) -> bytes | None:
    """A file as Git's HEAD has it; None without Git or where HEAD has no such file."""
    answer = subprocess.run(["git", "show", f"HEAD:./{path.as_posix()}"], cwd=root, capture_output=True, check=False)
    return None if answer.returncode else answer.stdout


def is_rerun(root: Path) -> bool:
    """Were the files in `root` made again by the committed code and parameters, to other bytes than the committed?

    Commands, parameters and sources of every stage are those that HEAD's dvc.lock records, and its outputs are not. An
    author who changed code and ran it has made new results instead; those are to be committed, and are judged as such.
    """
    before, here = shown(root, LOCK), root / LOCK
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
def tree(root: Path) -> Iterator[Path]:
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
