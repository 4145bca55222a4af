"""Read BraTS 2024 GLI (post-treatment glioma): a folder a time point, a file a channel."""

from __future__ import annotations

import re
from pathlib import Path

from semantiseg.data.case import Channel, Origin, SourceCase
from semantiseg.data.labels import BRATS2024_GLI
from semantiseg.errors import DataError

CHANNELS: dict[str, str] = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR"}
"""File suffix -> channel."""


def read_cases(folder: Path, *, collection: str, origin: Origin) -> list[SourceCase]:
    """All time points of a BraTS2024-GLI folder, sorted; `BraTS-GLI-02071-100` belongs to patient `BraTS-GLI-02071`.

    Raises:
        DataError: there are no cases, a folder's name has no time point, or one of its five files is missing.
    """
    cases = []
    for case in sorted(folder.glob("BraTS-GLI-*")):
        if not case.is_dir():
            continue
        matched = re.fullmatch(r"(BraTS-GLI-\d+)-\d+", case.name)
        if not matched:
            raise DataError(
                f"{case}: expected a folder named BraTS-GLI-<patient>-<time point>, got {case.name!r}. Rename it."
            )
        files = {suffix: case / f"{case.name}-{suffix}.nii.gz" for suffix in (*CHANNELS, "seg")}
        for path in files.values():
            if not path.is_file():
                raise DataError(
                    f"{path}: expected this file in every case folder, got none. Fetch the collection again."
                )
        cases.append(
            SourceCase(
                case_id=case.name,
                patient_id=matched[1],
                collection=collection,
                origin=origin,
                channels=tuple(Channel(name, "MR", files[suffix]) for suffix, name in CHANNELS.items()),
                label=files["seg"],
                structures=BRATS2024_GLI,
                described_in="BraTS 2024 GLI's label table",
            )
        )
    if not cases:
        raise DataError(
            f"{folder}: expected folders BraTS-GLI-<patient>-<time point>, got none. Fetch the collection again."
        )
    return cases
