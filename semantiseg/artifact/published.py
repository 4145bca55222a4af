"""Do the files people read have the checksums under which dvc.lock records what the stages made?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from semantiseg.artifact.lockfile import Output, checksum, outputs
from semantiseg.report.publish import PUBLISHED


def expected(recorded: Mapping[Path, Output]) -> dict[Path, Output]:
    """Published file -> the recorded output that it is a copy of. A folder's recorded files stand one by one."""
    return {
        target / path.relative_to(source): output
        for path, output in recorded.items()
        for source, target in PUBLISHED.items()
        if path.is_relative_to(source)
    }


def published(root: Path) -> tuple[bool, str, list[str], Any]:
    """Compare every published file with its maker's record, and each folder with what `publish` recorded."""
    recorded, problems, rows = outputs(root), [], []
    wanted = expected(recorded)
    for path, output in sorted(wanted.items()):
        found = checksum(root / path)
        rows.append({"file": path.as_posix(), "stage": output.stage, "md5": output.md5, "found": found})
        if found is None:
            problems.append(f"{path}: absent; stage {output.stage} made it")
        elif found != output.md5:
            problems.append(f"{path}: MD5 {found}, but stage {output.stage} made {output.md5}")
    for folder in PUBLISHED.values():
        here = {item.relative_to(root) for item in (root / folder).rglob("*") if item.is_file()}
        problems += [f"{path}: no stage makes it" for path in sorted(here - set(wanted))]
        record = recorded.get(folder)
        if record is None or record.md5 != checksum(root / folder):
            problems.append(f"{folder}: not the folder that stage publish recorded")
    if not wanted:
        problems.append("dvc.lock: records nothing that is published")
    if problems:
        return False, f"{len(problems)} problems among {len(wanted)} published files", problems, rows
    return True, f"all {len(wanted)} published files have the checksums of the stages that made them", [], rows
