"""Answers to a DICOM series as a DICOM segmentation, read back frame by frame by pydicom alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from dicom_series import COLUMNS, ROWS, SLICES, write_series

from semantiseg.data.scan import read_scan, write_masks
from semantiseg.errors import DataError, ExtraError

pydicom = pytest.importorskip("pydicom", reason="the extra `dicom` is not installed")
pytest.importorskip("highdicom", reason="the extra `dicom` is not installed")
pytest.importorskip("SimpleITK", reason="the extra `models` is not installed")

TILTED = ([1.0, 0.0, 0.0, 0.0, 0.8, 0.6], [0.0, -0.6, 0.8])  # rows and columns, and the direction of slices


@pytest.fixture
def masks() -> np.ndarray:
    """Two overlapping answers `[2, I, J, K]` without any symmetry; one marks nothing on the first slice."""
    found = np.zeros((2, COLUMNS, ROWS, SLICES), bool)
    found[0, 2:9, 1:4, 1:4] = found[0, 3, 6, 1] = True
    found[1, 5:15, 2:11, 0] = found[1, 5, 2, 4] = True
    return found


def frames(path: Path) -> dict[tuple[int, float], np.ndarray]:
    """Segment and height of the picture -> mask `[rows, columns]`."""
    stored = pydicom.dcmread(path)
    found = {}
    for mask, said in zip(stored.pixel_array, stored.PerFrameFunctionalGroupsSequence, strict=True):
        segment = said.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        place = tuple(round(float(value), 3) for value in said.PlanePositionSequence[0].ImagePositionPatient)
        found[segment, place] = mask.astype(bool)
    return found


@pytest.mark.parametrize("orientation", [([1.0, 0, 0, 0, 1, 0], [0.0, 0, 1]), TILTED], ids=["axial", "tilted"])
def test_every_frame_lies_on_the_picture_that_it_was_marked_on(tmp_path, masks, orientation):
    series = write_series(tmp_path / "series", orientation=orientation)
    scan = read_scan(series, modality="CT")
    assert scan.shape == (COLUMNS, ROWS, SLICES)
    write_masks(tmp_path / "answer.dcm", masks, scan, texts=["liver", "Größe \\ of 'it'\n" + "x" * 80])
    found, pictures = frames(tmp_path / "answer.dcm"), [pydicom.dcmread(path) for path in series.iterdir()]
    for (segment, place), mask in found.items():
        picture = next(one for one in pictures if np.allclose(one.ImagePositionPatient, place, atol=1e-3))
        np.testing.assert_array_equal(mask, masks[segment - 1, :, :, picture.InstanceNumber - 1].T)
    marked = sum(int(mask[..., index].any()) for mask in masks for index in range(SLICES))
    assert sum(mask.any() for mask in found.values()) == marked == 5
    stored = pydicom.dcmread(tmp_path / "answer.dcm")
    first, second = stored.SegmentSequence
    assert (first.SegmentLabel, first.SegmentDescription) == ("liver", "liver")
    assert second.SegmentDescription.startswith("Größe / of 'it' xxx") and len(second.SegmentLabel) == 64
    assert stored.PatientID == "1" and stored.Modality == "SEG"
    referred = {item.ReferencedSOPInstanceUID for item in stored.ReferencedSeriesSequence[0].ReferencedInstanceSequence}
    assert referred == {picture.SOPInstanceUID for picture in pictures}


def test_an_answer_written_twice_is_one_object_and_another_answer_is_another(tmp_path, masks):
    scan = read_scan(write_series(tmp_path / "series"), modality="CT")
    for name, answer in (("a", masks), ("b", masks), ("c", ~masks), ("none", np.zeros_like(masks))):
        write_masks(tmp_path / f"{name}.dcm", answer, scan)
    uids = [pydicom.dcmread(tmp_path / f"{name}.dcm").SOPInstanceUID for name in ("a", "b", "c", "none")]
    assert uids[0] == uids[1] and len(set(uids)) == 3
    assert not any(mask.any() for mask in frames(tmp_path / "none.dcm").values())


def test_a_series_that_lost_a_picture_meanwhile_and_a_file_that_is_no_series_are_refused(tmp_path, masks):
    series = write_series(tmp_path / "series")
    scan = read_scan(series, modality="CT")
    (series / "note.txt").write_text("beside the pictures")
    min(series.glob("*.dcm")).unlink()
    with pytest.raises(DataError, match="a picture for each of 5 slices, got them for 4"):
        write_masks(tmp_path / "answer.dcm", masks, scan)
    from semantiseg.data.scan import check_output

    with pytest.raises(DataError, match=r"ends in \.nii or \.nii\.gz, got another"):
        check_output(tmp_path / "answer.dcm", source=tmp_path / "scan.nii.gz", count=1)


def test_a_series_without_what_an_object_must_name_is_refused_in_a_sentence(tmp_path, masks):
    series = write_series(tmp_path / "series")
    scan = read_scan(series, modality="CT")
    for path in series.iterdir():
        picture = pydicom.dcmread(path)
        del picture.FrameOfReferenceUID
        picture.save_as(path)
    with pytest.raises(DataError, match=r"series: expected pictures that a DICOM segmentation can name, got .*nii\.gz"):
        write_masks(tmp_path / "answer.dcm", masks, scan)
    assert not (tmp_path / "answer.dcm").exists()


def test_without_the_extra_its_line_is_named_before_any_work(tmp_path, monkeypatch):
    from semantiseg import extras
    from semantiseg.data.scan import check_output

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "highdicom" else True)
    with pytest.raises(ExtraError, match=r"pip install 'semantiseg\[dicom\]'"):
        check_output(tmp_path / "answer.dcm", source=tmp_path, count=1)
