"""A case as the planner of prompts sees it: its label map, with the value of every program remembered, and its
channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantiseg.bench.attributes import SHELL_MM, Measurement, measure
from semantiseg.bench.evaluate import evaluate, is_defined
from semantiseg.bench.ontology import Structure, available
from semantiseg.bench.program import Program, parent
from semantiseg.bench.reference import reference_of
from semantiseg.conventions import LabelArray, Mask
from semantiseg.data.store import VolumeStore


class Scene:
    """The label map of a case, `[D, H, W]`, and the values of programs on it, each computed once.

    Only the box around the labelled voxels is kept (programs say nothing about background), wide enough in plane to
    hold every shell that an attribute is measured against. Slice numbers are those of the whole volume.

    Args:
        labels: the whole label map, `[D, H, W]`.
        structures: label number -> leaf, of all labels that the collection has.
        midline: column of the mid-sagittal plane in the whole volume.
        spacing_mm: voxel edge.
        lateral: whether left and right may be asked.
    """

    def __init__(
        self, labels: LabelArray, *, structures: Mapping[int, str], midline: float, spacing_mm: float, lateral: bool
    ) -> None:
        self.structures, self.spacing_mm, self.lateral = dict(structures), float(spacing_mm), bool(lateral)
        self.depth = len(labels)
        self.box = _box(labels, in_plane=int(np.ceil(SHELL_MM[1] / spacing_mm)) + 2)
        self.labels = np.ascontiguousarray(labels[self.box])
        self.midline = float(midline) - self.box[2].start
        self._volume: dict[Program, Mask] = {}
        self._slices: dict[int, dict[Program, Mask]] = {}
        self._areas: dict[Program, NDArray[np.int64]] = {}

    def in_volume(self, program: Program) -> Mask:
        """The program's value on the whole volume, cut to the box."""
        return evaluate(program, self.labels, structures=self.structures, midline=self.midline, memo=self._volume)

    def on_slice(self, program: Program, index: int) -> Mask:
        """The program's value on one slice seen alone, cut to the box."""
        return evaluate(
            program, self.slice_labels(index), structures=self.structures, midline=self.midline,
            memo=self._slices.setdefault(index, {}),
        )  # fmt: skip

    def slice_labels(self, index: int) -> LabelArray:
        """Label numbers of a slice of the whole volume, cut to the box."""
        position = index - self.box[0].start
        return self.labels[position] if 0 <= position < len(self.labels) else np.zeros_like(self.labels[0])

    def parent(self, program: Program) -> Program:
        """What a reader who ignores every qualifier would mark; the program itself where the collection does not
        label that."""
        whole = parent(program)
        return whole if is_defined(whole, self.structures) else program

    def areas(self, program: Program) -> NDArray[np.int64]:
        """Pixels of the program's volume value on each slice, `[D]`."""
        if program not in self._areas:
            areas = np.zeros(self.depth, dtype=np.int64)
            areas[self.box[0]] = self.in_volume(program).sum(axis=(1, 2))
            self._areas[program] = areas
        return self._areas[program]

    def agreement(self, program: Program, index: int) -> float:
        """IoU between the volume value cut at a slice and the value of the slice alone; 1 where both are empty."""
        alone = self.on_slice(program, index)
        position = index - self.box[0].start
        if not 0 <= position < len(self.labels):
            return 1.0
        cut = self.in_volume(program)[position]
        either = (cut | alone).sum()
        return float((cut & alone).sum() / either) if either else 1.0


@dataclass
class View:
    """One channel of a case: what a prompt is asked on.

    Attributes:
        scene: the case's labels.
        volume_id: the single-channel volume.
        facts: the manifest row.
        image: `[D, H, W]` in [0, 1], cut to the scene's box.
    """

    scene: Scene
    volume_id: str
    facts: dict[str, Any]
    image: NDArray[np.floating]
    _measured: dict[tuple[Program, int], tuple[dict[str, Measurement], str]] = field(default_factory=dict, repr=False)

    @property
    def structures(self) -> list[Structure]:
        """What this volume can be asked about, present or not."""
        return available(set(self.scene.structures.values()), channel=self.facts["channel"])

    def measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        """Attributes of the program's target on a slice, and the name of what it is compared with; empty for an empty
        target."""
        if (program, index) not in self._measured:
            self._measured[program, index] = self._measure(program, index)
        return self._measured[program, index]

    def _measure(self, program: Program, index: int) -> tuple[dict[str, Measurement], str]:
        mask = self.scene.on_slice(program, index)
        if not mask.any():
            return {}, ""
        labels, spacing_mm = self.scene.slice_labels(index), self.scene.spacing_mm
        reference, name = reference_of(
            program, mask, labels, structures=self.scene.structures, midline=self.scene.midline, spacing_mm=spacing_mm
        )
        window = (float(self.facts["window_low"]), float(self.facts["window_high"]))
        image = self.image[index - self.scene.box[0].start]
        found = measure(image, mask, reference, modality=self.facts["modality"], window=window, spacing_mm=spacing_mm)
        return found, name


def views_of(store: VolumeStore, case_id: str) -> list[View]:
    """All channels of a case, sharing one scene, in the order of their `volume_id`."""
    rows = store.manifest[store.manifest["case_id"] == case_id]
    first = rows.index[0]
    scene = Scene(
        store.labels(first), structures=store.structures(first), midline=store.midline(first),
        spacing_mm=store.spacing_mm(first), lateral=bool(rows.loc[first, "lateral"]),
    )  # fmt: skip
    return [
        View(scene, volume_id, {"volume_id": volume_id, **row.to_dict()}, store.image(volume_id)[scene.box])
        for volume_id, row in rows.iterrows()
    ]


def _box(labels: LabelArray, *, in_plane: int) -> tuple[slice, slice, slice]:
    found = [np.flatnonzero(labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    if not found[0].size:
        return (slice(0, 1), slice(0, labels.shape[1]), slice(0, labels.shape[2]))
    rims = (0, in_plane, in_plane)
    return tuple(
        slice(max(int(index[0]) - rim, 0), min(int(index[-1]) + rim + 1, size))
        for index, rim, size in zip(found, rims, labels.shape, strict=True)
    )
