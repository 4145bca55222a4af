"""On which scale an image's numbers are, found from the data with the evidence, and which of them are shown.

The one rule for training images (`data/grid.py`) and for a file that is segmented (`data/scan.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Modality
from semantiseg.data.case import Origin
from semantiseg.errors import DataError

Scale = Literal["HU", "HU+1024", "8-bit", "0 to 1", "0 to 1000", "-1 to 1", "z-scored", "arbitrary"]
"""`arbitrary` is MR, which has no unit."""

Stated = Literal["", "HU", "HU+1024", "rescaled", "z-scored"]
"""What `prepare.intensity` may say about users' CT; `rescaled` is any of the four ranges."""

ABDOMEN_HU = (-150.0, 250.0)
"""Soft tissue of the abdomen; BiomedParse's window of that name (`inference_utils/processing_utils.py`)."""

LUNG_HU = (-1000.0, 400.0)
"""From air to soft tissue, so that nodules in lung, chest wall and mediastinum all show contrast."""

PERCENTILES = (0.5, 99.5)
"""Of the voxels that are not background, per volume: MR has no unit (Task04's scans differ by three orders of
magnitude), and z-scores have lost theirs."""

OFFSET = 1024
"""What scanners add to Hounsfield units to store them without sign."""

RANGES: Mapping[Scale, tuple[float, float]] = {
    "-1 to 1": (-1.0, 1.0), "0 to 1": (0.0, 1.0), "8-bit": (0.0, 255.0), "0 to 1000": (0.0, 1000.0),
}  # fmt: skip
"""Ranges to which CT is rescaled, with its unit lost: the whole range is shown. Narrow ones first."""

HOUNSFIELD_BELOW = -100
"""An image with values below this is taken for a CT where nothing is said: MR is not negative."""

_SOFT = (-200, 300)
"""Fat to enhanced vessels, in HU."""

_LEAST_SOFT = 0.05
"""Least share of voxels in `_SOFT` + `OFFSET` that shows stored values without sign."""

_Z_SCORES = 30
"""Beyond so many standard deviations there is no z-score: dense bone is 20 from the mean of soft tissue."""


@dataclass(frozen=True)
class Intensity:
    """What the numbers of one image are.

    Attributes:
        modality: CT or MR.
        scale: see `Scale`.
        evidence: why it was taken for that, with the numbers.
        low, high: intensities that are shown as 0 and 1, in the image's own unit.
        below, above: shares of the voxels that the window cuts off.
    """

    modality: Modality
    scale: Scale
    evidence: str
    low: float
    high: float
    below: float = 0.0
    above: float = 0.0

    @property
    def window(self) -> tuple[float, float]:
        """Lowest and highest shown intensity."""
        return self.low, self.high

    def __str__(self) -> str:
        return (
            f"{self.modality} on the scale {self.scale} ({self.evidence}); shown from {self.low:g} to {self.high:g}, "
            f"which cuts off {self.below:.1%} of the voxels below and {self.above:.1%} above"
        )


def modality_of(image: NDArray[np.float32]) -> tuple[Modality, str]:
    """CT or MR where nothing is said, and why."""
    low = float(image.min())
    if low < HOUNSFIELD_BELOW:
        return "CT", f"taken for a CT, since its values go down to {low:g}"
    return "MR", f"taken for an MR, since no value is below {HOUNSFIELD_BELOW} (lowest {low:g})"


def recognise(
    image: NDArray[np.float32], *, modality: Modality, origin: Origin, leaves: Collection[str], stated: Stated = ""
) -> Intensity:
    """The scale of an image and its window.

    CT is windowed by site: lung where a lung label is declared, abdomen else. Published collections are in HU. A user's
    CT may not be: it is recognised by its range, and by where soft tissue lies.

    Args:
        image: one channel, any shape, finite, not constant.
        modality: CT or MR.
        origin: of the collection; only a user's CT is doubted.
        leaves: structures that the collection declares.
        stated: what the user says of the CT; "" for nothing.

    Raises:
        DataError: a CT of no known scale, one that contradicts what is stated, or a window that would be empty.
    """
    if modality == "MR":
        low, high = _percentiles(image[image != 0])
        evidence = "MR has no unit: by percentiles of the voxels that are not 0"
        return _measured(image, modality, "arbitrary", evidence, (low, high))
    scale: Scale
    if origin != "user":
        scale, evidence = "HU", "as published"
    elif stated:
        scale, evidence = _as_stated(image, stated), f"prepare.intensity says {stated}"
    else:
        scale, evidence = _ct_scale(image)
    site = LUNG_HU if any("lung" in leaf for leaf in leaves) else ABDOMEN_HU
    if scale in RANGES:
        limits = RANGES[scale]
    elif scale == "z-scored":
        limits = _percentiles(image[image != image.min()])
    else:
        offset = OFFSET if scale == "HU+1024" else 0
        limits = site[0] + offset, site[1] + offset
    return _measured(image, modality, scale, evidence, limits)


def in_hounsfield(window_low: float) -> bool:
    """Whether a CT's window is in HU: no other scale reaches so far below 0."""
    return window_low < -_Z_SCORES


def _ct_scale(image: NDArray[np.float32]) -> tuple[Scale, str]:
    """The scale of a user's CT and what shows it."""
    low, high = float(image.min()), float(image.max())
    spread = f"values from {low:g} to {high:g}"
    fits = _range_of(low, high)
    if fits in ("-1 to 1", "0 to 1", "8-bit"):
        return fits, spread
    if low < 0 and max(-low, high) < _Z_SCORES:
        return "z-scored", f"{spread}, mean {image.mean():.2g}, standard deviation {image.std():.2g}"
    if low < 0:
        air = np.mean(image < -800)
        return "HU", f"{spread}, {air:.0%} of the voxels below -800, as air is"
    soft = np.mean((image > _SOFT[0] + OFFSET) & (image < _SOFT[1] + OFFSET))
    if high > OFFSET and soft >= _LEAST_SOFT:
        return "HU+1024", f"{spread}, none negative, {soft:.0%} within {_SOFT} + {OFFSET}, where soft tissue would be"
    if fits:
        return fits, spread
    raise DataError(
        f"expected a CT in HU (air near -1000), stored as HU + {OFFSET}, rescaled to {', '.join(RANGES)}, or z-scored, "
        f"got {spread} and {soft:.1%} of the voxels within {_SOFT} + {OFFSET}. Say what it is: --set "
        "prepare.intensity=HU (or HU+1024, rescaled, z-scored)."
    )


def _range_of(low: float, high: float) -> Scale | None:
    """The narrowest range of `RANGES` that holds the values; half a percent beyond it is rounding."""
    for scale, (bottom, top) in RANGES.items():
        slack = 0.005 * (top - bottom) if scale != "8-bit" else 0.0
        if bottom - (slack if bottom else 0) <= low and high <= top + slack and (low < 0 or bottom == 0):
            return scale
    return None


def _as_stated(image: NDArray[np.float32], stated: Stated) -> Scale:
    if stated != "rescaled":
        return stated or "HU"
    found = _range_of(float(image.min()), float(image.max()))
    if not found:
        raise DataError(
            f"prepare.intensity=rescaled: expected values in one of {', '.join(RANGES)}, got {image.min():g} to "
            f"{image.max():g}. State another scale."
        )
    return found


def _percentiles(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.percentile(values, PERCENTILES)
    if not low < high:
        raise DataError(
            f"expected varied intensities, got {low:g} at both the {PERCENTILES[0]} and the {PERCENTILES[1]} "
            "percentile of the voxels that are not background. Export the image again or leave out the case."
        )
    return float(low), float(high)


def _measured(
    image: NDArray[np.float32], modality: Modality, scale: Scale, evidence: str, limits: tuple[float, float]
) -> Intensity:
    low, high = limits
    below, above = float(np.mean(image < low)), float(np.mean(image > high))
    return Intensity(modality, scale, evidence, low, high, below=below, above=above)
