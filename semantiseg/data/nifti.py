"""Read NIfTI files and refuse what cannot be used. Arrays here are in file order `[I, J, K]`."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import IO

import numpy as np
from nibabel.volumeutils import apply_read_scaling
from numpy.typing import NDArray

from semantiseg.data.case import Channel, FileRefused
from semantiseg.data.header import Affine, Geometry, Header, judged

GRID_TOLERANCE = 0.1
"""Image and label lie on one grid when no corner differs by more than this share of the smallest voxel edge."""

LABEL_TOLERANCE = 1e-3
"""How far a stored label may lie from a whole number: as a scale (`scl_slope`) or a float cast does, no resampling."""

_FEW_NUMBERS = 16
"""Highest label number up to which looking for each by itself is faster than counting all."""

_LONGEST_HEADER = 540
_DEFLATE = 1032
"""Most that deflate can shrink: a file that promises more voxels is cut off, and no memory is taken for it."""


def read_header(path: Path) -> Header:
    """What the file's header says, judged; no voxel is read.

    Raises:
        FileRefused: the file is missing or no NIfTI, or a field of the header cannot be used.
    """
    with _Opened(path) as stream:
        return judged(stream.read(_LONGEST_HEADER), path=path)


def read(path: Path) -> tuple[NDArray, Geometry]:
    """Scaled values in the file's own shape (and precision, where it stores no scale), and where its voxels lie.

    Whether the file is compressed is told from its first bytes, not from its name.

    Raises:
        FileRefused: the file is missing, truncated or no NIfTI, or a field of the header cannot be used.
    """
    with _Opened(path) as stream:
        head = stream.read(_LONGEST_HEADER)
        header = judged(head, path=path)
        _require_long_enough(path, header, compressed=isinstance(stream, gzip.GzipFile))
        stream.seek(header.offset)
        data = stream.read(header.size)
    if len(data) < header.size:
        raise FileRefused(
            path,
            f"expected a complete NIfTI file, got {len(data):,} of {header.size:,} bytes of voxels",
            "Fetch or convert the file again.",
        )
    values = np.frombuffer(data, header.dtype).reshape(header.shape, order="F")
    if header.scale:
        values = apply_read_scaling(values, *map(np.float64, header.scale))
    elif not header.dtype.isnative:
        values = values.astype(header.dtype.newbyteorder("="))
    return values, header.geometry


class _Opened:
    """A file opened for reading, decompressed where it is gzip; what the system says against it is a `FileRefused`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> IO[bytes]:
        try:
            self.raw = self.path.open("rb")
            compressed = self.raw.read(2) == b"\x1f\x8b"
            self.raw.seek(0)
        except FileNotFoundError:
            raise FileRefused(self.path, "expected a NIfTI file, got none", "Fetch the collection again.") from None
        except (OSError, ValueError) as error:
            raise self._refused(error) from None
        return gzip.GzipFile(fileobj=self.raw) if compressed else self.raw  # type: ignore[return-value]

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        self.raw.close()
        if isinstance(error, EOFError | OSError | zlib.error):
            raise self._refused(error) from None

    def _refused(self, error: BaseException) -> FileRefused:
        text = f"expected a complete NIfTI file, got {error or type(error).__name__}"
        return FileRefused(self.path, text, "Fetch or convert the file again.")


def _require_long_enough(path: Path, header: Header, *, compressed: bool) -> None:
    most = path.stat().st_size * (_DEFLATE if compressed else 1)
    if header.offset + header.size > most + _LONGEST_HEADER:
        raise FileRefused(
            path,
            f"expected a complete NIfTI file, got a file too short for shape {header.shape}",
            "Fetch or convert the file again.",
        )


def _spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of three axes where a file has two (one slice) or trailing axes of length 1; others as they are."""
    if len(shape) == 2:
        return (*shape, 1)
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _what(shape: tuple[int, ...], fourth: str = "channels or time points") -> str:
    """A shape and what it is in practice."""
    kinds = {4: f"{shape[-1]} {fourth}", 5: "a vector image"}
    return f"shape {shape}" + (f" ({kinds[len(shape)]})" if len(shape) in kinds else "")


def volume_shape(shape: tuple[int, ...], channel: Channel) -> tuple[int, int, int]:
    """Shape `[I, J, K]` of one channel in a file whose values have that shape; 2D is a volume of one slice.

    Raises:
        FileRefused: wrong number of axes or channels.
    """
    several = len(shape) == 4 and shape[3] == channel.channels_in_file
    if channel.index is not None and not several:
        raise FileRefused(
            channel.path,
            f"expected a 4D image with {channel.channels_in_file} channels, got {_what(shape)}",
            "Correct the file or the entry 'modality' of dataset.json.",
        )
    volume = _spatial(shape[:3] if several else shape)
    if len(volume) != 3:
        raise FileRefused(
            channel.path,
            f"expected a 3D image, got {_what(shape)}",
            "Write one 3D file a case, or list every channel under 'modality' in dataset.json.",
        )
    return volume


def image_values(values: NDArray, channel: Channel) -> NDArray[np.float32]:
    """The 3D image of one channel, checked; a 2D file is a volume of one slice.

    Raises:
        FileRefused: wrong number of axes or channels, values that are not finite, or one value everywhere.
    """
    shape = volume_shape(values.shape, channel)
    if values.ndim == 4 and values.shape[3] == channel.channels_in_file:
        values = values[..., channel.index or 0]
    values = values.reshape(shape, order="F")
    if values.dtype.kind not in "iuf":
        raise FileRefused(
            channel.path, f"expected real numbers, got {values.dtype}", "Convert the image to int16 or float32."
        )
    image = values.astype(np.float32)
    if values.dtype.kind == "f" and not np.isfinite(image).all():
        count = int((~np.isfinite(image)).sum())
        raise FileRefused(
            channel.path,
            f"expected finite intensities, got {count} NaN or infinite voxels",
            "Repair or leave out the case.",
        )
    if image.min() == image.max():
        raise FileRefused(
            channel.path,
            f"expected an image, got {image.min():g} in every voxel",
            "Export it again or leave out the case.",
        )
    return image


def label_values(values: NDArray, *, known: Iterable[int], path: Path, described_in: str) -> NDArray[np.uint8]:
    """The 3D label map, checked against the numbers that the collection names (0 is always known).

    Numbers within `LABEL_TOLERANCE` of a whole number are that number; a 2D file is a volume of one slice.

    Raises:
        FileRefused: wrong number of axes, NaN, fractions, or numbers that nothing names.
    """
    shape = _spatial(values.shape)
    if len(shape) != 3:
        raise FileRefused(
            path,
            f"expected a 3D label map, got {_what(shape, 'masks, one-hot')}",
            "Write one number a voxel in a 3D file.",
        )
    values = values.reshape(shape, order="F")
    values = _whole_numbers(values, path=path)
    # Signed zeros and -1 must be told before the cast to uint8 wraps them.
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        raise FileRefused(
            path, f"expected label numbers from 0 to 255, got {low:g} to {high:g}", "Correct the label map."
        )
    labels = values.astype(np.uint8)
    unnamed = sorted(set(present(labels)) - set(known) - {0})
    if unnamed:
        raise FileRefused(
            path,
            f"expected the labels that {described_in} names ({sorted(known)}), got also {unnamed}",
            "Name them there.",
        )
    return labels


def _whole_numbers(values: NDArray, *, path: Path) -> NDArray:
    if values.dtype.kind in "iub":
        return values
    if values.dtype.kind != "f":
        raise FileRefused(
            path, f"expected whole label numbers, got {values.dtype}", "Export the label map as uint8."
        )
    if not np.isfinite(values).all():
        raise FileRefused(
            path, "expected whole label numbers, got NaN or infinity", "Export the label map again as uint8."
        )
    whole = np.rint(values)
    apart = np.abs(values - whole) > LABEL_TOLERANCE
    if apart.any():
        raise FileRefused(
            path,
            f"expected whole label numbers (within {LABEL_TOLERANCE:g}), got {values[apart].flat[0]:g}",
            "Resample label maps with nearest neighbour.",
        )
    return whole


def present(labels: NDArray[np.uint8]) -> list[int]:
    """Label numbers that occur, sorted, without background."""
    highest = int(labels.max(initial=0))
    if highest <= _FEW_NUMBERS:
        # A pass a number reads a byte a voxel; bincount widens its input to 64 bits.
        return [number for number in range(1, highest + 1) if (labels == number).any()]
    flat = labels.ravel(order="K")
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, flat.size, 1 << 22):
        counts += np.bincount(flat[start : start + (1 << 22)], minlength=256)
    return [int(number) for number in np.flatnonzero(counts) if number]


def require_same_grid(
    image_shape: tuple[int, ...],
    image_affine: Affine,
    label_shape: tuple[int, ...],
    label_affine: Affine,
    *,
    image: Path,
    label: Path,
) -> None:
    """Stop unless both arrays cover the same voxels (tolerance: `GRID_TOLERANCE`).

    Raises:
        FileRefused: shape or affine differ.
    """
    if image_shape != label_shape:
        raise FileRefused(
            label,
            f"expected one shape with {image}, got {label_shape} and {image_shape}",
            "Resample one to the other.",
        )
    corners = np.array([[*corner, 1] for corner in product(*((0, size - 1) for size in image_shape))], dtype=np.float64)
    apart = np.linalg.norm(((image_affine - label_affine) @ corners.T)[:3], axis=0).max()
    edge = np.linalg.norm(image_affine[:3, :3], axis=0).min()
    if apart > GRID_TOLERANCE * edge:
        raise FileRefused(
            label,
            f"expected one affine with {image}, got corners up to {apart:.3g} mm apart (at most {GRID_TOLERANCE} voxel "
            "is let pass)",
            "Copy the right header to the other file, or resample.",
        )
