"""Uncompressed tars of strangers: their headers may name any length, and are read as if it were true."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

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
def opened(stream: IO[bytes]) -> Iterator[tarfile.TarFile]:
    """A seekable stream as an uncompressed tar.

    Raises:
        tarfile.TarError: it is none, is damaged, or a header is larger than `LARGEST_READ`.
    """
    with tarfile.open(fileobj=_Pieces(stream), mode="r:") as archive:  # type: ignore[call-overload]
        yield archive
