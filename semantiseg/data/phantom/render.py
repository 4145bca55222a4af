"""From a label map to an image: CT in Hounsfield units or an MR channel in arbitrary units.

Nothing here knows anatomy. Any integer label map can be rendered, a phantom's or a real one, given a table that names
the signal of every label in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.field import Axes, Field, bounded_normal, smooth_noise
from semantiseg.data.phantom.tissue import Signal
from semantiseg.errors import DataError

HU_RANGE = (-1024, 3071)
"""The 12-bit range of CT numbers (DICOM rescale intercept -1024)."""


@dataclass(frozen=True)
class Scanner:
    """How a scan blurs and disturbs.

    Attributes:
        blur: standard deviation of the point spread, millimetres of the scan (partial volume).
        noise: standard deviation of the noise: HU for CT; for MR relative to the brightest tissue mean.
        noise_blur: standard deviation of the noise's correlation, in voxels in-plane.
        bias: standard deviation of the logarithm of the MR bias field; 0 for CT.
        bias_length: correlation length of the bias field, millimetres of the scan.
        fine, coarse: correlation lengths of tissue texture, millimetres of the scan.
    """

    blur: float = 0.55
    noise: float = 10.0
    noise_blur: float = 0.55
    bias: float = 0.0
    bias_length: float = 35.0
    fine: float = 0.8
    coarse: float = 2.2


CT_SCANNER = Scanner()
MR_SCANNER = Scanner(blur=0.5, noise=0.022, noise_blur=0.0, bias=0.12)


def mean_image(
    labels: NDArray[np.integer], table: Mapping[int, Signal], axes: Axes, rng: np.random.Generator, scanner: Scanner
) -> Field:
    """Noise-free image `[X, Y, Z]`: tissue means of this patient plus texture, blurred by the scanner.

    Raises:
        DataError: a label has no signal in the table.
    """
    present = [int(value) for value in np.unique(labels)]
    missing = [value for value in present if value not in table]
    if missing:
        raise DataError(
            f"expected a signal for every label of the map, got none for {missing}; "
            f"add them to the tissue table (it has {sorted(map(int, table))})"
        )
    mean, fine, coarse = np.zeros((3, max(map(int, table)) + 1), np.float32)
    # Every tissue of the table draws its variation, present or not, so that a lesion changes nothing else in the
    # picture.
    for label in sorted(map(int, table)):
        signal = table[label]
        mean[label] = signal.mean + signal.between * float(bounded_normal(rng))
        fine[label], coarse[label] = signal.fine, signal.coarse
    image = mean[labels]
    image += fine[labels] * smooth_noise(axes, rng, length=scanner.fine)
    image += coarse[labels] * smooth_noise(axes, rng, length=scanner.coarse)
    sigma = [scanner.blur / abs(axis[1] - axis[0]) if len(axis) > 1 else 0.0 for axis in axes]
    return ndimage.gaussian_filter(image, sigma, mode="nearest")


def scan_noise(shape: tuple[int, ...], rng: np.random.Generator, *, blur: float) -> Field:
    """Unit-variance noise `[X, Y, Z]`, correlated in-plane over `blur` voxels as after a CT reconstruction kernel."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if blur:
        noise = ndimage.gaussian_filter(noise, (blur, blur, 0), mode="wrap")
        noise /= noise.std()
    return noise


def grid_axes(shape: tuple[int, ...], spacing: tuple[float, ...]) -> Axes:
    """Millimetres of the voxel centres along X, Y, Z, from zero."""
    x, y, z = (np.arange(count) * float(step) for count, step in zip(shape, spacing, strict=True))
    return x, y, z


def render_ct(
    labels: NDArray[np.integer],
    table: Mapping[int, Signal],
    *,
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
    scanner: Scanner = CT_SCANNER,
) -> NDArray[np.int16]:
    """CT in Hounsfield units of a label map `[X, Y, Z]` with voxels of `spacing` mm; int16, cut to `HU_RANGE`.

    Raises:
        DataError: a label has no signal in the table.
    """
    image = mean_image(labels, table, grid_axes(labels.shape, spacing), rng, scanner)
    image += np.float32(scanner.noise) * scan_noise(labels.shape, rng, blur=scanner.noise_blur)
    return np.clip(np.rint(image), *HU_RANGE).astype(np.int16)


def render_mr(
    labels: NDArray[np.integer],
    table: Mapping[int, Signal],
    *,
    spacing: tuple[float, float, float],
    rng: np.random.Generator,
    scale: float,
    scanner: Scanner = MR_SCANNER,
    masked: bool = False,
) -> NDArray[np.float32]:
    """One MR channel of a label map `[X, Y, Z]`: bias field, Rician noise, then the scan's arbitrary `scale`.

    `masked` sets label 0 to exactly zero, as in skull-stripped collections. Values are whole numbers, none negative.

    Raises:
        DataError: a label has no signal in the table.
    """
    axes = grid_axes(labels.shape, spacing)
    image = mean_image(labels, table, axes, rng, scanner)
    image *= np.exp(np.float32(scanner.bias) * smooth_noise(axes, rng, length=scanner.bias_length))
    level = np.float32(scanner.noise * max(signal.mean for signal in table.values()))
    real = image + level * scan_noise(labels.shape, rng, blur=scanner.noise_blur)
    imaginary = level * scan_noise(labels.shape, rng, blur=scanner.noise_blur)
    magnitude = np.sqrt(real**2 + imaginary**2)  # Rician: the magnitude of a complex signal (Gudbjartsson 1995)
    if masked:
        magnitude[labels == 0] = 0
    return np.rint(magnitude * np.float32(scale)).astype(np.float32)
