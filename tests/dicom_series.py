"""A small DICOM series, made by pydicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np

ROWS, COLUMNS, SLICES = 12, 16, 5


def write_series(folder: Path, *, orientation=([1.0, 0, 0, 0, 1, 0], [0.0, 0, 1])) -> Path:
    """A CT of 5 slices of 12 x 16 pixels of 0.8 x 0.9 mm, 3 mm apart, under names in no order."""
    import pydicom
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir()
    study, series, frame = generate_uid(), generate_uid(), generate_uid()
    for index in range(SLICES):
        picture = pydicom.Dataset()
        picture.file_meta = pydicom.dataset.FileMetaDataset()
        picture.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        picture.file_meta.MediaStorageSOPClassUID = picture.SOPClassUID = CTImageStorage
        picture.file_meta.MediaStorageSOPInstanceUID = picture.SOPInstanceUID = generate_uid()
        picture.StudyInstanceUID, picture.SeriesInstanceUID, picture.FrameOfReferenceUID = study, series, frame
        picture.PatientName, picture.PatientID, picture.PatientBirthDate, picture.PatientSex = "P", "1", "", ""
        picture.StudyID, picture.StudyDate, picture.StudyTime, picture.AccessionNumber = "1", "", "", ""
        picture.ReferringPhysicianName, picture.PositionReferenceIndicator = "", ""
        picture.Modality, picture.SeriesNumber, picture.InstanceNumber = "CT", 1, index + 1
        rows, along = orientation
        picture.ImageOrientationPatient = rows
        picture.ImagePositionPatient = (np.array([-7.0, 4, 30]) + 3.0 * index * np.array(along)).tolist()
        picture.PixelSpacing, picture.SliceThickness = [0.8, 0.9], 3.0
        picture.Rows, picture.Columns, picture.SamplesPerPixel = ROWS, COLUMNS, 1
        picture.PhotometricInterpretation = "MONOCHROME2"
        picture.BitsAllocated, picture.BitsStored, picture.HighBit, picture.PixelRepresentation = 16, 16, 15, 1
        picture.RescaleSlope, picture.RescaleIntercept = 1, 0
        picture.PixelData = np.full((ROWS, COLUMNS), 100 * index - 200, np.int16).tobytes()
        picture.save_as(folder / f"{(index * 7) % 5}.dcm", enforce_file_format=True)
    return folder
