"""Unpack archives of strangers: nothing leaves the folder, nothing but plain files, nothing half done."""

from __future__ import annotations

import lzma
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from semantiseg import files, limits
from semantiseg.data.official import tar
from semantiseg.data.official.space import require_space
from semantiseg.errors import DataError

_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError,
    ValueError, OverflowError, struct.error, FileExistsError, IsADirectoryError, NotADirectoryError,
)  # fmt: skip
"""What the two readers raise: also for encrypted members, and for members that are both a file and a folder."""


def unpack_tar(archive: Path, folder: Path, *, wanted: Callable[[PurePosixPath], bool]) -> list[Path]:
    """Unpack the wanted files of an uncompressed tar, named without their first folder, as `folder`.

    An existing `folder` is replaced. Links, devices and names that point outside are refused, not skipped: an archive
    that holds one is not what its publisher made.

    Raises:
        DataError: the archive is damaged or malicious, or the disk has no room.
    """
    with _whole(archive, folder) as partial, archive.open("rb") as raw, tar.opened(raw) as opened:
        members = []
        for member in opened:
            members.append(member)
            limits.MEMBERS.require(str(archive), (len(members),))
            # A sparse file of some bytes may stand for any number of zeros.
            _require_plain(archive, member.name, plain=(member.isfile() and not member.issparse()) or member.isdir())
        chosen = [member for member in members if member.isfile() and wanted(_inner(member.name))]
        require_space(folder.parent, sum(member.size for member in chosen), purpose=f"unpacking {archive.name}")
        for member in chosen:
            _copy(opened.extractfile(member), partial / _inner(member.name), size=member.size)
    return sorted(path for path in folder.rglob("*") if path.is_file())


def unpack_zip(archive: Path, folder: Path, *, wanted: Callable[[PurePosixPath], bool]) -> list[Path]:
    """Unpack the wanted files of a zip into `folder`, beside what lies there; the last two parts of a name are kept.

    Archives of one challenge hold case folders below folders of changing names (`training_data1_v2/<case>/<file>`).
    Later archives correct earlier ones, so files of the same name are replaced.

    Raises:
        DataError: the archive is damaged or malicious, or the disk has no room.
    """
    partial = folder.parent / f".{folder.name}.unpacking"
    with _whole(archive, partial) as staging, zipfile.ZipFile(archive) as opened:
        limits.MEMBERS.require(str(archive), (len(opened.infolist()),))
        for item in opened.infolist():
            # The upper half of external_attr holds the Unix mode; 0o120000 is a symbolic link.
            _require_plain(archive, item.filename, plain=(item.external_attr >> 16) & 0o170000 != 0o120000)
        chosen = [item for item in opened.infolist() if not item.is_dir() and wanted(PurePosixPath(item.filename))]
        _require_no_bomb(archive, sum(item.file_size for item in chosen))
        require_space(folder.parent, sum(item.file_size for item in chosen), purpose=f"unpacking {archive.name}")
        for item in chosen:
            _copy(opened.open(item), staging.joinpath(*PurePosixPath(item.filename).parts[-2:]), size=item.file_size)
    unpacked = []
    for path in sorted(path for path in partial.rglob("*") if path.is_file()):
        target = folder / path.relative_to(partial)
        files.replace(path, target)
        unpacked.append(target)
    files.remove(partial)
    return unpacked


@contextmanager
def _whole(archive: Path, folder: Path) -> Iterator[Path]:
    """A folder to unpack into that takes its final name only when all went well."""
    partial = folder.with_name(f"{folder.name}.partial")
    files.remove(partial)
    partial.mkdir(parents=True)
    try:
        yield partial
        files.replace(partial, folder)
    except _DAMAGED as error:
        raise DataError(
            f"{archive}: expected a whole archive without links or names that point outside, got {error}. Remove it "
            "and fetch it again."
        ) from None
    finally:
        files.remove(partial)


def _copy(member: IO[bytes] | None, target: Path, *, size: int) -> None:
    """Write the content of an archive's plain file, and nothing else of it: no owner, mode or time.

    `tarfile`'s own safe extraction came with Python 3.11.4; copying needs none.
    """
    if member is None:
        raise tarfile.ReadError(f"{target.name} is no file")
    target.parent.mkdir(parents=True, exist_ok=True)
    with member as source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, tar.LARGEST_READ)
        if sink.tell() != size:
            raise tarfile.ReadError(f"{sink.tell()} of the {size} bytes of {target.name}")


def _require_no_bomb(archive: Path, size: int) -> None:
    """Small archives may be anything: what unpacks to less than a gigabyte does no harm."""
    if size > 1 << 30:
        limits.UNPACKED_TIMES.require(f"{archive} unpacked", (-(-size // archive.stat().st_size),))


def _inner(name: str) -> PurePosixPath:
    return PurePosixPath(*PurePosixPath(name).parts[1:])


def _require_plain(archive: Path, name: str, *, plain: bool) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if not plain or path.is_absolute() or ".." in path.parts or ":" in path.parts[:1]:
        raise DataError(
            f"{archive}: expected plain files below one folder, got {name!r}. This is not the publisher's archive: "
            "remove it and fetch it from the official address."
        )
