"""Prepared volumes on disk: one HDF5 file a case, chunked by axial slice, and a manifest in Parquet."""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import LabelArray
from semantiseg.errors import DataError
from semantiseg.files import read_table

# pandas takes longer to import than a small case takes to prepare, and worker processes never see a table.
if TYPE_CHECKING:
    import pandas as pd

MANIFEST = "manifest.parquet"
LIST_COLUMNS = ("source_spacing_mm", "leaves")

_OPEN_FILES = 64
"""Files kept open at a time: opening costs about as much as reading a slice, and systems allow few hundred."""


def write_case(
    path: Path,
    *,
    images: Mapping[str, NDArray[np.floating]],
    labels: LabelArray,
    affine: NDArray[np.floating],
    spacing_mm: float,
    midline: float,
    structures: Mapping[int, str],
) -> None:
    """Write one case; equal arguments give equal bytes. The file appears under its name only when complete.

    Args:
        path: the `.h5` file to write.
        images: channel -> `[D, H, W]`, values in [0, 1]; stored as float16 (steps of at most 0.0005).
        labels: `[D, H, W]`.
        affine: 4 x 4, index (w, h, d) to RAS millimetres.
        spacing_mm: voxel edge.
        midline: column of the mid-sagittal plane.
        structures: label number -> leaf key.

    Raises:
        DataError: an image and the labels differ in shape.
    """
    wrong = {channel: image.shape for channel, image in images.items() if image.shape != labels.shape}
    if wrong or labels.ndim != 3:
        raise DataError(
            f"{path}: expected images and labels of one shape [D, H, W], got labels {labels.shape}, images {wrong}."
        )
    partial = path.with_name(path.name + ".partial")
    options = {
        "chunks": (1, *labels.shape[1:]),
        "compression": "gzip",
        "compression_opts": 1,
        "shuffle": True,
        "track_times": False,
    }
    with h5py.File(partial, "w") as file:
        group = file.create_group("image", track_order=False)
        for channel, image in sorted(images.items()):
            group.create_dataset(channel, data=image.astype(np.float16), **options)
        file.create_dataset("label", data=labels.astype(np.uint8), **options)
        file.attrs["spacing_mm"] = float(spacing_mm)
        file.attrs["affine"] = np.asarray(affine, dtype=np.float64)
        file.attrs["midline"] = float(midline)
        file.attrs["structures"] = json.dumps({str(number): leaf for number, leaf in sorted(structures.items())})
    os.replace(partial, path)


def cases_of(volume_ids: pd.Series) -> pd.Series:
    """Case of every `<case_id>:<channel>`, also of none: `str.rpartition` of an empty column has no columns."""
    return volume_ids.map(lambda name: name.rpartition(":")[0]).astype(object)


class VolumeStore:
    """Read access to a folder of prepared volumes, by `volume_id` (`<case_id>:<channel>`).

    Files are opened when first needed. A store can be pickled and used after a fork: each process opens its own files.
    Use it as a context manager, or call `close`, to let go of the files.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self._manifest: pd.DataFrame | None = None
        self._files: OrderedDict[str, h5py.File] = OrderedDict()
        self._process = os.getpid()

    @property
    def manifest(self) -> pd.DataFrame:
        """One row per volume (columns in docs/architecture.md), indexed by `volume_id`, sorted.

        Raises:
            DataError: there is no manifest, or it cannot be read.
        """
        if self._manifest is None:
            self._manifest = read_manifest(self.root)
        return self._manifest

    def image_slice(self, volume_id: str, index: int) -> NDArray[np.float32]:
        """Axial slice `[H, W]`, values in [0, 1]; reads one chunk."""
        return self._slice(volume_id, self._image_name(volume_id), index).astype(np.float32)

    def label_slice(self, volume_id: str, index: int) -> LabelArray:
        """Labels of an axial slice, `[H, W]`; reads one chunk."""
        return self._slice(volume_id, "label", index)

    def image(self, volume_id: str) -> NDArray[np.float32]:
        """The whole image, `[D, H, W]`."""
        return self._file(volume_id)[self._image_name(volume_id)][:].astype(np.float32)

    def labels(self, volume_id: str) -> LabelArray:
        """The whole label map, `[D, H, W]`."""
        return self._file(volume_id)["label"][:]

    def structures(self, volume_id: str) -> dict[int, str]:
        """Label number -> leaf key, of all labels that the collection has (also those absent from this case)."""
        return {int(number): leaf for number, leaf in json.loads(self._file(volume_id).attrs["structures"]).items()}

    def affine(self, volume_id: str) -> NDArray[np.float64]:
        """4 x 4, index (w, h, d) to RAS millimetres."""
        return self._file(volume_id).attrs["affine"]

    def midline(self, volume_id: str) -> float:
        """Column of the body's mid-sagittal plane; larger columns are the patient's right."""
        return float(self._file(volume_id).attrs["midline"])

    def spacing_mm(self, volume_id: str) -> float:
        """Voxel edge in mm."""
        return float(self._file(volume_id).attrs["spacing_mm"])

    def close(self) -> None:
        """Close all files; the store stays usable."""
        if self._process == os.getpid():
            for file in self._files.values():
                file.close()
        self._files = OrderedDict()
        self._process = os.getpid()

    def __enter__(self) -> VolumeStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"root": self.root}

    def __setstate__(self, state: dict[str, Any]) -> None:
        type(self).__init__(self, state["root"])

    def _row(self, volume_id: str) -> pd.Series:
        try:
            row: Any = self.manifest.loc[volume_id]
            return row
        except KeyError:
            raise DataError(
                f"{self.root / MANIFEST}: expected a volume_id of the manifest, got {volume_id!r}."
            ) from None

    def _image_name(self, volume_id: str) -> str:
        return f"image/{self._row(volume_id)['channel']}"

    def _slice(self, volume_id: str, name: str, index: int) -> NDArray:
        dataset = self._file(volume_id)[name]
        if not 0 <= index < len(dataset):
            raise DataError(f"{volume_id}: expected a slice from 0 to {len(dataset) - 1}, got {index}.")
        return dataset[index]

    def _file(self, volume_id: str) -> h5py.File:
        if self._process != os.getpid():
            self.close()
        name = self._row(volume_id)["file"]
        if name not in self._files:
            path = self.root / name
            try:
                self._files[name] = h5py.File(path, "r")
            except OSError as error:
                raise DataError(
                    f"{path}: expected a prepared case, got {error}. Run the stage prepare again."
                ) from None
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1].close()
        self._files.move_to_end(name)
        return self._files[name]


def write_manifest(root: Path, rows: list[dict[str, Any]]) -> None:
    """Write the manifest of the volumes in `root`, sorted by `volume_id`."""
    import pandas as pd

    table = pd.DataFrame(rows).sort_values("volume_id", ignore_index=True)
    table.to_parquet(root / MANIFEST, index=False)


def read_manifest(root: Path) -> pd.DataFrame:
    """The manifest, indexed by `volume_id`; list columns hold lists.

    Raises:
        DataError: it is missing or cannot be read.
    """
    table = read_table(
        root / MANIFEST, what="the manifest of prepared volumes", remedy="Run the stage prepare first.",
    )
    for column in LIST_COLUMNS:
        table[column] = table[column].map(list)
    return table.set_index("volume_id").sort_index()
