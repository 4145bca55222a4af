"""Uncompressed tars of strangers: their headers may name any length, and are read as if it were true.

Unpack archives of strangers: nothing leaves the folder, nothing but plain files, nothing half done.

Read an archive on a server without fetching it: an uncompressed tar or a zip, by stretches.
"""

from __future__ import annotations

import io
import lzma
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, Any

from semantiseg import files, limits
from semantiseg.data.official.transfer import Line, Remote, download, require_space, size_of
from semantiseg.errors import DataError

LARGEST_READ = 1 << 20
"""Bytes asked for at a time. Contents are copied in pieces of this size; only a header's extension may want more: the
table of a sparse file, a long name, or PAX records, which honest archives keep below a kilobyte."""


class _Pieces:
    """A stream that refuses to be read in pieces larger than `LARGEST_READ`, before they are allocated."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LARGEST_READ:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._stream.read(size)


@contextmanager
def opened_tar(stream: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """A seekable stream as an uncompressed tar.

    Raises:
        tarfile.TarError: it is none, is damaged, or a header is larger than `LARGEST_READ`.
    """
    with tarfile.open(fileobj=_Pieces(stream), mode="r:") as archive:  # type: ignore[call-overload]
        yield archive


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
    with _whole(archive, folder) as partial, archive.open("rb") as raw, opened_tar(raw) as entries:
        members = []
        for member in entries:
            members.append(member)
            limits.MEMBERS.require(str(archive), (len(members),))
            # A sparse file of some bytes may stand for any number of zeros.
            _require_plain(archive, member.name, plain=(member.isfile() and not member.issparse()) or member.isdir())
        chosen = [member for member in members if member.isfile() and wanted(_inner(member.name))]
        require_space(folder.parent, sum(member.size for member in chosen), purpose=f"unpacking {archive.name}")
        for member in chosen:
            _copy(entries.extractfile(member), partial / _inner(member.name), size=member.size)
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
        shutil.copyfileobj(source, sink, LARGEST_READ)
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


STRETCH = 1 << 16
"""Bytes asked for at a time: the headers of small files lie close together."""
KEPT = 64
"""Stretches kept in memory."""


class RemoteFile(io.RawIOBase):
    """A file on a server as a seekable stream; needs a server that answers range requests.

    Raises:
        DataError: on opening, if the server does not say the size or does not serve ranges.
    """

    def __init__(self, remote: Remote, *, line: Line) -> None:
        size, ranges = size_of(remote, line=line)
        if size is None or not ranges:
            raise DataError(
                f"{remote.name}: expected a server that answers range requests, got one that does not. Fetch the whole "
                "archive: leave out the limit."
            )
        self.size, self._remote, self._line, self._position = size, remote, replace(line, progress=_untold), 0
        self._kept: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        return self._position

    def readinto(self, buffer: Any) -> int:
        """One stretch at most; callers that want more ask again."""
        number = self._position // STRETCH
        content = self._stretch(number)[self._position - number * STRETCH :][: len(buffer)]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _stretch(self, number: int) -> bytes:
        if number * STRETCH >= self.size:
            return b""
        if number not in self._kept:
            start, stop = number * STRETCH, min((number + 1) * STRETCH, self.size)
            with tempfile.TemporaryDirectory() as folder:
                target = Path(folder) / "stretch"
                download(replace(self._remote, start=start, stop=stop, checksum=""), target, line=self._line)
                self._kept[number] = target.read_bytes()
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]


@dataclass(frozen=True)
class Member:
    """A file in a remote tar: its name and where its bytes lie."""

    name: str
    start: int
    size: int


def tar_members(remote: Remote, *, line: Line) -> Iterator[Member]:
    """The plain files of a remote tar in the order of the archive, macOS's `._*` left out.

    Raises:
        DataError: it is no uncompressed tar, or the server does not serve ranges.
    """
    stream = io.BufferedReader(RemoteFile(remote, line=line), buffer_size=512)
    try:
        with opened_tar(stream) as archive:
            for count, item in enumerate(archive):
                limits.MEMBERS.require(remote.name, (count + 1,))
                name = PurePosixPath(item.name)
                # Of a sparse file only the parts that are no zeros lie in the archive.
                if item.isfile() and not item.issparse() and not name.name.startswith("._"):
                    yield Member(name.as_posix(), item.offset_data, item.size)
    except (tarfile.TarError, ValueError, OverflowError) as error:
        raise DataError(f"{remote.name}: expected an uncompressed tar, got {error}. {remote.remedy}") from None


def _untold(count: int) -> None:
    """Headers are no progress of the files that are wanted."""
