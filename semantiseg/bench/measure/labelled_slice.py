"""The labelled slice: picture, labels and what is known of the patient, with the value of every program remembered.

Whoever asks what a program denotes, or how its target looks, asks this one object: the planner (on a cut of the volume,
see `bench/ask/scene.py`), the verifier (on the whole slice), training, evaluation and the explorer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.bench.measure.attributes import MINIMUM_REFERENCE, SHELL_MM, Measurement, measure, without_lengths
from semantiseg.conventions import LabelArray, Mask, Modality, record_of
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError, PromptError
from semantiseg.language.evaluate import evaluate, is_defined, leaves_of
from semantiseg.language.program import Program, atom, parent, parse


@dataclass
class Memo:
    """What was found on one label map: values of programs, their pixels on each slice, and the memo of each slice."""

    masks: dict[Program, Mask] = field(default_factory=dict)
    areas: dict[Program, NDArray[np.int64]] = field(default_factory=dict)
    slices: dict[int, Memo] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Labelled:
    """A label map with its picture and what is known of the patient.

    Attributes:
        labels: label numbers, `[H, W]` or `[D, H, W]`.
        image: of the same shape, in [0, 1]; None where nobody looks at it.
        structures: label number -> ontology leaf, of all labels that the collection has.
        midline: column of the mid-sagittal plane.
        spacing_mm: voxel edge.
        modality: CT or MR.
        channel: channel of the image (CT, T1, ...).
        window: intensities that 0 and 1 stand for.
        lateral: whether left and right may be asked.
        lengths: whether a voxel's size is known; if not, `spacing_mm` is a pixel and nothing is said or measured in mm.
        memo: of these labels; channels of one case share it.

    Raises:
        PromptError: image and labels differ in shape.
    """

    labels: LabelArray
    image: NDArray[np.floating] | None
    structures: Mapping[int, str]
    midline: float
    spacing_mm: float
    modality: Modality
    channel: str
    window: tuple[float, float]
    lateral: bool
    lengths: bool = True
    memo: Memo = field(default_factory=Memo, repr=False)

    def __post_init__(self) -> None:
        if self.image is not None and self.image.shape != self.labels.shape:
            raise PromptError(
                f"expected image and labels of one shape, got {self.image.shape} and {self.labels.shape}. Give the "
                "label map that was drawn on this image."
            )

    @property
    def picture(self) -> NDArray[np.floating]:
        """The image of what was read with it.

        Raises:
            PromptError: it was read without.
        """
        if self.image is None:
            raise PromptError("expected an image, got labels alone. Read the slice with both.")
        return self.image

    def mask(self, program: Program | str) -> Mask:
        """What a program (or its printed form) denotes here, of the shape of the labels; not to be written to.

        Raises:
            ProgramError: the collection does not label a structure that the program names.
        """
        tree = parse(program) if isinstance(program, str) else program
        return evaluate(tree, self.labels, structures=self.structures, midline=self.midline, memo=self.memo.masks)

    def labels_all_of(self, program: Program) -> bool:
        """Whether the collection labels every structure that the program names."""
        return is_defined(program, self.structures)

    def parent(self, program: Program) -> Program:
        """What a reader who ignores every qualifier would mark; the program itself where that is not labelled."""
        whole = parent(program)
        return whole if self.labels_all_of(whole) else program


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledSlice(Labelled):
    """One axial slice, `[H, W]`: what `verifier.SliceFacts` asks for, found on image and labels."""

    _measured: dict[Program, tuple[dict[str, Measurement], str]] = field(default_factory=dict, init=False, repr=False)

    def pixels(self, program: Program) -> int:
        """Pixels of the program's value."""
        return int(self.mask(program).sum())

    def same(self, one: Program, other: Program) -> bool:
        """Whether two programs have the same value."""
        return bool((self.mask(one) == self.mask(other)).all())

    def changed(self, program: Program) -> int:
        """Pixels in which a composition differs from its parent (none if the parent is not labelled)."""
        return int((self.mask(program) ^ self.mask(self.parent(program))).sum())

    def left_out(self, program: Program) -> int:
        """Pixels of what a `minus` leaves out, where it could be left out."""
        kept, removed = program.children
        return int((self.mask(removed) & self.mask(self._scope(kept, removed))).sum())

    def measure(self, program: Program) -> tuple[dict[str, Measurement], str]:
        """All attributes of the program's value that can be measured, and the name of what it is compared with; none
        and "" if the value is empty.

        Raises:
            PromptError: there is a target and no image.
        """
        if program not in self._measured:
            self._measured[program] = self._measure(program) if self.mask(program).any() else ({}, "")
        return self._measured[program]

    def reference(self, program: Program) -> tuple[Mask, str]:
        """The region that the program's value is compared with when it is called dark, bright or heterogeneous, and its
        name.

        A lesion is compared with the organ that contains it, without any of that organ's lesions ("parent"). Organs,
        parts of a lesion, and lesions whose organ is not labelled or hardly visible are compared with what lies within
        6 mm of them ("shell").
        """
        mask, container = self.mask(program), program.structure.container
        if container is not None and container.kind == "organ" and self.labels_all_of(atom(container.key)):
            lesions = [number for number, leaf in self.structures.items() if leaf in container.lesions]
            healthy = self.mask(atom(container.key)) & ~mask & ~np.isin(self.labels, lesions)
            if healthy.sum() >= 2 * MINIMUM_REFERENCE:
                return healthy, "parent"
        distance = ndimage.distance_transform_edt(~mask, sampling=self.spacing_mm)
        return (distance > 0) & (distance <= SHELL_MM[1]), "shell"

    def _measure(self, program: Program) -> tuple[dict[str, Measurement], str]:
        reference, name = self.reference(program)
        found = measure(
            self.picture, self.mask(program), reference, modality=self.modality, window=self.window,
            spacing_mm=self.spacing_mm,
        )  # fmt: skip
        return found if self.lengths else {item.attribute: item for item in without_lengths(found.values())}, name

    def _scope(self, kept: Program, removed: Program) -> Program:
        """Where something can be left out: in the thing itself, or, for a look-alike, in the organ that holds both."""
        if not leaves_of(kept).isdisjoint(leaves_of(removed)):
            return kept
        if kept.operation == "within":
            return kept.children[1]
        container = kept.structure.container
        return kept if container is None or not self.labels_all_of(atom(container.key)) else atom(container.key)


@dataclass(frozen=True, eq=False, kw_only=True)
class LabelledVolume(Labelled):
    """A volume, `[D, H, W]`, and its slices."""

    _slices: dict[int, LabelledSlice] = field(default_factory=dict, init=False, repr=False)

    def axial(self, index: int) -> LabelledSlice:
        """One axial slice, always the same object."""
        if index not in self._slices:
            self._slices[index] = LabelledSlice(
                labels=self.labels[index], image=None if self.image is None else self.image[index],
                structures=self.structures, midline=self.midline, spacing_mm=self.spacing_mm, modality=self.modality,
                channel=self.channel, window=self.window, lateral=self.lateral, lengths=self.lengths,
                memo=self.memo.slices.setdefault(index, Memo()),
            )  # fmt: skip
        return self._slices[index]


def read_slice(store: VolumeStore, volume_id: str, index: int, *, seen: bool = True) -> LabelledSlice:
    """One axial slice of a prepared volume; without its image unless it is `seen`."""
    image = store.image_slice(volume_id, index) if seen else None
    return LabelledSlice(labels=store.label_slice(volume_id, index), image=image, **_known(store, volume_id))


def read_volume(store: VolumeStore, volume_id: str, *, seen: bool = True) -> LabelledVolume:
    """A whole prepared volume; without its image unless it is `seen`."""
    image = store.image(volume_id) if seen else None
    return LabelledVolume(labels=store.labels(volume_id), image=image, **_known(store, volume_id))


def window_of(row: Mapping[str, Any]) -> tuple[float, float]:
    """The window of a manifest row."""
    return float(row["window_low"]), float(row["window_high"])


def _known(store: VolumeStore, volume_id: str) -> dict[str, Any]:
    """What is known of the patient and the channel.

    Raises:
        DataError: the manifest lacks a column.
    """
    row = record_of(store.manifest, volume_id)
    if missing := {"modality", "channel", "window_low", "window_high", "lateral"} - set(row):
        raise DataError(
            f"{store.root}: expected a manifest that states modality, channel, window and lateral of a volume, got one "
            f"without {sorted(missing)}. Run the stage 'prepare' again."
        )
    return {
        "structures": store.structures(volume_id),
        "midline": store.midline(volume_id),
        "spacing_mm": store.spacing_mm(volume_id),
        "modality": row["modality"],
        "channel": row["channel"],
        "window": window_of(row),
        "lateral": bool(row["lateral"]),
        "lengths": bool(row.get("spacing_known", True)),
    }
