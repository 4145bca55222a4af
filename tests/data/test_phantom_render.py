"""Label maps become images: any map, drawn or real."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.phantom.anatomy import CORTICOMEDULLARY, PORTAL_VENOUS, Signal, Tissue
from semantiseg.data.phantom.relaxation import FLAIR, T1, T1C, T2, signals
from semantiseg.data.phantom.scan import Scanner, grid_axes, mean_image, render_ct, render_mr
from semantiseg.errors import DataError
from semantiseg.randomness import stream

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
T = Tissue


def halves() -> np.ndarray:
    labels = np.ones((40, 40, 12), np.uint8)
    labels[20:] = 2
    return labels


def test_every_tissue_has_a_ct_number_in_range_and_the_stated_order():
    for table in (PORTAL_VENOUS, CORTICOMEDULLARY):
        assert set(Tissue) <= set(table)
        assert all(-1024 <= signal.mean <= 3071 for signal in table.values())
        mean = {tissue: table[tissue].mean for tissue in Tissue}
        assert mean[T.LUNG] < mean[T.FAT] < mean[T.KIDNEY_CYST] < 20
        assert mean[T.LIVER_TUMOUR] < mean[T.LIVER] < mean[T.LIVER_VESSEL]
        assert mean[T.KIDNEY_CYST] < mean[T.KIDNEY_TUMOUR_CORE] < mean[T.KIDNEY_TUMOUR] < mean[T.KIDNEY_MEDULLA]
        assert mean[T.PANCREATIC_TUMOUR] < mean[T.PANCREAS]
    assert CORTICOMEDULLARY[T.KIDNEY_CORTEX].mean > CORTICOMEDULLARY[T.KIDNEY_MEDULLA].mean + 40


def test_the_sequences_show_brain_tissue_as_their_names_say():
    mean = {
        name: {tissue: signal.mean for tissue, signal in signals(sequence).items()}
        for name, sequence in (("T1", T1), ("T1c", T1C), ("T2", T2), ("FLAIR", FLAIR))
    }
    assert mean["T1"][T.CSF] < mean["T1"][T.GREY_MATTER] < mean["T1"][T.WHITE_MATTER]
    assert mean["T2"][T.WHITE_MATTER] < mean["T2"][T.GREY_MATTER] < mean["T2"][T.CSF]
    assert mean["FLAIR"][T.CSF] < 0.3 * mean["FLAIR"][T.WHITE_MATTER], "CSF is nulled"
    assert mean["FLAIR"][T.OEDEMA] > 1.5 * mean["FLAIR"][T.WHITE_MATTER]
    assert mean["T1c"][T.ENHANCING_TUMOUR] > 1.5 * mean["T1"][T.ENHANCING_TUMOUR], "only gadolinium shows it"
    assert mean["T1c"][T.NECROTIC_CORE] < mean["T1c"][T.WHITE_MATTER]
    assert mean["FLAIR"][T.RESECTION_CAVITY] < mean["FLAIR"][T.WHITE_MATTER]
    assert mean["T2"][T.RESECTION_CAVITY] > mean["T2"][T.OEDEMA]


def test_without_texture_blur_and_noise_the_image_is_the_table():
    labels = halves()
    table = {1: Signal(50), 2: Signal(-100)}
    still = Scanner(blur=0, noise=0)
    image = render_ct(labels, table, spacing=(1, 1, 2), rng=stream("x"), scanner=still)
    assert image.dtype == np.int16
    assert (image == np.where(labels == 1, 50, -100)).all()


def test_noise_has_the_stated_deviation_and_leaves_the_mean():
    table = {1: Signal(50), 2: Signal(50)}
    image = render_ct(halves(), table, spacing=(1, 1, 2), rng=stream("x"), scanner=Scanner(blur=0, noise=10))
    assert image.std() == pytest.approx(10, rel=0.05)
    assert image.mean() == pytest.approx(50, abs=1)


def test_partial_volume_mixes_neighbours_at_a_border_only():
    image = mean_image(
        halves(), {1: Signal(0), 2: Signal(100)}, grid_axes((40, 40, 12), (1, 1, 2)), stream("x"), Scanner(blur=1.0)
    )
    assert 20 < image[19].mean() < 50 < image[20].mean() < 80
    assert image[:14] == pytest.approx(0, abs=1e-3)


def test_what_else_a_patient_has_changes_no_other_tissue():
    rng = ("patient", "CT")
    table = {1: Signal(50, 5, 3, 3), 2: Signal(-100, 5, 3, 3), 3: Signal(0, 5, 3, 3)}
    labels = halves()
    lesion = labels.copy()
    lesion[2:5, 2:5, 2:5] = 3
    still = Scanner(blur=0, noise=5)
    with_, without_ = (
        render_ct(m, table, spacing=(1, 1, 2), rng=stream(*rng), scanner=still) for m in (lesion, labels)
    )
    assert (with_[lesion == labels] == without_[lesion == labels]).all()


def test_mr_scale_is_arbitrary_and_masked_air_is_zero():
    labels = halves()
    labels[:5] = 0
    table = {0: Signal(0), 1: Signal(0.4), 2: Signal(0.8)}
    small, large = (
        render_mr(labels, table, spacing=(1, 1, 1), rng=stream("x"), scale=scale, masked=True) for scale in (500, 5000)
    )
    assert (small[labels == 0] == 0).all() and (large[labels == 0] == 0).all()
    assert large.mean() / small.mean() == pytest.approx(10, rel=0.01)
    assert small[labels == 2].mean() > 1.5 * small[labels == 1].mean()
    assert small.min() >= 0


def test_rician_noise_lifts_air_above_zero():
    image = render_mr(
        np.zeros((30, 30, 10), int), {0: Signal(0), 1: Signal(1)}, spacing=(1, 1, 1), rng=stream("x"), scale=1e4
    )
    level = 0.022 * 1e4
    assert image.mean() == pytest.approx(level * np.sqrt(np.pi / 2), rel=0.03)  # mean of a Rayleigh distribution


def test_a_label_without_a_signal_is_named():
    with pytest.raises(DataError, match=r"got none for \[2\]"):
        render_ct(halves(), {1: Signal(0)}, spacing=(1, 1, 1), rng=stream("x"))


def test_a_real_kidney_label_map_renders_with_its_contrast():
    path = SHARED / "kits23_labels" / "case_00000" / "segmentation.nii.gz"
    if not path.exists():
        pytest.skip(f"real label maps are not here: {path}")
    real = nib.as_closest_canonical(nib.load(path))
    labels = np.asarray(real.dataobj)[::4, ::4]
    spacing = tuple(float(s) * f for s, f in zip(real.header.get_zooms(), (4, 4, 1), strict=True))
    named = {0: T.FAT, 1: T.KIDNEY_CORTEX, 2: T.KIDNEY_TUMOUR, 3: T.KIDNEY_CYST}
    table = {number: CORTICOMEDULLARY[tissue] for number, tissue in named.items()}
    image = render_ct(labels, table, spacing=spacing, rng=stream("real"))
    means = {number: image[labels == number].mean() for number in np.unique(labels)}
    assert means[0] < means[2] < means[1]


def test_a_real_multi_organ_map_renders_as_mr():
    path = SHARED / "totalsegmentator_example" / "example_seg.nii.gz"
    if not path.exists():
        pytest.skip(f"the real segmentation is not here: {path}")
    real = nib.load(path)
    labels = np.asarray(real.dataobj).astype(int)
    table = {int(number): Signal(0.1 + 0.02 * float(number)) for number in np.unique(labels)}
    image = render_mr(
        labels, table, spacing=tuple(map(float, real.header.get_zooms())), rng=stream("real"), scale=1000.0
    )
    assert image.shape == labels.shape and np.isfinite(image).all()
