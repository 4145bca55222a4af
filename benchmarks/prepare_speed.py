"""Preparing a case of KiTS23's size against MONAI's equivalent chain, and measuring the attributes of its regions."""

from __future__ import annotations

import gzip
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.bench.measure.cases import case_attributes
from semantiseg.data import grid
from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.grid import load_volume
from semantiseg.data.intensity import ABDOMEN_HU
from semantiseg.data.labels import KITS23
from semantiseg.errors import DataError

TIMES_FASTER = 4.0
ATTRIBUTES_SECONDS = 3.0
SOURCE_SHAPE, SOURCE_MM = (100, 512, 512), (3.0, 0.78, 0.78)
"""Slices (inferior first), rows, columns, and their edges: KiTS23's medians; its arrays are stored I, P, L."""
SAME_WITHIN = 1e-3
"""Share of the window by which linear interpolation may differ between two implementations."""
REPEATS = 3


def against_monai(root: Path) -> Iterator[dict[str, Any]]:
    """How many times faster than MONAI's Load, Orientation, Spacing, ScaleIntensityRange a file becomes a volume.

    Both read the same two gzipped files, on one thread, in turn; the median of the repeats counts. Beside it stands how
    much of the own time is gzip decoding, which no implementation of the rest can save.

    Raises:
        DataError: the two do not compute the same image.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            case = write_case(Path(scratch))
            chain = _monai_chain()
            files = {"image": str(case.channels[0].path), "label": str(case.label)}
            _require_same_image(chain(files), case)
            theirs, ours, floor = [], [], []
            for _ in range(REPEATS):
                theirs.append(_seconds(lambda: chain(files)))
                ours.append(_seconds(lambda: load_volume(case, spacing_mm=1.0)))
                floor.append(_seconds(lambda: [gzip.decompress(Path(path).read_bytes()) for path in files.values()]))
    finally:
        torch.set_num_threads(threads)
    seconds = {"ours": np.median(ours), "monai": np.median(theirs), "gzip": np.median(floor)}
    yield {
        "name": "prepare_speed_vs_monai",
        "value": round(float(seconds["monai"] / seconds["ours"]), 2),
        "unit": "times",
        "target": TIMES_FASTER,
        "better": "higher",
        "seconds": {key: round(float(value), 2) for key, value in seconds.items()},
        "gzip_share": round(float(seconds["gzip"] / seconds["ours"]), 2),
    }


def attributes(root: Path) -> Iterator[dict[str, Any]]:
    """Processor seconds in which all regions of such a case are measured, prepared at 1 mm, on one core."""
    with tempfile.TemporaryDirectory() as scratch:
        case = write_case(Path(scratch))
        volume = load_volume(case, spacing_mm=1.0)
    low, high = volume.intensities["CT"].window
    facts = {
        "channel": "CT", "modality": "CT", "lateral": True, "midline": volume.midline, "spacing_mm": 1.0,
        "source_spacing_mm": list(volume.source_spacing_mm), "window_low": low, "window_high": high,
    }  # fmt: skip
    seconds = []
    for _ in range(REPEATS):
        started = time.process_time()
        case_attributes(volume.labels, dict(volume.images), structures=dict(volume.structures), facts={"CT": facts})
        seconds.append(time.process_time() - started)
    yield {
        "name": "attributes_seconds_per_case",
        "value": round(float(np.median(seconds)), 2),
        "unit": "s",
        "target": ATTRIBUTES_SECONDS,
    }


def write_case(folder: Path, *, seed: int = 0) -> SourceCase:
    """A gzipped CT with noise and its label map, of `SOURCE_SHAPE`, stored I, P, L: two kidneys, a tumour, a cyst."""
    rng = np.random.default_rng(seed)
    slices, rows, columns = np.ogrid[: SOURCE_SHAPE[0], : SOURCE_SHAPE[1], : SOURCE_SHAPE[2]]

    def ball(centre: tuple[int, int, int], mm: tuple[float, float, float]) -> NDArray[np.bool_]:
        offsets = zip((slices, rows, columns), centre, SOURCE_MM, mm, strict=True)
        return sum(((where - middle) * edge / radius) ** 2 for where, middle, edge, radius in offsets) < 1

    labels = np.zeros(SOURCE_SHAPE, dtype=np.uint8)
    for column in (150, 360):
        labels[ball((50, 300, column), (55, 30, 28))] = 1
    labels[ball((62, 280, 165), (26, 24, 24))] = 2
    labels[ball((40, 310, 372), (12, 12, 12))] = 3
    body = ((rows - 256) / 170) ** 2 + ((columns - 256) / 230) ** 2 < 1
    coarse = rng.normal(0, 25, (SOURCE_SHAPE[0] // 8 + 2, 17, 17))
    texture = ndimage.zoom(coarse, (8, 32, 32), order=1)[: SOURCE_SHAPE[0], : SOURCE_SHAPE[1], : SOURCE_SHAPE[2]]
    image = np.where(body, 40 + texture, -1000) + np.array([0, 110, 50, -30])[labels]
    image += rng.normal(0, 12, SOURCE_SHAPE)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2], affine[3, 3] = -SOURCE_MM[0], -SOURCE_MM[1], -SOURCE_MM[2], 1
    paths = folder / "imaging.nii.gz", folder / "segmentation.nii.gz"
    nib.save(nib.Nifti1Image(np.clip(image, -1024, 3000).astype(np.int16), affine), paths[0])
    nib.save(nib.Nifti1Image(labels, affine), paths[1])
    return SourceCase(
        "case_00000", "case_00000", "KiTS23", "official", (Channel("CT", "CT", paths[0]),), paths[1], KITS23
    )


def _monai_chain() -> Callable[[dict[str, str]], dict[str, Any]]:
    from monai.transforms import Compose, LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd

    keys = ("image", "label")
    low, high = ABDOMEN_HU
    return Compose(
        [
            LoadImaged(keys, image_only=True, ensure_channel_first=True),
            Orientationd(keys, axcodes="RAS", labels=None),
            Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest")),
            ScaleIntensityRanged("image", a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True),
        ]
    )


def _require_same_image(theirs: dict[str, Any], case: SourceCase) -> None:
    """Sample our image on MONAI's grid (which starts at the first voxel; ours is centred) and compare."""
    source = nib.load(case.channels[0].path)
    canonical, affine = grid.to_canonical(np.asarray(source.dataobj, dtype=np.float32), source.affine)
    expected = theirs["image"].numpy()[0].transpose(2, 1, 0)
    to_source = np.linalg.inv(affine) @ np.asarray(theirs["image"].affine, dtype=np.float64)
    positions = tuple(
        to_source[axis, axis] * np.arange(size) + to_source[axis, 3]
        for axis, size in zip((2, 1, 0), expected.shape, strict=True)
    )
    low, high = ABDOMEN_HU
    found = np.clip((grid.resample_image(canonical, positions) - low) / (high - low), 0, 1)
    apart = float(np.abs(found - expected).max())
    if apart > SAME_WITHIN:
        raise DataError(
            f"benchmark prepare: expected the values of MONAI's chain within {SAME_WITHIN}, got {apart:.4f}. The two "
            "do not compute the same, so their times cannot be compared."
        )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


BENCHMARKS = (against_monai, attributes)
