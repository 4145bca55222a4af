"""Every kind of bad input gives one clear error that names the file and the remedy, and nothing is written."""

from __future__ import annotations

import gzip
import json

import nibabel as nib
import numpy as np
import pytest

from semantiseg.data.prepare import prepare
from semantiseg.errors import DataError, OntologyError


@pytest.fixture
def refused(tmp_path):
    """Prepares `tmp_path / "raw"`, expects the error, and checks that nothing was left behind."""

    def check(error: type[Exception], message: str, *, mapping: str = "") -> None:
        with pytest.raises(error, match=f"(?s){message}"):
            prepare(
                tmp_path / "raw", tmp_path / "volumes",
                spacing_mm=1.0, test_share=0.25, validation_share=0.1, seed=0, mapping=mapping, workers=1,
            )  # fmt: skip
        assert not (tmp_path / "volumes").exists() and not (tmp_path / "volumes.partial").exists()

    return check


def ramp(shape=(12, 10, 6)):
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_truncated_file(collection, refused, which, keep):
    path = collection().add("case", np.random.default_rng(0).normal(size=(12, 10, 6)))[which]
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    refused(
        DataError, f"case case of Mine: .*{path.parent.name}/case.nii.gz: expected a complete NIfTI file, got .*Fetch"
    )


def test_a_file_truncated_before_it_was_compressed(collection, refused):
    path = collection().add("case")[0]
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-200]))
    refused(DataError, "imagesTr/case.nii.gz: expected a complete NIfTI file, got ")


@pytest.mark.parametrize("content", [b"", b"not an image at all" * 50, gzip.compress(b"neither" * 200)])
def test_a_file_that_is_not_nifti(collection, refused, content):
    collection().add("case")[0].write_bytes(content)
    refused(DataError, "imagesTr/case.nii.gz: expected a complete NIfTI file, got ")


def test_another_format_under_the_name_of_nifti(collection, refused, tmp_path):
    path = collection().add("case")[0]
    nib.save(nib.MGHImage(ramp(), np.eye(4)), tmp_path / "other.mgh")
    path.write_bytes(gzip.compress((tmp_path / "other.mgh").read_bytes()))
    refused(DataError, "imagesTr/case.nii.gz: expected a complete NIfTI file, got ")


def test_a_singular_affine(collection, refused):
    path = collection().add("case")[0]
    image = nib.load(path)
    image.header["srow_x"], image.header["sform_code"] = 0, 2
    broken = nib.Nifti1Image(np.asarray(image.dataobj), None, image.header)
    broken.header["srow_x"], broken.header["sform_code"] = 0, 2
    nib.save(broken, path)
    refused(DataError, "imagesTr/case.nii.gz: expected an invertible affine")


def test_image_and_label_of_different_shape(collection, refused):
    collection().add("case", label=np.zeros((12, 10, 5), np.uint8))
    refused(
        DataError,
        r"labelsTr/case.nii.gz: expected one shape with .*imagesTr/case.nii.gz, got \(12, 10, 5\) and .*Resample",
    )


@pytest.mark.parametrize(
    "label_affine",
    [
        np.diag([-1.0, 1, 2, 1]),
        np.diag([1, 1, 2.1, 1]),
        np.array([[1, 0, 0, 0.2], [0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1.0]]),
    ],
)
def test_image_and_label_of_different_affine(collection, refused, label_affine):
    collection().add("case", label_affine=label_affine)
    refused(
        DataError,
        "labelsTr/case.nii.gz: expected one affine with .*imagesTr/case.nii.gz, got corners up to .* mm apart",
    )


def test_affines_that_differ_by_rounding_only_pass(collection, tmp_path):
    moved = np.diag([1.0, 1.0, 2.0, 1.0])
    moved[0, 3] = 0.05
    collection().add("case", label_affine=moved)
    manifest = prepare(
        tmp_path / "raw", tmp_path / "volumes", spacing_mm=1.0, test_share=0.2, validation_share=0.1, seed=0, workers=1
    )
    assert len(manifest) == 1


def test_labels_that_dataset_json_does_not_name(collection, refused):
    label = np.zeros((12, 10, 6), np.uint8)
    label[3, 3, 3], label[4, 4, 4] = 1, 7
    collection().add("case", label=label)
    refused(DataError, r"labelsTr/case.nii.gz: expected the labels that .*dataset.json names \(\[1\]\), got also \[7\]")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.5, "got 0.5.*nearest neighbour"),
        (np.nan, "got NaN"),
        (np.inf, "infinity"),
        (-1, "got -1 to 0"),
        (300, "0 to 300"),
    ],
)
def test_labels_that_are_no_label_numbers(collection, refused, value, told):
    label = np.zeros((12, 10, 6), np.float32)
    label[3, 3, 3] = value
    collection().add("case", label=label)
    refused(DataError, f"labelsTr/case.nii.gz: expected .*label numbers.*{told}")


def test_whole_numbers_stored_as_floating_point_are_labels(collection, tmp_path):
    label = np.zeros((12, 10, 6), np.float64)
    label[3:6, 3:6, 2:4] = 1
    collection().add("case", label=label)
    manifest = prepare(
        tmp_path / "raw", tmp_path / "volumes", spacing_mm=1.0, test_share=0.2, validation_share=0.1, seed=0, workers=1
    )
    assert manifest.leaves.tolist() == [["spleen"]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_nan(collection, refused, value):
    image = ramp()
    image[2, 2, 2] = value
    collection().add("case", image)
    refused(DataError, "imagesTr/case.nii.gz: expected finite intensities, got 1 NaN or infinite voxels")


@pytest.mark.parametrize("modality", ["CT", "T2"])
def test_a_constant_image(collection, refused, modality):
    collection(modality={"0": modality}).add("case", np.full((12, 10, 6), 40, np.int16))
    refused(DataError, "imagesTr/case.nii.gz: expected an image, got 40 in every voxel")


def test_an_mr_image_with_one_value_besides_the_background(collection, refused):
    image = np.zeros((12, 10, 6), np.float32)
    image[3:6] = 9
    collection(modality={"0": "T2"}).add("case", image)
    refused(DataError, "imagesTr/case.nii.gz: expected varied intensities, got 9 at both")


@pytest.mark.parametrize("shape", [(12, 10, 6, 2), (12, 10, 6, 1, 2)])
def test_more_axes_where_3d_is_expected(collection, refused, shape):
    collection().add("case", ramp(shape))
    refused(DataError, r"imagesTr/case.nii.gz: expected a 3D image, got shape .*modality")


@pytest.mark.parametrize("shape", [(12, 10, 6), (12, 10, 6, 3)])
def test_another_number_of_channels_than_dataset_json_lists(collection, refused, shape):
    collection(modality={"0": "T2", "1": "ADC"}).add("case", ramp(shape))
    refused(DataError, "imagesTr/case.nii.gz: expected a 4D image with 2 channels, got shape .*modality")


def test_a_4d_label_map(collection, refused):
    collection().add("case", label=np.zeros((12, 10, 6, 2), np.uint8))
    refused(DataError, "labelsTr/case.nii.gz: expected a 3D label map")


def test_an_empty_dataset(collection, refused):
    collection()
    refused(DataError, "Mine/dataset.json: expected training cases, got none")


def test_files_that_do_not_exist(collection, refused):
    folder = collection()
    folder.add("here")
    folder.add("gone")[1].unlink()
    refused(DataError, "dataset.json: expected all listed files, 1 do not exist: .*labelsTr/gone.nii.gz. Add them")


@pytest.mark.parametrize("key", ["modality", "labels"])
def test_a_description_without_its_keys(collection, refused, key):
    folder = collection()
    folder.add("case")
    del folder.description[key]
    folder.write()
    refused(DataError, f'dataset.json: expected .*{key}.*Write the line "{key}"')


@pytest.mark.parametrize("text", ["{", "[]", '{"modality": {"0": "CT"}, "labels": {"background": 0}, "training": [1]}'])
def test_a_malformed_description(collection, refused, text):
    folder = collection()
    (folder.folder / "dataset.json").write_text(text)
    refused(DataError, "dataset.json: expected ")


def test_no_dataset_json_and_no_sources(collection, refused):
    folder = collection()
    (folder.folder / "dataset.json").unlink()
    refused(DataError, "Mine/dataset.json: expected the description .*Name the folder")
    (folder.raw / "sources.json").write_text(json.dumps([{"collection": "Mine", "layout": "nrrd", "origin": "user"}]))
    refused(DataError, "sources.json: expected entries with .*brats2024-gli")
    (folder.raw / "sources.json").unlink()
    refused(DataError, "sources.json: .*Run the stage fetch")


def test_a_structure_that_the_ontology_does_not_know(collection, refused):
    folder = collection(labels={"1": "spleen", "2": "splen_accessory"})
    folder.add("case")
    refused(
        OntologyError,
        r"dataset.json: .*got 'splen_accessory' \(label 2\). Nearest known: 'spleen'.*prepare.mapping.*Leaf keys: ",
    )


def test_a_mapping_file_makes_the_unknown_structure_known(collection, tmp_path):
    collection(labels={"1": "milz"}).add("case")
    (tmp_path / "names.yaml").write_text("milz: spleen\n")
    manifest = prepare(
        tmp_path / "raw", tmp_path / "volumes",
        spacing_mm=1.0, test_share=0.2, validation_share=0.1, seed=0, mapping=str(tmp_path / "names.yaml"), workers=1,
    )  # fmt: skip
    assert manifest.leaves.tolist() == [["spleen"]]


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("milz: splen\n", OntologyError, "expected a leaf key or `ignore` for 'milz', got 'splen'. Perhaps spleen"),
        ("- milz\n", DataError, "expected a YAML mapping"),
        ("milz: [\n", DataError, "expected a YAML file .* got while parsing .* Correct that line"),
        (None, DataError, "expected a YAML file .* got No such file or directory"),
    ],
)
def test_a_mapping_file_that_cannot_be_used(collection, refused, tmp_path, text, error, told):
    collection(labels={"1": "milz"}).add("case")
    if text is not None:
        (tmp_path / "names.yaml").write_text(text)
    refused(error, f"names.yaml: {told}", mapping=str(tmp_path / "names.yaml"))


def test_a_single_slice_that_is_not_axial(collection, refused):
    collection().add("case", ramp((1, 10, 6)), np.ones((1, 10, 6), np.uint8))
    refused(DataError, "labelsTr/case.nii.gz: expected axial slices of at least 2 x 2 pixels")
