"""Read an archive on a server without fetching it: an uncompressed tar or a zip, by stretches."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from semantiseg import limits
from semantiseg.data.official import tar
from semantiseg.data.official.line import Line, Remote
from semantiseg.data.official.transfer import download, size_of
from semantiseg.errors import DataError

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

    def readinto(self, buffer) -> int:
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
        with tar.opened(stream) as archive:
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
