"""The project's one vocabulary of shapes, axes and units (see docs/architecture.md)."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Slice = NDArray[np.floating]
"""One axial image, `[H, W]`: rows grow to anterior, columns to the patient's right; values in [0, 1]."""

Mask = NDArray[np.bool_]
"""A binary mask, `[H, W]` on a slice or `[D, H, W]` on a volume."""

LabelArray = NDArray[np.uint8]
"""Label numbers, `[H, W]` or `[D, H, W]`; 0 is background."""

Modality = Literal["CT", "MR"]
Side = Literal["left", "right"]
Direction = Literal["anterior", "posterior", "left", "right"]
Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LEVELS: tuple[int, ...] = (1, 2, 3)


def radiological(image: NDArray) -> NDArray:
    """A stored slice `[H, W, ...]` as the picture a radiologist expects: anterior up, patient's right on the left."""
    return image[::-1, ::-1]
