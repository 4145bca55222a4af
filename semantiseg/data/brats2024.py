"""Read BraTS 2024: a folder a time point, a file a channel; five sub-challenges with labels and names of their own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from semantiseg.data.case import Channel, Origin, SourceCase
from semantiseg.data.labels import BRATS2024
from semantiseg.errors import DataError

CHANNELS: dict[str, str] = {"t1n": "T1", "t1c": "T1c", "t2w": "T2", "t2f": "FLAIR"}
"""File suffix -> channel."""
CONTRADICTORY = frozenset({"BraTS-MET-00232-000"})
"""Cases whose published image and mask have different headers; left out, as nobody can say which is right."""


@dataclass(frozen=True)
class Naming:
    """How a sub-challenge names its files: `<case><separator><suffix>.nii.gz`."""

    suffixes: tuple[str, ...]
    label: str = "seg"
    separator: str = "-"


NAMING = {
    "brats2024-gli": Naming(tuple(CHANNELS)),
    "brats2024-ped": Naming(tuple(CHANNELS)),
    "brats2024-ssa": Naming(tuple(CHANNELS)),
    "brats2024-met": Naming(tuple(CHANNELS)),
    # One channel, native space, defaced; an underscore, and "gtv" for the label.
    "brats2024-men-rt": Naming(("t1c",), "gtv", "_"),
}
"""Layout, as in `sources.json` -> its naming."""


def read_cases(folder: Path, *, collection: str, origin: Origin, layout: str = "brats2024-gli") -> list[SourceCase]:
    """All time points of a BraTS 2024 folder, sorted; `BraTS-GLI-02071-100` belongs to patient `BraTS-GLI-02071`.

    Raises:
        DataError: there are no cases, a folder's name has no time point, or one of its files is missing.
    """
    challenge, naming = layout.removeprefix("brats2024-").upper(), NAMING[layout]
    cases = []
    for case in sorted(folder.glob(f"BraTS-{challenge}-*")):
        if not case.is_dir() or case.name in CONTRADICTORY:
            continue
        matched = re.fullmatch(rf"(BraTS-{challenge}-\d+)-\d+", case.name)
        if not matched:
            raise DataError(
                f"{case}: expected a folder named BraTS-{challenge}-<patient>-<time point>, got {case.name!r}. Rename "
                "it."
            )
        files = {
            suffix: case / f"{case.name}{naming.separator}{suffix}.nii.gz"
            for suffix in (*naming.suffixes, naming.label)
        }
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
                channels=tuple(Channel(CHANNELS[suffix], "MR", files[suffix]) for suffix in naming.suffixes),
                label=files[naming.label],
                structures=BRATS2024[challenge],
                described_in=f"BraTS 2024 {challenge}'s label table",
            )
        )
    if not cases:
        raise DataError(
            f"{folder}: expected folders BraTS-{challenge}-<patient>-<time point>, got none. Fetch the collection "
            "again."
        )
    return cases
