"""On 30 real KiTS23 label maps: what a prompt says of side, size and presence agrees with a second computation.

The second computation starts from the raw array as it lies in the file (axes I, P, L; see the affine) and shares no
code with the package: SciPy components, sides by array index, sizes in millimetres from the header's voxel edges.
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage
from scipy.spatial.distance import pdist

from semantiseg.bench.measure.attributes import measure
from semantiseg.data import grid, nifti
from semantiseg.data.labels import KITS23
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse

LABELS = Path(__file__).resolve().parents[3] / "shared" / "data" / "kits23_labels"
CASES = sorted(LABELS.glob("case_*")) if LABELS.is_dir() else []
NUMBERS = {"kidney_parenchyma": 1, "kidney_tumour": 2, "kidney_cyst": 3}

each_case = pytest.mark.parametrize("case", CASES or [None], ids=lambda case: case.name if case else "absent")


@pytest.fixture
def maps(case):
    """The raw array in file order, cut to its labels, and where the middle of the image lies in the cut; the same cut
    on the project's axes, and the middle there; the edge of an in-plane pixel in mm."""
    if case is None:
        pytest.skip(f"the real label maps are not at {LABELS}")
    path = case / "segmentation.nii.gz"
    image = nib.load(path)
    # Thin slices by the hundred cost seconds and say nothing more: every other one, or fewer, is kept of them.
    raw = np.ascontiguousarray(np.asarray(image.dataobj)[:: max(image.shape[0] // 60, 1)])
    edges = image.header.get_zooms()
    assert nib.aff2axcodes(image.affine) == ("I", "P", "L") and edges[1] == pytest.approx(edges[2])
    box = ndimage.find_objects((raw > 0).astype(np.uint8))[0]
    middle = (raw.shape[2] - 1) / 2 - box[2].start
    cut = raw[box]
    labels = nifti.label_values(cut, known=KITS23, path=path, described_in="")
    canonical, _ = grid.to_canonical(labels, image.affine)
    return cut, middle, canonical, cut.shape[2] - 1 - middle, float(edges[1])


def check_diameter(raw, canonical, edge):
    """The diameter said of a tumour is that of the raw slice, by brute force over all corners of its boundary."""
    areas = (raw == 2).sum(axis=(1, 2))
    index = int(areas.argmax())
    drawn = raw[index] == 2
    components, count = ndimage.label(drawn, structure=np.ones((3, 3)))
    if count != 1:
        return  # of several pieces no diameter is said
    rim = np.argwhere(drawn & ~ndimage.binary_erosion(drawn))
    corners = np.unique(np.concatenate([rim + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))]), axis=0)
    expected = pdist(corners[:: max(len(corners) // 2500, 1)]).max() * edge
    mask = canonical[::-1][index] == 2
    found = measure(
        np.zeros(mask.shape, np.float32), mask, np.zeros_like(mask), modality="CT", window=(-150.0, 250.0),
        spacing_mm=edge,
    )["diameter"]  # fmt: skip
    assert found.number == pytest.approx(expected, rel=1e-3)
    assert found.value == str(int(np.floor(found.number + 0.5)))


@each_case
def test_presence_side_and_size_agree_with_the_raw_array(maps):
    raw, middle, canonical, column, edge = maps
    memo = {}

    def voxels(program):
        return int(evaluate(parse(program), canonical, structures=KITS23, midline=column, memo=memo).sum())

    # Presence: a name's value is empty exactly where the number does not occur.
    counts = np.bincount(raw.ravel(), minlength=4)
    assert voxels("organ(kidney)") == counts[1:].sum()
    assert voxels("lesion(kidney_tumour)") == counts[2] and voxels("lesion(kidney_cyst)") == counts[3]
    # Sides: in the raw array index 2 grows toward the patient's left.
    for program, kept in (("organ(kidney)", raw > 0), ("lesion(kidney_tumour)", raw == 2)):
        components, _ = ndimage.label(kept, structure=np.ones((3, 3, 3)))
        sizes = np.bincount(components.ravel())[1:]
        where = np.nonzero(kept)
        left = np.bincount(components[where], weights=where[2])[1:] / sizes > middle
        found = {side: voxels(f"side({program}, {side})") for side in ("left", "right")}
        assert found == {"left": sizes[left].sum(), "right": sizes[~left].sum()}
    # Which lesion is the largest: by voxels, whatever the axes. (`sizes` are the tumours' here.)
    assert voxels("largest(lesion(kidney_tumour))") == sizes.max()
    check_diameter(raw, canonical, edge)
