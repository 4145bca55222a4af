"""What is wrong with one file of a user: the one form in which the readers refuse.

One case of a collection as it lies on disk, before anything is read but its description.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from semantiseg.conventions import Modality
from semantiseg.errors import DataError


@dataclass(frozen=True)
class Problem:
    """Why a file cannot be used.

    Attributes:
        file: the file or folder at fault.
        text: "expected ..., got ...", without a full stop.
        remedy: what to do, a sentence.
    """

    file: Path
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}. {self.remedy}"


class FileRefused(DataError):
    """A file cannot be used; `problem` says which, why, and what to do."""

    def __init__(self, file: Path | str, text: str, remedy: str) -> None:
        # All three are arguments of the exception, so that it travels between processes.
        super().__init__(file, text, remedy)
        self.problem = Problem(Path(file), text, remedy)

    def __str__(self) -> str:
        return str(self.problem)


Origin = Literal["phantom", "official", "user"]


@dataclass(frozen=True)
class Channel:
    """One single-channel image of a case.

    Attributes:
        name: CT, T1, T1c, T2, FLAIR or ADC.
        modality: CT or MR.
        path: NIfTI file.
        index: position along the fourth axis of a multi-channel file, None for a 3D file.
        channels_in_file: length of that fourth axis (1 for a 3D file).
    """

    name: str
    modality: Modality
    path: Path
    index: int | None = None
    channels_in_file: int = 1


@dataclass(frozen=True)
class SourceCase:
    """A labelled case: its channels, its label map and what the label numbers mean.

    Attributes:
        case_id: unique over all collections; the prepared file is named for it.
        patient_id: cases of one patient never cross splits; "" where the collection does not state it.
        collection: folder below `data/raw`.
        origin: where the collection comes from.
        channels: in the collection's order.
        label: NIfTI file, 0 is background.
        structures: label number -> ontology leaf key.
        ignored: label numbers that the user's mapping drops; they become background.
        described_in: file that says what the label numbers mean, named in errors.
        lateral: whether left and right may be asked (False for tight crops and untrusted headers).
    """

    case_id: str
    patient_id: str
    collection: str
    origin: Origin
    channels: tuple[Channel, ...]
    label: Path
    structures: Mapping[int, str]
    ignored: frozenset[int] = field(default_factory=frozenset)
    described_in: str = "dataset.json"
    lateral: bool = True
