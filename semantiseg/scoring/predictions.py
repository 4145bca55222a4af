"""One predicted mask from a file or from run lengths, checked against the slice that was asked about.

All become `[H, W]` on the prepared slice: rows to anterior, columns to the patient's right, as
`VolumeStore.image_slice` gives the image.

Where predicted masks lie: a folder of files named by prompt id, or a Parquet table of run lengths. Read piece by
piece, so that memory does not grow with their number.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from semantiseg import files
from semantiseg.conventions import Mask
from semantiseg.data import image_file
from semantiseg.data.nifti import GRID_TOLERANCE
from semantiseg.errors import DataError
from semantiseg.evaluation import runs
from semantiseg.scoring.benchmark import Benchmark

SUFFIXES = (".png", ".nii.gz", ".nii")

Order = Literal["row", "column"]
"""How run lengths go over a mask."""


def read_mask(path: Path, prompt_id: str, benchmark: Benchmark) -> Mask:
    """The mask `[H, W]` that a PNG or NIfTI file gives as answer to a prompt.

    Raises:
        DataError: the file cannot be read, has another shape or affine, or holds anything but two values.
    """
    shape = benchmark.shown(prompt_id).labels.shape
    values = _png(path) if path.name.endswith(".png") else _nifti(path, prompt_id, benchmark)
    if values.shape != shape:
        raise DataError(
            f"{path}: expected a mask of {shape[0]} x {shape[1]} pixels (rows x columns of the prepared slice), got "
            f"{' x '.join(map(str, values.shape))}. {_fitting(values.shape, shape)}"
        )
    return binary(values, str(path))


def _fitting(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What brings a mask of one shape to another."""
    if tuple(shape) == wanted[::-1]:
        return "Swap rows and columns; rows run to anterior, columns to the patient's right."
    return "Resample it to the slice with nearest neighbour."


def binary(values: NDArray, name: str) -> Mask:
    """Values as a mask: 0 and 1, or 0 and 255.

    Raises:
        DataError: NaN, probabilities, label numbers, or no numbers at all.
    """
    if values.dtype == np.bool_:
        return values
    if values.dtype.kind not in "iuf":
        raise DataError(f"{name}: expected a mask of numbers, got {values.dtype}. Write 0 and 1.")
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        count = int((~np.isfinite(values)).sum())
        raise DataError(f"{name}: expected a mask of 0 and 1, got {count} NaN or infinite values. Repair the model.")
    found = np.unique(values)
    if not (np.isin(found, (0, 1)).all() or np.isin(found, (0, 255)).all()):
        fractions = bool((found != np.rint(found)).any())
        what, remedy = (
            ("probabilities", "Threshold them first.")
            if fractions
            else ("label numbers or grey levels", "Write one mask of 0 and 1 (or 0 and 255) a prompt.")
        )
        raise DataError(
            f"{name}: expected a mask of 0 and 1 (or 0 and 255), got {what}: {len(found)} values from {found[0]:g} to "
            f"{found[-1]:g}. {remedy}"
        )
    return values != 0


def _png(path: Path) -> NDArray:
    with image_file.opened_picture(path, formats=("PNG",)) as image:
        mode = image.mode
        # As booleans, Pillow's one-bit pixels hold 255 where NumPy expects 1.
        values = np.asarray(image.convert("L") if mode == "1" else image)
    if values.ndim != 2 or mode == "P":
        raise DataError(f"{path}: expected a PNG of one grey channel, got mode {mode}. Save it as 8-bit grey or 1-bit.")
    return values


def _nifti(path: Path, prompt_id: str, benchmark: Benchmark) -> NDArray:
    """The asked slice of a volume, or a single slice, brought to the prepared grid by its affine."""
    values, geometry = image_file.read(path)
    if values.ndim == 2:
        values = values[..., None]
    if values.ndim == 3:
        image = nib.as_closest_canonical(nib.Nifti1Image(values.astype(np.float32), geometry.affine))
        values = np.asanyarray(image.dataobj)
    else:
        raise DataError(f"{path}: expected one slice or one volume, got shape {values.shape}. Write one mask a prompt.")
    index, affine = int(benchmark.test[prompt_id].slice), benchmark.affine(prompt_id)
    single = values.shape[2] == 1
    if not single and values.shape[2] != benchmark.depth(prompt_id):
        raise DataError(
            f"{path}: expected 1 axial slice or the {benchmark.depth(prompt_id)} of the prepared volume, got "
            f"{values.shape[2]}. Save the mask on the prepared volume's grid."
        )
    if single:
        affine = affine @ _moved(index)
    corners = np.array([[w, h, d, 1.0] for w in (0, values.shape[0]) for h in (0, values.shape[1]) for d in (0, 1)])
    apart = float(np.linalg.norm(((image.affine - affine) @ corners.T)[:3], axis=0).max())
    # Written so that a NaN does not pass.
    if not apart <= GRID_TOLERANCE * float(np.linalg.norm(affine[:3, :3], axis=0).min()):
        raise DataError(
            f"{path}: expected the affine of prepared volume {benchmark.test[prompt_id].volume_id}"
            f"{f', slice {index}' if single else ''}, got corners up to {apart:.3g} mm away. Copy the affine that "
            "VolumeStore.affine gives, or resample."
        )
    return values[:, :, 0 if single else index].T


def _moved(slices: int) -> NDArray[np.float64]:
    step = np.eye(4)
    step[2, 3] = slices
    return step


CARD = "predictions.json"
VERSION_KEY = "semantibench"
"""Key of the card, or of the Parquet schema's metadata, that may name the version of the benchmark answered."""

_BATCH = 256
_ROWS_AT_ONCE = 4096
"""So many rows of a table are held, to answer those about one slice together."""

_NOTES = (".json", ".txt", ".md", ".csv", ".log")

Item = tuple[str, Any]
"""A prompt id with what `mask` turns into an answer: a path, or (height, width, runs)."""


class Predictions(Protocol):
    """Predicted masks of one model.

    Attributes:
        path: where they lie.
        ids: prompt ids answered, each once.
        version: version of the benchmark that they say they answer, if they say so.
    """

    path: Path
    ids: list[str]
    version: str | None

    def stamps(self) -> dict[str, str]:
        """What changes when the answer to a prompt changes, by prompt id."""

    def batches(self, wanted: Collection[str]) -> Iterator[list[Item]]:
        """The wanted answers, some hundred at a time."""


def open_predictions(path: Path, benchmark: Benchmark, *, order: Order = "row") -> Predictions:
    """The predictions at `path`, their names checked against the benchmark; `order` is that of a table's runs.

    Raises:
        DataError: there are none, an id is unknown or given twice, or they name another version of the benchmark.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"{path}: expected a folder of masks or a Parquet file, got nothing. Give its path.")
    found: Predictions = Folder(path, benchmark) if path.is_dir() else MaskTable(path, benchmark, order=order)
    if not found.ids:
        raise DataError(
            f"{path}: expected masks named PROMPT_ID{'|'.join(SUFFIXES)}, got none. Write one a test prompt."
        )
    if found.version not in (None, benchmark.version):
        raise DataError(
            f"{path}: expected answers to benchmark version {benchmark.version}, got answers to {found.version}. Ask "
            "the model the prompts of this benchmark."
        )
    twice = sorted(prompt_id for prompt_id, times in Counter(found.ids).items() if times > 1)
    unknown = sorted(set(found.ids) - set(benchmark.test))
    if twice or unknown:
        raise DataError(
            f"{path}: expected ids of the {len(benchmark.test)} test prompts of benchmark version {benchmark.version}, "
            f"each once, got {len(unknown)} unknown {unknown[:3]}, {len(twice)} repeated {twice[:3]}. Remove them, or "
            "give the benchmark that was answered."
        )
    return found


def mask(item: Item, benchmark: Benchmark) -> Mask:
    """The answer `[H, W]` of one item.

    Raises:
        DataError: it is no binary mask of the slice that was asked about.
    """
    prompt_id, given = item
    if isinstance(given, Path):
        return read_mask(given, prompt_id, benchmark)
    shape = benchmark.shown(prompt_id).labels.shape
    height, width, lengths = given
    if lengths is None or (height, width) != shape:
        raise DataError(
            f"prompt {prompt_id}: expected runs of a mask of {shape[0]} x {shape[1]} pixels, got "
            f"{'none' if lengths is None else f'{height} x {width}'}. Resample it to the slice with nearest neighbour."
        )
    try:
        return runs.decode(lengths, height=height, width=width)
    except DataError as error:
        raise DataError(f"prompt {prompt_id}: {error}") from None


class Folder:
    """Files `PROMPT_ID.png`, `.nii` or `.nii.gz`, and perhaps a card `predictions.json`."""

    def __init__(self, path: Path, benchmark: Benchmark) -> None:
        self.path = path
        names = sorted(item.name for item in path.iterdir() if item.is_file() and not item.name.startswith("."))
        self._files, other = {}, []
        self.ids: list[str] = []
        for name in names:
            suffix = next((end for end in SUFFIXES if name.endswith(end)), None)
            if suffix:
                self.ids.append(name.removesuffix(suffix))
                self._files[self.ids[-1]] = path / name
            elif not name.endswith(_NOTES):
                other.append(name)
        if other:
            raise DataError(
                f"{path}: expected masks as PNG or NIfTI, got {len(other)} other files {other[:3]}. Convert or remove "
                "them."
            )
        self.version = _card_version(path / CARD)
        self._order = list(benchmark.test)

    def stamps(self) -> dict[str, str]:
        """Size and time of change of each file."""
        return {
            prompt_id: f"{stat.st_size}-{stat.st_mtime_ns}"
            for prompt_id, stat in ((prompt_id, file.stat()) for prompt_id, file in self._files.items())
        }

    def batches(self, wanted: Collection[str]) -> Iterator[list[Item]]:
        """Slice by slice, so that each is read once."""
        chosen = [prompt_id for prompt_id in self._order if prompt_id in wanted]
        yield from _split([(prompt_id, self._files[prompt_id]) for prompt_id in chosen])


class MaskTable:
    """A Parquet file with the columns `prompt_id`, `height`, `width`, `runs` (see `evaluation/runs.py`), as the
    pipeline writes them; with the order "column" runs go down the columns, as COCO's and MATLAB's do."""

    def __init__(self, path: Path, benchmark: Benchmark, *, order: Order = "row") -> None:
        self.path, self.by_column = path, order == "column"
        self._order = {prompt_id: place for place, prompt_id in enumerate(benchmark.test)}
        with _readable(path):
            self._file = pq.ParquetFile(path, pre_buffer=False)
            schema = self._file.schema_arrow
        wanted = {"prompt_id": _is_text, "height": pa.types.is_integer, "width": pa.types.is_integer, "runs": _is_runs}
        wrong = {
            name: str(schema.field(name).type) if name in schema.names else "absent"
            for name, fits in wanted.items()
            if name not in schema.names or not fits(schema.field(name).type)
        }
        if wrong:
            raise DataError(
                f"{path}: expected the columns prompt_id (text), height, width (integers), runs (list of integers), "
                f"got {wrong}. Encode masks with semantiseg.evaluation.runs.encode."
            )
        with _readable(path):
            self.ids = self._file.read(["prompt_id"])["prompt_id"].to_pylist()
            version = (schema.metadata or {}).get(VERSION_KEY.encode())
            self.version = version.decode() if version else None

    def stamps(self) -> dict[str, str]:
        """The whole file's fingerprint: a change anywhere is a change of all."""
        return dict.fromkeys(self.ids, (files.fingerprint(self.path) or "")[:16])

    def batches(self, wanted: Collection[str]) -> Iterator[list[Item]]:
        """In the file's order, some thousands at a time slice by slice."""
        for rows in self._rows():
            ids, heights, widths = (rows[name].to_pylist() for name in ("prompt_id", "height", "width"))
            lengths = [_lengths(scalar) for scalar in rows["runs"]]
            if self.by_column:
                lengths = [_by_rows(*given) for given in zip(lengths, heights, widths, strict=True)]
            items = zip(ids, zip(heights, widths, lengths, strict=True), strict=True)
            chosen = sorted((item for item in items if item[0] in wanted), key=lambda item: self._order[item[0]])
            yield from _split(chosen)


    def _rows(self) -> Iterator[pa.RecordBatch]:
        with _readable(self.path):
            yield from self._file.iter_batches(_ROWS_AT_ONCE, columns=["prompt_id", "height", "width", "runs"])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Whatever Arrow raises of a spoiled file, as a `DataError` that names it."""
    try:
        yield
    except Exception as error:
        raise DataError(f"{path}: expected a Parquet file of run lengths, got {error}. Write it again.") from None


def _split(items: list[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]


def _lengths(scalar: pa.ListScalar) -> np.ndarray | None:
    return scalar.values.to_numpy(zero_copy_only=False) if scalar.is_valid and not scalar.values.null_count else None


def _by_rows(lengths: NDArray | None, height: int, width: int) -> NDArray | None:
    """Runs down the columns as runs along the rows; what no mask can be made of stays, and is refused by name."""
    try:
        return None if lengths is None else runs.encode(runs.decode(lengths, height=width, width=height).T)
    except DataError:
        return lengths


def _is_text(kind: pa.DataType) -> bool:
    """A column of strings, however it is stored: plain, as views, or as places in a dictionary."""
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_runs(kind: pa.DataType) -> bool:
    return (pa.types.is_list(kind) or pa.types.is_large_list(kind)) and pa.types.is_integer(kind.value_type)


def _card_version(path: Path) -> str | None:
    if not path.is_file():
        return None
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        return None if card.get(VERSION_KEY) is None else str(card[VERSION_KEY])
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: expected a JSON object, got {error}. Correct or remove it.") from None
