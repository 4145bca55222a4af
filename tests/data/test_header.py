"""What a NIfTI header says is judged by name of field; doubtful geometry costs the sides, not the case."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantiseg.data import image_file, nifti
from semantiseg.data.case import FileRefused

FIELDS = {"dim": 40, "datatype": 70, "pixdim": 76, "vox_offset": 108, "scl_slope": 112, "scl_inter": 116,
          "xyzt_units": 123, "qform_code": 252, "sform_code": 254, "quatern_b": 256, "srow_x": 280}  # fmt: skip
"""Where fields lie in a NIfTI-1 header."""


def saved(path: Path, *, shape=(5, 4, 3), affine=None, sform: int = 1, qform: int = 0, dtype=np.int16) -> Path:
    affine = np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine
    image = nib.Nifti1Image(np.arange(np.prod(shape), dtype=dtype).reshape(shape), affine)
    image.set_sform(affine, sform)
    image.set_qform(affine, qform)
    nib.save(image, path)
    return path


def patched(path: Path, at: int, content: bytes) -> Path:
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[at : at + len(content)] = content
    path.write_bytes(gzip.compress(bytes(raw), mtime=0))
    return path


@pytest.fixture
def file(tmp_path) -> Path:
    return saved(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64, ">i2", ">f4"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_values_and_affine_agree_with_nibabel(tmp_path, dtype, name):
    path = saved(tmp_path / name, dtype=dtype)
    values, geometry = nifti.read(path)
    theirs = nib.load(path)
    np.testing.assert_array_equal(values, np.asanyarray(theirs.dataobj))
    np.testing.assert_allclose(geometry.affine, theirs.affine)
    assert values.dtype.isnative


@given(slope=st.floats(0.0625, 128, width=32), intercept=st.floats(-1024, 1024, width=32))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_scaled_values_agree_with_nibabel(file, slope, intercept):
    patched(file, FIELDS["scl_slope"], struct.pack("<2f", slope, intercept))
    np.testing.assert_allclose(nifti.read(file)[0], np.asanyarray(nib.load(file).dataobj))


def test_nifti2_is_read(tmp_path):
    image = nib.Nifti2Image(np.arange(24, dtype=np.int16).reshape(2, 3, 4), np.diag([2.0, 2, 2, 1]))
    nib.save(image, tmp_path / "two.nii.gz")
    values, geometry = nifti.read(tmp_path / "two.nii.gz")
    np.testing.assert_array_equal(values, np.asanyarray(image.dataobj))
    np.testing.assert_allclose(geometry.affine, image.affine)


def test_the_content_and_not_the_name_says_whether_a_file_is_compressed(file, tmp_path):
    plain = tmp_path / "plain.NII.GZ"
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    np.testing.assert_array_equal(nifti.read(plain)[0], nifti.read(file)[0])
    squeezed = tmp_path / "squeezed.nii"
    squeezed.write_bytes(file.read_bytes())
    np.testing.assert_array_equal(nifti.read(squeezed)[0], nifti.read(file)[0])


@pytest.mark.parametrize(
    ("field", "content", "told"),
    [
        ("srow_x", struct.pack("<f", np.nan), "srow_x"),
        ("scl_inter", struct.pack("<f", np.inf), "scl_inter"),
        ("scl_slope", struct.pack("<f", np.inf), "scl_slope"),
        ("vox_offset", struct.pack("<f", np.nan), "vox_offset"),
        ("datatype", struct.pack("<h", 32), r"datatype 32 \(complex64\)"),
        ("datatype", struct.pack("<h", 128), "datatype 128"),
        ("datatype", struct.pack("<h", 999), r"datatype 999 \(unknown\)"),
        ("dim", struct.pack("<4h", 3, 5, 0, 3), "dim"),
        ("dim", struct.pack("<h", 9), "dim"),
        ("dim", struct.pack("<4h", 3, 32767, 32767, 32767), "at most .* voxels"),
        ("xyzt_units", bytes([5]), "xyzt_units"),
    ],
)
def test_a_field_that_means_nothing_is_refused_by_its_name(file, field, content, told):
    patched(file, FIELDS[field], content)
    with pytest.raises(FileRefused, match=f"a.nii.gz: expected .*{told}"):
        nifti.read(file)


def test_a_quaternion_longer_than_one_is_refused(tmp_path):
    path = saved(tmp_path / "a.nii.gz", sform=0, qform=1)
    with pytest.raises(FileRefused, match="quatern_b, quatern_c and quatern_d of length at most 1"):
        nifti.read(patched(path, FIELDS["quatern_b"], struct.pack("<3f", 0.8, 0.8, 0.8)))


def test_a_header_that_promises_gigabytes_takes_no_memory(file):
    patched(file, FIELDS["dim"], struct.pack("<4h", 3, 1024, 1024, 500))
    tracemalloc.start()
    with pytest.raises(FileRefused, match=r"too short for shape \(1024, 1024, 500\)"):
        nifti.read(file)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()


def test_half_of_a_pair_is_called_so(tmp_path):
    nib.save(nib.Nifti1Pair(np.zeros((3, 3, 3), np.int16), np.eye(4)), tmp_path / "a.img")
    for name in ("a.img", "a.hdr"):
        with pytest.raises(FileRefused, match=r"got half of a pair \.hdr/\.img.*Convert"):
            nifti.read(tmp_path / name)


@pytest.mark.parametrize(
    ("sform", "qform", "source", "known"),
    [(1, 0, "sform", True), (0, 1, "qform", True), (2, 1, "sform", True), (0, 0, "none", False)],
)
def test_the_origin_of_the_affine_is_known_and_a_guess_has_no_sides(tmp_path, sform, qform, source, known):
    geometry = nifti.read_header(saved(tmp_path / "a.nii.gz", sform=sform, qform=qform)).geometry
    assert (geometry.source, geometry.sides_known) == (source, known)
    assert known or any("no side is asked" in note for note in geometry.notes)


def test_forms_of_opposite_handedness_have_no_sides(tmp_path):
    path = saved(tmp_path / "a.nii.gz", sform=1, qform=1)
    patched(path, FIELDS["srow_x"], struct.pack("<f", -2.0))
    geometry = nifti.read_header(path).geometry
    assert not geometry.sides_known and "sform (LAS) and qform (RAS) contradict" in geometry.notes[0]


@pytest.mark.parametrize(("code", "factor"), [(0, 1), (1, 1000), (2, 1), (3, 0.001)])
def test_units_become_millimetres(tmp_path, code, factor):
    path = saved(tmp_path / "a.nii.gz", affine=np.diag([2 / factor, 3 / factor, 4 / factor, 1]))
    geometry = nifti.read_header(patched(path, FIELDS["xyzt_units"], bytes([code | 8]))).geometry
    np.testing.assert_allclose(np.diag(geometry.affine), [2, 3, 4, 1], rtol=1e-6)
    assert bool(geometry.notes) == (factor != 1)


@pytest.mark.parametrize("edge", [100.0, 2500.0, 0.0009])
def test_voxels_that_no_scanner_makes_are_refused(tmp_path, edge):
    with pytest.raises(FileRefused, match="voxel edges from 0.001 to below 100 mm.*xyzt_units"):
        nifti.read(saved(tmp_path / "a.nii.gz", affine=np.diag([1, 1, edge, 1])))


@pytest.mark.parametrize(("degrees", "refused"), [(0.3, False), (5.0, True), (20.0, True)])
def test_shear_is_refused_beyond_rounding(tmp_path, degrees, refused):
    affine = np.eye(4)
    affine[:3, 2] = [0, np.sin(np.radians(degrees)), np.cos(np.radians(degrees))]
    path = saved(tmp_path / "a.nii.gz", affine=affine)
    if not refused:
        assert nifti.read(path)[0].size
        return
    with pytest.raises(FileRefused, match=rf"got {90 - degrees:.1f} degrees.*shear.*Resample"):
        nifti.read(path)


@pytest.mark.parametrize("turn", [0.0, 17.0, 45.0])
def test_a_rotation_is_no_shear(tmp_path, turn):
    a = np.radians(turn)
    affine = np.eye(4)
    affine[:2, :2] = [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]
    np.testing.assert_allclose(nifti.read(saved(tmp_path / "a.nii.gz", affine=affine))[1].affine, affine, atol=1e-6)


def test_a_2d_file_without_a_third_axis_gets_one_square_to_its_plane(tmp_path):
    path = saved(tmp_path / "a.nii.gz", shape=(5, 4), affine=np.diag([2.0, 3.0, 5.0, 1.0]))
    geometry = nifti.read(patched(path, FIELDS["srow_x"] + 40, struct.pack("<f", 0.0)))[1]
    np.testing.assert_allclose(geometry.affine, np.diag([2.0, 3.0, 1.0, 1.0]))


@given(at=st.integers(0, 347), content=st.binary(min_size=1, max_size=16), keep=st.integers(0, 500))
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_header_raises_anything_but_a_refusal(file, at, content, keep):
    raw = bytearray(np.zeros(348 + 4 + 120, np.uint8))
    raw[:] = WHOLE[: len(raw)]
    raw[at : at + len(content)] = content
    file.write_bytes(bytes(raw[:keep]) if keep < 300 else bytes(raw))
    try:
        values, geometry = image_file.read(file)
    except FileRefused as error:
        assert error.problem.file == file and error.problem.remedy
    else:
        assert values.nbytes <= 64 * len(raw) and np.isfinite(geometry.affine).all()


def _whole() -> bytes:
    image = nib.Nifti1Image(np.arange(60, dtype=np.int16).reshape(5, 4, 3), np.diag([2.0, 3.0, 4.0, 1.0]))
    return image.to_bytes()


WHOLE = _whole()
