"""What is understood of a user's folder before any voxel is read: its cases, channels and labels, and every problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from semantiseg.data.case import Channel, Problem


@dataclass(frozen=True)
class CaseFiles:
    """The files of one labelled case.

    Attributes:
        case_id: unique in the collection; stem of the image file, without a channel number such as `_0000`.
        channels: one a single-channel image, in the collection's order; several may lie in one file.
        label: label map, 0 is background.
        patient: as the description declares it, "" where it declares nothing.
    """

    case_id: str
    channels: tuple[Channel, ...]
    label: Path
    patient: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the case once, images first."""
        return tuple(dict.fromkeys((*(channel.path for channel in self.channels), self.label)))


@dataclass(frozen=True)
class Collection:
    """One folder as its layout's reader understands it.

    Attributes:
        folder: where it lies.
        name: of the collection; that of the folder.
        layout: `decathlon`, `nnunet-v1`, `nnunet-v2` or `pictures`.
        licence: as stated, or "not stated".
        channels: names of the channels (CT, T1, ...), in order.
        labels: label number -> name as the user wrote it, without background and the ignore label.
        ignored: label numbers that mean "not annotated here" (nnU-Net's ignore label).
        described_in: file that says what the label numbers mean.
        cases: in the order of their ids.
        problems: what must be mended before anything can run; empty for a usable folder.
        warnings: what the user should know, a sentence each.
    """

    folder: Path
    name: str
    layout: str
    described_in: Path
    licence: str = "not stated"
    channels: tuple[str, ...] = ()
    labels: Mapping[int, str] = field(default_factory=dict)
    ignored: frozenset[int] = frozenset()
    cases: tuple[CaseFiles, ...] = ()
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
