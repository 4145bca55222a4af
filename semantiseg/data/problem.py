"""What is wrong with one file of a user: the one form in which the readers refuse."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

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
