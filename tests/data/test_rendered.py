"""Images rendered from label maps: the labels stay the patient's, the sides too, and the origin says what was made."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.rendered import render_kits23
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError


def label_map(folder: Path, values: np.ndarray) -> Path:
    """A KiTS23 segmentation: axes inferior, posterior, left; voxels of 2 x 1 x 1 mm."""
    folder.mkdir(parents=True)
    affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [-2, 0, 0, 0], [0, 0, 0, 1]], dtype=float)
    nib.save(nib.Nifti1Image(values, affine), folder / "segmentation.nii.gz")
    return folder / "segmentation.nii.gz"


@pytest.fixture
def kidneys() -> np.ndarray:
    """Two kidneys of unlike size; columns of the file grow to the patient's left."""
    values = np.zeros((20, 60, 100), dtype=np.uint8)
    values[8:14, 20:40, 20:40] = 1
    values[8:14, 24:30, 24:30] = 2
    values[9:13, 22:36, 66:80] = 1
    return values


def test_labels_sides_and_tissues_are_those_of_the_map(tmp_path, kidneys):
    ids = render_kits23([label_map(tmp_path / "case_7", kidneys)], tmp_path / "v", spacing_mm=1.0, seed=0)
    assert ids == ["case_7:CT"]
    with VolumeStore(tmp_path / "v") as store:
        labels, image, row = store.labels(ids[0]), store.image(ids[0]), store.manifest.loc[ids[0]]
    assert (row["origin"], row["source_axes"]) == ("rendered", "IPL")
    columns = np.flatnonzero((labels == 2).any(axis=(0, 1)))
    # The tumour lies in the right kidney: beyond the midline, where columns grow to the patient's right.
    assert columns.min() > row["midline"]
    assert abs((labels > 0).sum() / (2 * (kidneys > 0).sum()) - 1) < 0.1
    low, high = row["window_low"], row["window_high"]
    means = {number: float(image[labels == number].mean() * (high - low) + low) for number in (0, 1, 2)}
    assert means[0] < 0 < means[2] < means[1]


def test_the_midline_is_that_of_the_whole_field_of_view(tmp_path, kidneys):
    ids = render_kits23([label_map(tmp_path / "case_7", kidneys)], tmp_path / "v", spacing_mm=1.0, seed=0)
    with VolumeStore(tmp_path / "v") as store:
        midline, labels = store.midline(ids[0]), store.labels(ids[0])
    # 100 columns, centre 49.5; turned to grow rightwards, the first labelled column is 20.
    first = np.flatnonzero((labels > 0).any(axis=(0, 1)))[0]
    assert midline - first == pytest.approx(49.5 - (99 - 79), abs=0.6)


def test_equal_seeds_give_equal_files_and_other_seeds_other_images(tmp_path, kidneys):
    path = label_map(tmp_path / "case_7", kidneys)
    files = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        render_kits23([path], tmp_path / name, spacing_mm=2.0, seed=seed)
        files.append((tmp_path / name / "case_7.h5").read_bytes())
    assert files[0] == files[1] != files[2]


def test_a_map_without_labels_is_refused(tmp_path):
    path = label_map(tmp_path / "case_0", np.zeros((4, 5, 6), dtype=np.uint8))
    with pytest.raises(DataError, match="expected a label map with a kidney"):
        render_kits23([path], tmp_path / "v", spacing_mm=1.0, seed=0)
