"""One archive for an archival DOI: the committed project with prompts and the default model in their places.

The archive holds what Git's HEAD holds, the outputs named in `DATA` as dvc.lock records them, MODEL_CARD.md,
release.json and MANIFEST.sha256 (checked by `sha256sum --check`). Equal commits and data give equal bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

from semantiseg import __version__
from semantiseg.artifact import lockfile, model_card
from semantiseg.errors import DataError
from semantiseg.output import check_file

PROMPTS = tuple(
    Path("data/bench") / name
    for name in ("prompts.parquet", "rejected.parquet", "account.parquet", "attributes.parquet", "croissant.json")
)
DATA = (*PROMPTS, Path("data/models") / model_card.MODEL, Path("data/reader"))

WITHOUT_GIT = "[core]\n    no_scm = true\n"
"""An unpacked archive has no Git; with this DVC and `semantiseg verify` work in it."""


def release(root: Path, output: Path) -> list[str]:
    """Write the archive; return the names in it.

    Args:
        root: a checkout under Git whose results and data are present.
        output: the archive, ending in .tar.gz.

    Raises:
        OutputError: something else bears the archive's name.
        DataError: no Git, uncommitted changes, or data that are absent or not those of dvc.lock; nothing is written.
    """
    if not output.name.endswith(".tar.gz"):
        raise DataError(f"{output}: expected a name ending in .tar.gz. Choose such a name.")
    check_file(output, inputs=[root / ".git"], opening=b"\x1f\x8b")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no").decode()
    if changed:
        raise DataError(f"{root}: expected everything committed, got changes:\n{changed}Commit or undo them first.")
    commit, seconds = _git(root, "log", "-1", "--format=%H %ct").decode().split()
    content = dict(_committed(root))
    content |= dict(_data(root))
    content[".dvc/config.local"] = WITHOUT_GIT.encode()
    content["MODEL_CARD.md"] = model_card.card(root).encode()
    about = {"name": "semantiseg", "version": __version__, "commit": commit, "model": model_card.MODEL}
    content["release.json"] = (json.dumps(about, indent=1) + "\n").encode()
    manifest = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in sorted(content)]
    content["MANIFEST.sha256"] = "".join(manifest).encode()
    partial = output.with_name(f".{output.name}.partial")
    output.parent.mkdir(parents=True, exist_ok=True)
    _write(partial, content, folder=f"semantiseg-{__version__}", seconds=int(seconds))
    os.replace(partial, output)
    return sorted(content)


def _git(root: Path, *arguments: str) -> bytes:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    if answer.returncode:
        raise DataError(
            f"{root}: expected a Git checkout, got: {answer.stderr.decode().strip()}. Release from a clone."
        )
    return answer.stdout


def _committed(root: Path) -> Iterator[tuple[str, bytes]]:
    """Every file of HEAD, as Git archives it."""
    with tarfile.open(fileobj=io.BytesIO(_git(root, "archive", "--format=tar", "HEAD"))) as archive:
        for member in archive.getmembers():
            stream = archive.extractfile(member) if member.isfile() else None
            if stream is not None:
                yield member.name, stream.read()


def _data(root: Path) -> Iterator[tuple[str, bytes]]:
    recorded = lockfile.outputs(root)
    for path in DATA:
        found, wanted = lockfile.checksum(root / path), recorded[path].md5 if path in recorded else None
        if found is None or found != wanted:
            raise DataError(
                f"{path}: expected MD5 {wanted} as dvc.lock records it, got {found}. Run `dvc pull {path}`."
            )
        inside = [root / path] if (root / path).is_file() else sorted((root / path).rglob("*"))
        for item in inside:
            if item.is_file():
                yield item.relative_to(root).as_posix(), item.read_bytes()


def _write(path: Path, content: dict[str, bytes], *, folder: str, seconds: int) -> None:
    """A tar of sorted names, one owner, one time (of the commit), compressed without a name or time of its own."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0, compresslevel=6) as packed:
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
            for name in sorted(content):
                member = tarfile.TarInfo(f"{folder}/{name}")
                member.size, member.mtime = len(content[name]), seconds
                member.mode = 0o755 if name == ".ci/run" else 0o644
                archive.addfile(member, io.BytesIO(content[name]))
