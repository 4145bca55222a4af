"""Visual attributes of a target on one axial slice, measured on the channel that is shown.

Every attribute has a formula, a unit, thresholds and a dead band: a number inside the band makes no clause, so that a
    prompt never says what a second look could deny. The comparison region ("reference") is the parent organ without
    its lesions where the collection labels one (RENAL, LI-RADS and the pancreatic reporting template all describe
    lesions against the parenchyma), else a shell around the target.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from semantiseg.conventions import Mask, Slice
from semantiseg.data.intensity import in_hounsfield
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.evaluate import components

SHELL_MM = (2.0, 6.0)
"""Distance from the target at which the reference is read; nearer pixels are partial volume."""
CT_ISO_HU, CT_BAND_HU = 10.0, 2.0
"""Iso-attenuation is |difference| <= 10 HU; 8 to 12 HU is the dead band."""
MR_ISO_SD, MR_BAND_SD = 0.5, 0.1
"""Iso-intensity is |difference| <= 0.5 robust standard deviations of the reference; 0.4 to 0.6 is the dead band."""
TEXTURE_LAG_MM = 3.0
"""Distance of the pixel pairs that tell the reference's own graininess: beyond the point spread, within one tissue."""
HOMOGENEOUS_AT_MOST, HETEROGENEOUS_AT_LEAST = 1.3, 1.8
"""Ratio of the robust standard deviation of the target to the graininess of the reference; 1 is as smooth as its
surroundings."""
ROUND_AXES, ROUND_SOLIDITY, ELONGATED_AXES, ELONGATED_SOLIDITY, IRREGULAR_SOLIDITY = 0.80, 0.90, 0.60, 0.85, 0.80
"""Limits of the ratio of minor to major axis and of area to convex hull area."""
SHARP_AT_LEAST, BLURRED_AT_MOST = 0.50, 0.30
"""Share of the contrast that is crossed between the pixel on one side of the boundary and that on the other: erf(0.35
/ s) for an edge that is blurred by a Gaussian of s pixels, so the limits stand for s = 0.7 (about a scanner's own)
and s = 1.3."""
CAPSULE_SHARE = 0.15
"""A rim may leave the range between target and reference by this share of the contrast before it counts as a
structure of its own."""
MARGIN_CONTRAST_SD = 2.0
"""Below this contrast (robust standard deviations of the reference) the eye finds no margin to describe."""
MINIMUM_REFERENCE, MINIMUM_INTERIOR = 30, 12
"""Fewest pixels of a reference and of an eroded target; fewer give no reliable spread."""


@dataclass(frozen=True)
class Measurement:
    """One attribute of one target.

    Attributes:
        attribute: name, as in `clause.VALUES`.
        number: what was measured.
        unit: of `number`.
        value: the word that the number earns, or None in a dead band.
        margin: distance of `number` from the limit at which `value` would stop being said, in the same unit; 0
            without a value.
    """

    attribute: str
    number: float
    unit: str
    value: str | None
    margin: float


def measure(
    image: Slice, mask: Mask, reference: Mask, *, modality: str, window: tuple[float, float], spacing_mm: float
) -> dict[str, Measurement]:
    """Measure what can be measured; attributes without a sound basis (too few pixels, several components) are left out.

    Args:
        image: `[H, W]` in [0, 1] after the window.
        mask: the target, `[H, W]`.
        reference: what it is compared with, `[H, W]`, disjoint from the target (see `LabelledSlice.reference`).
        modality: CT (differences in HU through `window`) or MR.
        window: intensities that 0 and 1 stand for; HU on CT, unless it was rescaled (`in_hounsfield`).
        spacing_mm: pixel edge.

    Raises:
        PromptError: shapes differ, or the target is empty.
    """
    if not image.shape == mask.shape == reference.shape:
        raise PromptError(
            f"expected image, mask and reference of one shape [H, W], got {image.shape}, {mask.shape}, "
            f"{reference.shape}."
        )
    if not mask.any():
        raise PromptError(
            "expected a target with pixels, got an empty mask. Attributes of an absent target do not exist."
        )
    image, mask, reference = _crop(
        image.astype(np.float64), mask, reference, margin=int(np.ceil(SHELL_MM[1] / spacing_mm)) + 1
    )
    outside = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    clear = reference & (outside >= SHELL_MM[0])
    compared, interior = image[clear], _interior(image, mask)
    found: list[Measurement | None] = []
    if compared.size >= MINIMUM_REFERENCE:
        difference, spread = interior.mean() - compared.mean(), max(_robust_sd(compared), 1e-6)
        found.append(_contrast(difference, spread, modality, window))
        found.append(_texture(interior, _graininess(image, clear, lag=max(round(TEXTURE_LAG_MM / spacing_mm), 1))))
        if abs(difference) >= MARGIN_CONTRAST_SD * spread:
            found.append(_margin(image, mask, reference, outside, compared.mean(), spacing_mm))
    if components(mask)[1] == 1:
        found += [_shape(mask), _diameter(mask, spacing_mm)]
    return {item.attribute: item for item in found if item is not None}


LENGTHS = frozenset({"mm", "ml"})
"""Units that mean nothing where the voxel size is not known."""


def without_lengths(found: Iterable[Measurement]) -> list[Measurement]:
    """What can still be said of files that have no voxel size (pictures): nothing in mm or ml."""
    return [item for item in found if item.unit not in LENGTHS]


def clauses_of(measurements: dict[str, Measurement]) -> list[tuple[Clause, dict[str, float | str]]]:
    """The clauses that the measurements earn, each with its evidence (number, unit, value, margin), in a fixed
    order."""
    return [
        (Clause(name, str(item.value)), asdict(item))
        for name, item in sorted(measurements.items())
        if item.value is not None
    ]


def holds(clause: Clause, measurements: dict[str, Measurement]) -> bool:
    """Whether a clause is true of the target: its value is the measured one (diameters: within half a millimetre of
    rounding)."""
    item = measurements.get(clause.attribute)
    return item is not None and item.value == clause.value


def _crop(image: Slice, mask: Mask, reference: Mask, *, margin: int) -> tuple[Slice, Mask, Mask]:
    rows, columns = np.nonzero(mask | reference)
    window = tuple(slice(max(index.min() - margin, 0), index.max() + margin + 1) for index in (rows, columns))
    return image[window], mask[window], reference[window]


def _interior(image: Slice, mask: Mask) -> NDArray[np.floating]:
    """Intensities of the target without its outermost pixels (partial volume), or of all of it when it is too small
    for that."""
    eroded = ndimage.binary_erosion(mask)
    return image[eroded if eroded.sum() >= MINIMUM_INTERIOR else mask]


def _robust_sd(values: NDArray[np.floating]) -> float:
    """Interquartile range / 1.349: the standard deviation of a normal distribution, deaf to a few outliers."""
    low, high = np.percentile(values, (25, 75))
    return float(high - low) / 1.349


def _banded(
    number: float, limits: tuple[float, float, float, float], values: tuple[str, str, str]
) -> tuple[str | None, float]:
    """Value and margin for three ranges separated by two dead bands: (..., a], [b, c], [d, ...)."""
    a, b, c, d = limits
    if number <= a:
        return values[0], a - number
    if b <= number <= c:
        return values[1], min(number - b, c - number)
    if number >= d:
        return values[2], number - d
    return None, 0.0


def _contrast(difference: float, spread: float, modality: str, window: tuple[float, float]) -> Measurement:
    """CT: mean difference in HU, iso within 10 HU (design choice of SemantiBench, stable against 1 to 2 HU of bias).

    MR, whose unit is arbitrary: mean difference in robust standard deviations of the reference, iso within 0.5. So too
    a CT that was rescaled to 8 bits; its window starts at 0, which no window in HU does (see `data/window.py`).
    """
    name = "density" if modality == "CT" else "signal"
    values = (
        ("hypodense", "isodense", "hyperdense") if modality == "CT" else ("hypointense", "isointense", "hyperintense")
    )
    if modality == "CT" and in_hounsfield(window[0]):
        number, unit, iso, band = difference * (window[1] - window[0]), "HU", CT_ISO_HU, CT_BAND_HU
    else:
        number, unit, iso, band = difference / spread, "sd", MR_ISO_SD, MR_BAND_SD
    value, margin = _banded(number, (-iso - band, -iso + band, iso - band, iso + band), values)
    return Measurement(name, float(number), unit, value, float(margin))


def _graininess(image: Slice, region: Mask, *, lag: int) -> float:
    """Robust standard deviation of intensity within one tissue of the region, from differences between pixels `lag`
    apart.

    The median of the absolute differences is deaf to pairs that straddle two tissues, so a shell across liver, fat
    and bowel does not count as coarse. For independent normal values it is 0.6745 * sqrt(2) times their standard
    deviation.
    """
    pairs = [
        np.abs(image[lag:] - image[:-lag])[region[lag:] & region[:-lag]],
        np.abs(image[:, lag:] - image[:, :-lag])[region[:, lag:] & region[:, :-lag]],
    ]
    differences = np.concatenate(pairs)
    return float(np.median(differences)) / (0.6745 * np.sqrt(2)) if differences.size >= MINIMUM_REFERENCE else 0.0


def _texture(interior: NDArray[np.floating], graininess: float) -> Measurement | None:
    """Robust standard deviation of the target over the graininess of the reference: compared inside the scan, since
    noise depends on the kernel."""
    if interior.size < MINIMUM_INTERIOR or graininess <= 0:
        return None
    ratio = _robust_sd(interior) / graininess
    value = (
        "homogeneous" if ratio <= HOMOGENEOUS_AT_MOST else "heterogeneous" if ratio >= HETEROGENEOUS_AT_LEAST else None
    )
    margin = max(HOMOGENEOUS_AT_MOST - ratio, ratio - HETEROGENEOUS_AT_LEAST) if value else 0.0
    return Measurement("texture", float(ratio), "ratio", value, float(margin))


def _margin(
    image: Slice, mask: Mask, reference: Mask, outside: NDArray[np.float64], compared: float, spacing_mm: float
) -> Measurement | None:
    """Mean step across the boundary over the full contrast, 1 for a perfectly sharp edge.

    The step is taken between the rims on either side of the boundary, averaged along it, so noise does not sharpen it
    as it would a mean gradient magnitude.
    """
    inside = ndimage.distance_transform_edt(mask, sampling=spacing_mm)
    outer_rim = reference & (outside <= spacing_mm)
    # Only the boundary with the reference: a zone also borders on fat, whose step is another one.
    inner_rim = mask & (inside <= spacing_mm) & ndimage.binary_dilation(outer_rim)
    core = mask & (inside >= SHELL_MM[0])
    if outer_rim.sum() < MINIMUM_INTERIOR or core.sum() < MINIMUM_INTERIOR:
        return None
    contrast = float(image[core].mean()) - compared
    if abs(contrast) < 1e-6:
        return None
    near, far = ((float(image[rim].mean()) - compared) / contrast for rim in (inner_rim, outer_rim))
    # Rims outside the range between the two sides: a capsule or a halo lies there, which is another kind of margin.
    if not -CAPSULE_SHARE <= far <= near <= 1 + CAPSULE_SHARE:
        return None
    share = near - far
    value = "well_defined" if share >= SHARP_AT_LEAST else "ill_defined" if share <= BLURRED_AT_MOST else None
    distance = max(share - SHARP_AT_LEAST, BLURRED_AT_MOST - share) if value else 0.0
    return Measurement("margin", share, "share", value, float(distance))


def _hull(mask: Mask) -> NDArray[np.float64]:
    """Corners of the convex hull of the pixels (as squares, so that one pixel has an area)."""
    rim = np.argwhere(mask & ~ndimage.binary_erosion(mask))
    corners = np.concatenate([rim + shift for shift in ((0, 0), (0, 1), (1, 0), (1, 1))])
    return corners[spatial.ConvexHull(corners).vertices].astype(np.float64)


def _shape(mask: Mask) -> Measurement:
    """Axis ratio (square root of the ratio of the eigenvalues of the second moments) and solidity (area over hull
    area), holes filled: a ring has the shape of its outline.

    The number is the axis ratio, or the solidity when the outline is irregular, so that the margin is read on the
    limit that decides.
    """
    mask = ndimage.binary_fill_holes(mask)
    corners = _hull(mask)
    rows, columns = corners.T
    hull_area = 0.5 * abs(np.dot(rows, np.roll(columns, -1)) - np.dot(columns, np.roll(rows, -1)))
    solidity = float(mask.sum() / hull_area)
    # A square pixel has variance 1/12 of its own: without it a line of pixels would have no width.
    moments = np.cov(np.argwhere(mask).T, bias=True) + np.eye(2) / 12 if mask.sum() > 1 else np.eye(2) / 12
    minor, major = np.sqrt(np.linalg.eigvalsh(moments))
    ratio = float(minor / major)
    if solidity <= IRREGULAR_SOLIDITY:
        return Measurement("shape", solidity, "solidity", "irregular", IRREGULAR_SOLIDITY - solidity)
    if ratio <= ELONGATED_AXES and solidity >= ELONGATED_SOLIDITY:
        return Measurement(
            "shape", ratio, "axis ratio", "elongated", min(ELONGATED_AXES - ratio, solidity - ELONGATED_SOLIDITY)
        )
    if ratio >= ROUND_AXES and solidity >= ROUND_SOLIDITY:
        return Measurement("shape", ratio, "axis ratio", "round", min(ratio - ROUND_AXES, solidity - ROUND_SOLIDITY))
    return Measurement("shape", ratio, "axis ratio", None, 0.0)


def _diameter(mask: Mask, spacing_mm: float) -> Measurement:
    """Largest in-plane Feret diameter in mm (RECIST's longest axial diameter), said in whole millimetres."""
    feret = float(spatial.distance.pdist(_hull(mask)).max()) * spacing_mm
    whole = int(np.floor(feret + 0.5))
    return Measurement("diameter", feret, "mm", str(whole), 0.5 - abs(feret - whole))
