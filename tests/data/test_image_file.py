"""One image in several formats has the same values in the same place; pictures have no place and no lengths."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from semantiseg.data import image_file
from semantiseg.data.case import FileRefused

sitk = pytest.importorskip("SimpleITK")


def itk_image():
    image = sitk.GetImageFromArray(np.arange(60, dtype=np.int16).reshape(3, 4, 5))
    image.SetSpacing((2.0, 3.0, 4.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection((0, 1, 0, 1, 0, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("ending", ["mha", "nrrd", "MHA"])
def test_other_formats_agree_with_the_same_image_as_nifti(tmp_path, ending):
    sitk.WriteImage(itk_image(), str(tmp_path / "a.nii.gz"))
    sitk.WriteImage(itk_image(), str(tmp_path / f"a.{ending.lower()}"))
    (tmp_path / f"a.{ending.lower()}").rename(tmp_path / f"b.{ending}")
    values, geometry = image_file.read(tmp_path / f"b.{ending}")
    theirs = nib.load(tmp_path / "a.nii.gz")
    np.testing.assert_array_equal(values, np.asanyarray(theirs.dataobj))
    np.testing.assert_allclose(geometry.affine, theirs.affine, atol=1e-5)


@pytest.mark.parametrize("name", ["a.mha", "a.nrrd", "a.png", "a.tif", "a.nii.gz", "a.mhd"])
@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, None])
def test_a_damaged_or_missing_file_of_any_format_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(FileRefused, match=name):
        image_file.read(tmp_path / name)


def test_a_folder_without_dicom_slices_is_refused(tmp_path):
    with pytest.raises(FileRefused, match="one DICOM series"):
        image_file.read(tmp_path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_picture_has_rows_to_posterior_and_no_lengths_or_sides(tmp_path, name):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(pixels).save(tmp_path / name)
    values, geometry = image_file.read(tmp_path / name)
    np.testing.assert_array_equal(values, pixels.T)
    assert not geometry.spacing_known and not geometry.sides_known
