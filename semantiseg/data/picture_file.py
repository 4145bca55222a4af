"""Picture files of others: only the formats that are asked for, and none too large, whatever their names say."""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from semantiseg import limits
from semantiseg.errors import DataError

_UNREADABLE = (
    UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, TypeError, IndexError, OverflowError,
    struct.error, zlib.error,
)  # fmt: skip
"""What Pillow's decoders raise on damaged files, by its own tests and by fuzzing."""


@contextmanager
def opened(path: Path, *, formats: Sequence[str]) -> Iterator[Image.Image]:
    """A picture, decoded whole.

    Args:
        path: the file.
        formats: Pillow's names of the formats allowed. Without them Pillow tries every decoder on any file: an EPS
            named `.png` would be run by Ghostscript.

    Raises:
        DataError: no file, another format, damaged, or larger than `limits.PIXELS`; the size is judged by the header,
            before anything is decoded.
    """
    kinds = " or ".join(formats)
    try:
        with warnings.catch_warnings():
            # Pillow's own bound is global: it warns above it and refuses twice as much, before we see the size.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            Image.MAX_IMAGE_PIXELS = limits.PIXELS.most
            image = Image.open(path, formats=tuple(formats))
        with image:
            limits.PIXELS.require(str(path), image.size)
            image.load()
            yield image
    except Image.DecompressionBombError:
        raise DataError(
            f"{path}: expected at most {limits.PIXELS.most} pixels, got more than twice as many. If that is right, set "
            f"the environment variable {limits.PIXELS.variable} to a larger number."
        ) from None
    except _UNREADABLE as error:
        raise DataError(f"{path}: expected a complete {kinds} file, got {error}. Write it again.") from None
