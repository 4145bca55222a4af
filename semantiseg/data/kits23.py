"""Read KiTS23: `case_00000/{imaging,segmentation}.nii.gz`, one case a patient."""

from __future__ import annotations

from pathlib import Path

from semantiseg.data.case import Channel, Origin, SourceCase
from semantiseg.data.labels import KITS23
from semantiseg.errors import DataError


def read_cases(folder: Path, *, collection: str, origin: Origin) -> list[SourceCase]:
    """All cases of a KiTS23 folder, sorted by case id.

    KiTS23 keeps label maps in its Git repository and images elsewhere, so a case without image is the usual mishap.

    Raises:
        DataError: there are no cases, or one lacks its image or segmentation.
    """
    cases = []
    for case in sorted(folder.glob("case_*")):
        if not case.is_dir():
            continue
        image, label = case / "imaging.nii.gz", case / "segmentation.nii.gz"
        for path in (image, label):
            if not path.is_file():
                raise DataError(
                    f"{path}: expected this file in every case folder, got none. Download it as KiTS23's README says."
                )
        cases.append(
            SourceCase(
                case_id=case.name,
                patient_id=case.name,
                collection=collection,
                origin=origin,
                channels=(Channel("CT", "CT", image),),
                label=label,
                structures=KITS23,
                described_in="KiTS23's label table",
            )
        )
    if not cases:
        raise DataError(
            f"{folder}: expected folders case_00000, case_00001, ..., got none. Fetch the collection again."
        )
    return cases
