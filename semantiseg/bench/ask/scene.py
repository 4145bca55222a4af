"""A volume as the planner of prompts sees it: one channel, cut to what is labelled, with the value of every program
remembered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from semantiseg.bench.measure.attributes import SHELL_MM, Measurement
from semantiseg.bench.measure.labelled_slice import LabelledSlice, LabelledVolume, Memo, read_volume, window_of
from semantiseg.conventions import LabelArray, record_of
from semantiseg.data.store import VolumeStore
from semantiseg.language.ontology import Structure, available
from semantiseg.language.program import Program


class Asking(Protocol):
    """What the plan of the core must know of a volume: a `Scene` finds it on labels and image, `records/stored.py` has
    it from what was once measured."""

    @property
    def facts(self) -> dict[str, Any]:
        """The manifest row, `volume_id` included."""

    @property
    def volume_id(self) -> str:
        """The single-channel volume."""

    @property
    def askable(self) -> list[Structure]:
        """What this volume can be asked about, present or not."""

    def parent(self, program: Program) -> Program:
        """As `Labelled.parent`."""

    def measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        """As `LabelledSlice.measure`, on a slice of the volume."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene(LabelledVolume):
    """One channel of a case, and the values of programs on its label map, each computed once.

    Only the box around the labelled voxels is kept (programs say nothing about background), wide enough in plane to
    hold every shell that an attribute is measured against. Slice numbers are those of the whole volume. Channels of a
    case share what is found on its labels.

    Attributes:
        facts: the manifest row, `volume_id` included.
        box: what is kept of the whole volume.
        depth: slices of the whole volume.
    """

    facts: dict[str, Any]
    box: tuple[slice, slice, slice]
    depth: int

    @property
    def volume_id(self) -> str:
        """The single-channel volume."""
        return self.facts["volume_id"]

    @property
    def askable(self) -> list[Structure]:
        """What this volume can be asked about, present or not."""
        return available(set(self.structures.values()), channel=self.channel)

    def axial(self, index: int) -> LabelledSlice:
        """A slice of the whole volume, cut to the box; nothing is labelled above and below it."""
        position = self._position(index)
        return self._outside if position is None else super().axial(position)

    def measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        """As `LabelledSlice.measure`."""
        return self.axial(index).measure(program)

    def areas(self, program: Program) -> NDArray[np.int64]:
        """Pixels of the program's volume value on each slice, `[D]`."""
        if program not in self.memo.areas:
            areas = np.zeros(self.depth, dtype=np.int64)
            areas[self.box[0]] = self.mask(program).sum(axis=(1, 2))
            self.memo.areas[program] = areas
        return self.memo.areas[program]

    def agreement(self, program: Program, index: int) -> float:
        """IoU between the volume value cut at a slice and the value of the slice alone; 1 where both are empty."""
        position = self._position(index)
        if position is None:
            return 1.0
        cut, alone = self.mask(program)[position], self.axial(index).mask(program)
        either = (cut | alone).sum()
        return float((cut & alone).sum() / either) if either else 1.0

    def _position(self, index: int) -> int | None:
        position = index - self.box[0].start
        return position if 0 <= position < len(self.labels) else None

    @cached_property
    def _outside(self) -> LabelledSlice:
        return replace(super().axial(0), labels=np.zeros_like(self.labels[0]), image=None, memo=Memo())


def scene_of(volume: LabelledVolume, facts: dict[str, Any]) -> Scene:
    """The planner's cut of a whole volume; `facts` is its manifest row, `volume_id` included."""
    box = _box(volume.labels, in_plane=int(np.ceil(SHELL_MM[1] / volume.spacing_mm)) + 2)
    return Scene(
        labels=np.ascontiguousarray(volume.labels[box]), image=None if volume.image is None else volume.image[box],
        structures=volume.structures, midline=volume.midline - box[2].start, spacing_mm=volume.spacing_mm,
        modality=volume.modality, channel=volume.channel, window=volume.window, lateral=volume.lateral,
        lengths=volume.lengths, facts=facts, box=box, depth=len(volume.labels),
    )  # fmt: skip


def scenes_of(store: VolumeStore, case_id: str) -> list[Scene]:
    """All channels of a case, in the order of their `volume_id`."""
    rows = store.manifest[store.manifest["case_id"] == case_id]
    scenes: list[Scene] = []
    for volume_id in map(str, rows.index):
        facts = {"volume_id": volume_id, **record_of(rows, volume_id)}
        if scenes:
            # Channels of a case lie on one label map: what is found there is found for all of them.
            image, shown = store.image(volume_id)[scenes[0].box], {key: facts[key] for key in ("modality", "channel")}
            scenes.append(replace(scenes[0], image=image, facts=facts, window=window_of(facts), **shown))
        else:
            scenes.append(scene_of(read_volume(store, volume_id), facts))
    return scenes


def _box(labels: LabelArray, *, in_plane: int) -> tuple[slice, slice, slice]:
    found = [np.flatnonzero(labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not found[0].size:
        return (slice(0, 1), slice(0, labels.shape[1]), slice(0, labels.shape[2]))
    rims = (0, in_plane, in_plane)
    slices, rows, columns = (
        slice(max(int(index[0]) - rim, 0), min(int(index[-1]) + rim + 1, size))
        for index, rim, size in zip(found, rims, labels.shape, strict=True)
    )
    return slices, rows, columns
