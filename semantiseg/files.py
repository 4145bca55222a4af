"""Files as the pipeline treats them: content fingerprints, and replacement that leaves either the old or the new.

Where verbs write: never into a folder of somebody else's, never over anything that they read.

A folder that a verb has made bears a marker that says which verb it was, and only that verb writes there again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantiseg.errors import DataError, OutputError

if TYPE_CHECKING:
    import pandas as pd


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


def read_table(
    path: Path, *, what: str, remedy: str, columns: Sequence[str] | None = None, filters: Any = None
) -> pd.DataFrame:
    """A Parquet file: the one door, since a flipped byte makes Arrow and pandas raise almost anything.

    Args:
        path: the file.
        what: it holds, for the message: "test prompts".
        remedy: a sentence: "Run the stage 'verify' again."
        columns: only these.
        filters: as `pandas.read_parquet`.

    Raises:
        DataError: no file, no Parquet, or without one of the columns.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path, columns=None if columns is None else list(columns), filters=filters)
    except Exception as error:
        found = "no file" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
        raise DataError(f"{path}: expected {what}, got {found or type(error).__name__}. {remedy}") from None


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


MARKER = ".semantiseg"
_LINE = "Made by `semantiseg {verb}`, which may replace everything in this folder.\n"


def check_folder(folder: Path, *, verb: str, inputs: Iterable[Path] = (), own: Iterable[str] = ()) -> None:
    """Refuse a folder that a verb must not write into; writes nothing.

    Args:
        folder: what the user named. An absent one, an empty one and one that bears the verb's marker will do.
        verb: words after `semantiseg`.
        inputs: files and folders that the verb reads; the folder may be none of them and hold none of them.
        own: patterns of the names that the verb writes; a folder that holds nothing else will do too.

    Raises:
        OutputError: a file, a link, an input, or a folder with other files.
    """
    if folder.is_symlink():
        raise OutputError(f"{folder}: expected a folder, got a link to {os.readlink(folder)}. Name its target.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder, got a file. Name another folder.")
    for read in inputs:
        if _same(folder, read) or _holds(folder, read):
            raise OutputError(
                f"{folder}: expected a folder apart from what is read, got one that is or holds {read}. Name another."
            )
    held = sorted(item.name for item in folder.iterdir()) if folder.is_dir() else []
    if is_own(folder, verb=verb) or all(any(fnmatch(name, pattern) for pattern in (*own, MARKER)) for name in held):
        return
    raise OutputError(
        f"{folder}: expected an absent or empty folder, or one that `semantiseg {verb}` made, got other files "
        f"({', '.join(held[:3])}{', ...' if len(held) > 3 else ''}). Name another folder; nothing was written."
    )


def claim(folder: Path, *, verb: str, inputs: Iterable[Path] = (), own: Iterable[str] = ()) -> None:
    """Make the folder, unless `check_folder` refuses it, and mark it as the verb's."""
    check_folder(folder, verb=verb, inputs=inputs, own=own)
    mark(folder, verb=verb)


def renew(folder: Path, *, verb: str, inputs: Iterable[Path] = ()) -> None:
    """Claim the folder and empty it. The marker comes first: a folder left half empty by a kill is still the verb's."""
    claim(folder, verb=verb, inputs=inputs)
    for item in folder.iterdir():
        if item.name != MARKER:
            remove(item)


def mark(folder: Path, *, verb: str) -> None:
    """Write the marker; for folders that are made under another name and moved when complete."""
    write(folder / MARKER, _LINE.format(verb=verb))


def is_own(folder: Path, *, verb: str) -> bool:
    """Does the folder bear the verb's marker?"""
    try:
        return (folder / MARKER).read_text(encoding="utf-8") == _LINE.format(verb=verb)
    except (OSError, UnicodeDecodeError):
        return False


def check_file(path: Path, *, inputs: Iterable[Path], opening: bytes = b"") -> None:
    """Refuse a file that a verb must not write.

    Args:
        path: what the user named.
        inputs: files and folders that the verb reads; the file may be none of them, and no file that lies in one.
        opening: with what all files that the verb writes begin; one that begins otherwise is somebody else's.

    Raises:
        OutputError: a folder, an input, or somebody else's file.
    """
    if path.is_dir():
        raise OutputError(f"{path}: expected the name of a file, got a folder. Name a file in it.")
    for read in inputs:
        if _same(path, read) or (path.exists() and _holds(read, path)):
            raise OutputError(f"{path}: expected a file apart from what is read, got one that is read. Name another.")
    if opening and path.is_file():
        with path.open("rb") as stream:
            if stream.read(len(opening)) not in (opening, b""):
                raise OutputError(f"{path}: expected an absent file or an earlier one of its kind, got another. "
                                  "Name another file; nothing was written.")  # fmt: skip


def _same(one: Path, other: Path) -> bool:
    """Two spellings of one place: through links of both kinds, `..`, and letters on disks that do not tell case."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)


def _holds(folder: Path, item: Path) -> bool:
    inner = Path(os.path.realpath(item))
    return any(_same(folder, parent) for parent in inner.parents) if folder.is_dir() else False
