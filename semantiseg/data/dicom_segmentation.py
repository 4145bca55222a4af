"""Answers to a DICOM series as one DICOM segmentation object (SEG), a segment a sentence, through highdicom.

DICOM PS3.3, A.51 (segmentation IOD) and C.8.20; codes of SNOMED CT and DCM as PS3.16 lists them. Segments are binary
and may overlap. A sentence is no anatomical code, so every segment is of the general type "anatomical structure", and
its words stand in label and description.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from semantiseg import __version__
from semantiseg.data.header import Affine
from semantiseg.errors import DataError
from semantiseg.extras import extras_named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ENDING = ".dcm"
_LABEL, _DESCRIPTION = 64, 1024
"""Letters that DICOM allows in a segment's label (LO) and description (ST)."""
_NEAR = 0.01
"""How far, in slices, a picture may lie from the slice of the mask that is taken for it."""


@extras_named()
def write_segmentation(
    path: Path, masks: NDArray[np.bool_], texts: Sequence[str], *, series: Path, affine: Affine
) -> None:
    """Write masks as a SEG that names the pictures of the series they belong to.

    Args:
        path: file to write.
        masks: `[P, I, J, K]` in the order in which the series is read: columns, rows, slices.
        texts: P sentences.
        series: folder of the series.
        affine: of the masks' voxels (i, j, k) to RAS millimetres.

    Raises:
        DataError: the pictures of the series are not the slices of the masks, or lack what a SEG must name.
        ExtraError: the extra `dicom` is not installed.
    """
    from highdicom.seg import Segmentation, SegmentationTypeValues
    from pydicom.uid import generate_uid

    pictures = _in_order(series, masks.shape[3], affine)
    # Equal masks of equal pictures have equal identifiers, so that an answer that is written twice is one object.
    content = hashlib.sha256(np.packbits(masks).tobytes() + "\0".join(texts).encode("utf-8", "replace")).hexdigest()
    roots = [pictures[0].SeriesInstanceUID, content]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of how the clinic has spelt the patient's name
            made = Segmentation(
                source_images=pictures,
                pixel_array=np.ascontiguousarray(masks.transpose(3, 2, 1, 0)),  # [K, rows, columns, P]
                segmentation_type=SegmentationTypeValues.BINARY,
                segment_descriptions=[_segment(place, text) for place, text in enumerate(texts, start=1)],
                series_instance_uid=generate_uid(entropy_srcs=[*roots, "series"]),
                sop_instance_uid=generate_uid(entropy_srcs=[*roots, "object"]),
                series_number=100,
                instance_number=1,
                manufacturer="SemantiSeg",
                manufacturer_model_name="semantiseg",
                software_versions=__version__,
                device_serial_number="none",
                series_description="Answers to sentences",
                omit_empty_frames=bool(masks.any()),
            )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{series}: expected pictures that a DICOM segmentation can name, got {error}. Save as .nii.gz."
        ) from None
    made.SpecificCharacterSet = "ISO_IR 192"  # sentences hold any letter
    for segment, text in zip(made.SegmentSequence, texts, strict=True):
        segment.SegmentDescription = _printable(text)[:_DESCRIPTION]
    made.save_as(path)


def _in_order(series: Path, slices: int, affine: Affine) -> list[Dataset]:
    """The series' pictures, one for each slice of the masks, in their order; told by position, not by name."""
    import pydicom
    from pydicom.errors import InvalidDicomError

    back = np.linalg.inv(affine)
    placed: dict[int, Dataset] = {}
    for file in sorted(series.iterdir()):
        try:
            picture = pydicom.dcmread(file)
        except (InvalidDicomError, OSError):
            continue  # a DICOMDIR or a note beside the pictures
        if "ImagePositionPatient" not in picture:
            continue
        left, posterior, superior = map(float, picture.ImagePositionPatient)
        at = float((back @ [-left, -posterior, superior, 1.0])[2])
        if abs(at - round(at)) <= _NEAR:
            placed[round(at)] = picture
    if sorted(placed) != list(range(slices)):
        raise DataError(
            f"{series}: expected a picture for each of {slices} slices, got them for {len(placed)}. Save as .nii.gz."
        )
    return [placed[index] for index in range(slices)]


def _segment(number: int, text: str) -> Any:
    from highdicom import AlgorithmIdentificationSequence
    from highdicom.seg import SegmentAlgorithmTypeValues, SegmentDescription
    from pydicom.sr.codedict import codes

    return SegmentDescription(
        segment_number=number,
        segment_label=_printable(text)[:_LABEL],
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=codes.SCT.AnatomicalStructure,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=AlgorithmIdentificationSequence(
            name="SemantiSeg", family=codes.DCM.ArtificialIntelligence, version=__version__
        ),
    )


def _printable(text: str) -> str:
    """A sentence without what DICOM text may not hold: controls, and the backslash that parts values."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(shown.encode("utf-8", "replace").decode().replace("\\", "/").split())
