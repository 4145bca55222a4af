"""Tiny folders of images as users have them, in Decathlon or nnU-Net v2 layout: boxes of even intensity in noise."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

SHAPE = (40, 36, 8)
Box = tuple[slice, slice, slice]


@dataclass
class Folder:
    """A collection; `add` writes a case and renews dataset.json.

    Attributes:
        labels: names of labels 1, 2, ...
        channels: names of the channels.
        shape: voxels along the axes right, anterior, superior.
        nnunet: nnU-Net v2: a file a channel, cases told by file names, patients by nothing else.
        offset: added to every stored value.
    """

    path: Path
    labels: Sequence[str]
    channels: Sequence[str] = ("CT",)
    shape: tuple[int, int, int] = SHAPE
    nnunet: bool = False
    offset: int = 0
    training: list[dict[str, str]] = field(default_factory=list)

    def add(self, case: str, boxes: Mapping[int, Box | Sequence[Box]], *, patient: str = "") -> None:
        """Write a case whose boxes, by label number, are painted one over the other."""
        rng = np.random.default_rng(len(self.training))
        label = np.zeros(self.shape, dtype=np.uint8)
        for number, places in boxes.items():
            for place in [places] if isinstance(places[0], slice) else places:
                label[place] = number
        images = [self._image(label, rng) for _ in self.channels]
        entry = {"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"}
        self.training.append(entry | {"patient": patient or case})
        self._save("labelsTr", case, label)
        if self.nnunet:
            for channel, image in enumerate(images):
                self._save("imagesTr", f"{case}_{channel:04d}", image)
            self._describe({
                "channel_names": {str(number): name for number, name in enumerate(self.channels)},
                "labels": {name: number for number, name in enumerate(["background", *self.labels])},
                "numTraining": 1, "file_ending": ".nii.gz",
            })  # fmt: skip
            return
        self._save("imagesTr", case, images[0] if len(images) == 1 else np.stack(images, axis=-1))
        self._describe({
            "modality": {str(number): name for number, name in enumerate(self.channels)},
            "labels": {str(number): name for number, name in enumerate(["background", *self.labels])},
            "training": self.training,
        })  # fmt: skip

    def _describe(self, description: Mapping[str, object]) -> None:
        (self.path / "dataset.json").write_text(json.dumps(description))

    def _image(self, label: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.int16]:
        body = np.full(self.shape, -1000.0)
        body[2:-2, 2:-2] = 40
        body += 40.0 * label + rng.normal(0, 6, self.shape) + self.offset
        return body.astype(np.int16)

    def _save(self, part: str, case: str, values: NDArray) -> None:
        (self.path / part).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 1.0, 1.0])), self.path / part / f"{case}.nii.gz")


def box(right: int, anterior: int, superior: int = 1, *, size: tuple[int, int, int] = (10, 9, 5)) -> Box:
    """A box by its lowest corner."""
    corner = zip((right, anterior, superior), size, strict=True)
    return tuple(slice(start, start + extent) for start, extent in corner)  # type: ignore[return-value]
