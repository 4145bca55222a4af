from __future__ import annotations

import locale
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from semantiseg.data.scan import read_scan, write_masks
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError

AXES = {
    "RAS": np.diag([1.0, 1, 1, 1]),
    "LPI": np.diag([-1.0, -1, -1, 1]),
    "IPL": np.array([[0, 0, -1.0, 0], [0, -1, 0, 0], [-1, 0, 0, 0], [0, 0, 0, 1]]),
    "PSR": np.array([[0, 0, 1.0, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),  # its own inverse is another one
}


def image(path: Path, axes: str = "RAS", *, size=(20, 24, 10), spacing: float = 1.0, low: float = -1000) -> np.ndarray:
    """A box of 40 in air, right, anterior and superior of the centre; returns the values in file order."""
    turned = np.full(size, low, np.float32)  # (right, anterior, superior)
    turned[2:18, 2:22] = 0
    turned[11:16, 13:19, 6:9] = 40
    affine = AXES[axes] @ np.diag([spacing, spacing, spacing, 1])
    orientation = nib.orientations.ornt_transform(nib.io_orientation(np.eye(4)), nib.io_orientation(affine))
    values = nib.orientations.apply_orientation(turned, orientation)
    nib.save(nib.Nifti1Image(values, affine), path)
    return values


@pytest.mark.parametrize("axes", list(AXES))
@pytest.mark.parametrize("spacing", [1.0, 0.8, 2.0])
def test_what_is_seen_comes_back_in_the_files_own_order(tmp_path, axes, spacing):
    values = image(tmp_path / "scan.nii.gz", axes, spacing=spacing)
    scan = read_scan(tmp_path / "scan.nii.gz")
    assert scan.modality == "CT" and scan.image.max() == pytest.approx(190 / 400, abs=1e-3)
    seen = (scan.image > 0.43).astype(np.float32)  # between 0 and 40 HU in the abdominal window
    back = scan.in_file_order(seen) > 0.5
    box = values == 40
    assert back.shape == values.shape
    overlap = 2 * (back & box).sum() / (back.sum() + box.sum())
    assert overlap == 1 if spacing == 1 else overlap > 0.85
    half = seen.shape[1] // 2
    assert seen[:, half:].sum() > seen[:, :half].sum(), "rows grow to anterior in every file"


def test_an_image_of_a_prepared_case_is_what_the_models_were_trained_on(root: Path):
    raw = root / "data/raw/KiTS23"
    if not raw.is_dir():
        pytest.skip("the demo's data are not here: run `dvc repro prepare`")
    case = sorted(path.name for path in raw.iterdir() if path.is_dir())[0]
    scan = read_scan(raw / case / "imaging.nii.gz")
    with VolumeStore(root / "data/volumes") as store:
        assert np.abs(scan.image - store.image(f"{case}:CT")).max() < 1e-3
        assert scan.midline == store.midline(f"{case}:CT")


def test_masks_carry_the_geometry_of_the_image(tmp_path):
    values = image(tmp_path / "scan.nii.gz", "LPI", spacing=0.8)
    scan = read_scan(tmp_path / "scan.nii.gz")
    mask = values == 40
    write_masks(tmp_path / "one.nii.gz", mask[None], scan)
    write_masks(tmp_path / "two.nii", np.stack([mask, ~mask]), scan)
    source, one, two = (nib.load(tmp_path / name) for name in ("scan.nii.gz", "one.nii.gz", "two.nii"))
    assert np.allclose(one.affine, source.affine) and np.allclose(two.affine, source.affine)
    assert one.get_data_dtype() == np.uint8 and (np.asarray(one.dataobj) == mask).all()
    assert two.shape == (*values.shape, 2) and (np.asarray(two.dataobj)[..., 1] == ~mask).all()
    assert int(one.header["sform_code"]) == int(source.header["sform_code"])
    with pytest.raises(DataError, match="ends in .nii"):
        write_masks(tmp_path / "mask.png", mask[None], scan)


def test_a_single_slice_is_an_image_of_two_axes_or_of_depth_one(tmp_path):
    values = image(tmp_path / "scan.nii.gz")
    for name, part in (("two.nii.gz", values[:, :, 7]), ("one.nii.gz", values[:, :, 7:8])):
        nib.save(nib.Nifti1Image(part, np.eye(4)), tmp_path / name)
        scan = read_scan(tmp_path / name)
        assert scan.image.shape == (1, 24, 20)
        back = scan.in_file_order(scan.image > 0.43) > 0.5
        assert back.shape == part.shape and (back == (part == 40)).all()


def test_modality_is_told_by_negative_values_or_by_the_user(tmp_path):
    image(tmp_path / "mr.nii.gz", low=1)
    assert read_scan(tmp_path / "mr.nii.gz").modality == "MR"
    assert read_scan(tmp_path / "mr.nii.gz", modality="CT").modality == "CT"
    image(tmp_path / "ct.nii.gz")
    lung = read_scan(tmp_path / "ct.nii.gz", site="lung").image
    assert lung.max() == pytest.approx(1040 / 1400, abs=1e-3)


def test_several_channels_need_a_choice(tmp_path):
    values = image(tmp_path / "scan.nii.gz")
    nib.save(nib.Nifti1Image(np.stack([values, values + 7], axis=3), np.eye(4)), tmp_path / "four.nii.gz")
    with pytest.raises(DataError, match="2 channels.*--channel"):
        read_scan(tmp_path / "four.nii.gz")
    with pytest.raises(DataError, match="from 0 to 1, got 2"):
        read_scan(tmp_path / "four.nii.gz", channel=2)
    chosen = read_scan(tmp_path / "four.nii.gz", channel=1)
    assert chosen.shape == values.shape and chosen.image.max() == pytest.approx(197 / 400, abs=1e-3)
    with pytest.raises(DataError, match="one channel"):
        read_scan(tmp_path / "scan.nii.gz", channel=3)


@pytest.mark.parametrize(
    ("size", "said"), [((1, 24, 10), "axial slices of at least 2 x 2"), ((20, 24, 10, 1, 3), "one channel")]
)
def test_what_is_no_axial_image_is_refused(tmp_path, size, said):
    values = np.random.default_rng(0).normal(0, 50, size).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.eye(4)), tmp_path / "odd.nii.gz")
    with pytest.raises(DataError, match=said):
        read_scan(tmp_path / "odd.nii.gz")


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "broken.nii.gz").write_bytes(b"no picture")
    with pytest.raises(DataError, match="broken.nii.gz"):
        read_scan(tmp_path / "broken.nii.gz")
    with pytest.raises(DataError, match="absent.nii.gz"):
        read_scan(tmp_path / "absent.nii.gz")


def volume() -> np.ndarray:
    """`[I, J, K]` = 14 x 12 x 5: a block in air, brighter towards its end along every axis."""
    values = np.full((14, 12, 5), -1000, np.int16)
    values[2:11, 3:10] = 40
    values[6:11, 5:10, 2:] = 90
    return values


def write_itk(path, values, *, series: bool = False) -> None:
    """The volume with oblique-free LPS directions, anisotropic spacing and an origin of its own."""
    sitk = pytest.importorskip("SimpleITK")
    stored = sitk.GetImageFromArray(values.transpose(2, 1, 0))
    stored.SetSpacing((0.8, 0.9, 2.5))
    stored.SetOrigin((-30.0, 12.0, 100.0))
    if not series:
        sitk.WriteImage(stored, str(path))
        return
    path.mkdir()
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    before = locale.setlocale(locale.LC_ALL)
    for index in range(stored.GetDepth()):
        one = stored[:, :, index]
        tags = {
            "0008|0060": "CT", "0020|000e": "1.2.826.0.1.3680043.2.1125.1", "0008|0018": f"1.2.826.0.1.1.{index}",
            "0020|000d": "1.2.826.0.1.3680043.2.1125.2", "0020|0037": "1\\0\\0\\0\\1\\0",
            "0020|0032": f"-30\\12\\{100 + 2.5 * index}", "0020|0013": str(index), "0028|1052": "0", "0028|1053": "1",
        }  # fmt: skip
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer.SetFileName(str(path / f"slice{4 - index}.dcm"))  # names do not tell the order
        writer.Execute(one)
    locale.setlocale(locale.LC_ALL, before)  # GDCM writes in the locale C and leaves the process in it


@pytest.mark.parametrize("name", ["scan.mha", "scan.nrrd", "series"])
def test_masks_of_an_itk_image_lie_where_its_voxels_do(tmp_path, name):
    values = volume()
    write_itk(tmp_path / name, values, series=name == "series")
    scan = read_scan(tmp_path / name)
    assert scan.shape == values.shape and scan.modality == "CT"
    expected = np.array([[-0.8, 0, 0, 30], [0, -0.9, 0, -12], [0, 0, 2.5, 100], [0, 0, 0, 1]])
    assert np.allclose(scan.affine, expected, atol=1e-6)  # LPS to RAS by hand
    write_masks(tmp_path / "mask.nii.gz", (values == 90)[None], scan)
    written = nib.load(tmp_path / "mask.nii.gz")
    assert np.allclose(written.affine, expected, atol=1e-5) and (np.asarray(written.dataobj) == (values == 90)).all()
    assert int(written.header["sform_code"]) == int(written.header["qform_code"]) == 1


def test_a_nifti_file_that_is_not_compressed_as_its_name_says_gets_an_answer(tmp_path):
    nib.save(nib.Nifti1Image(volume(), np.diag([1.0, 1.0, 3.0, 1.0])), tmp_path / "scan.nii")
    (tmp_path / "scan.nii").rename(tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz")
    write_masks(tmp_path / "mask.nii.gz", (volume() == 90)[None], scan)
    assert np.allclose(nib.load(tmp_path / "mask.nii.gz").affine, np.diag([1.0, 1.0, 3.0, 1.0]))


def test_the_answer_to_a_file_without_affine_claims_none(tmp_path):
    image_without = nib.Nifti1Image(volume(), None)
    image_without.header.set_zooms((0.8, 0.9, 2.5))
    nib.save(image_without, tmp_path / "scan.nii.gz")
    scan = read_scan(tmp_path / "scan.nii.gz")
    assert not scan.geometry.sides_known
    write_masks(tmp_path / "mask.nii.gz", np.stack([volume() == 90, volume() == 40]), scan)
    source, written = nib.load(tmp_path / "scan.nii.gz"), nib.load(tmp_path / "mask.nii.gz")
    assert int(written.header["sform_code"]) == int(written.header["qform_code"]) == 0
    assert np.allclose(written.affine, source.affine)  # the same guess of the same reader


@pytest.mark.parametrize("spacing_mm", [1.0, 2.0])
def test_a_picture_has_no_millilitres_is_not_resampled_and_gets_a_picture_back(tmp_path, spacing_mm):
    pixels = np.zeros((20, 30), np.uint8)  # rows, columns
    pixels[4:9, 3:21] = 200
    pixels[5:7, 5:15] = 120
    Image.fromarray(pixels).save(tmp_path / "scan.png")
    scan = read_scan(tmp_path / "scan.png", spacing_mm=spacing_mm)
    assert scan.voxel_ml is None and scan.image.shape == (1, 20, 30)
    back = scan.in_file_order(scan.image)
    assert back.shape == (30, 20)
    write_masks(tmp_path / "mask.png", (back > 0.9)[None], scan)
    assert (np.asarray(Image.open(tmp_path / "mask.png")) == np.where(pixels == 200, 255, 0)).all()
    with pytest.raises(DataError, match=r"ends in .nii or .nii.gz, got"):
        write_masks(tmp_path / "two.png", np.stack([back > 0.9, back > 2]), scan)
