"""From a label map to an image: CT in Hounsfield units or an MR channel in arbitrary units.

Nothing here knows anatomy. Any integer label map can be rendered, a phantom's or a real one, given a table that names
the signal of every label in it.

One phantom scan, and the choices a collection makes when it scans: field of view, voxel size, storage axes,
channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.data.phantom.anatomy import Anatomy, Signal, without_specks
from semantiseg.data.phantom.field import (
    Axes,
    BodyFrame,
    Field,
    Grid,
    Pose,
    bounded_normal,
    patient_frame,
    smooth_noise,
)
from semantiseg.errors import DataError
from semantiseg.randomness import Streams

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
    x, y, z = (np.arange(count, dtype=np.float64) * float(step) for count, step in zip(shape, spacing, strict=True))
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


@dataclass(frozen=True)
class Case:
    """Who and what is scanned. `index` counts patients; it picks from each collection's cycle of findings.

    `body_scale` is the linear size of the body: 0.4 draws every millimetre of a natural trunk as 0.4 mm.
    """

    collection: str
    case_id: str
    patient_id: str
    index: int
    time_point: int
    body_scale: float
    seed: int

    @property
    def patient(self) -> Streams:
        """Streams of the patient's anatomy, shared by all scans of that patient."""
        return Streams(self.seed, self.collection, self.patient_id)

    @property
    def scanner(self) -> Streams:
        """Streams of this one scan: findings that change with time, contrast, noise."""
        return Streams(self.seed, self.collection, self.case_id)


@dataclass(frozen=True)
class RenderedScan:
    """A finished scan in RAS order, to be stored along `axes` (such as "LAS").

    Attributes:
        channels: image `[X, Y, Z]` by channel name, in the collection's order.
        label: the collection's label numbers, uint8 `[X, Y, Z]`.
        affine: voxel index to RAS millimetres.
        facts: what the collection's own description says about a case.
    """

    channels: dict[str, NDArray]
    label: NDArray[np.uint8]
    affine: NDArray[np.float64]
    axes: str
    facts: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class View:
    """A field of view: half extent and centre (natural mm), relative scale of the region, spacings to choose from."""

    half_extent: tuple[float, float, float]
    centre: tuple[float, float, float]
    relative_scale: float
    in_plane: tuple[float, float]
    thickness: tuple[float, ...]
    axes: tuple[str, ...]
    pose: Pose = Pose()


def place_patient(case: Case, view: View) -> tuple[BodyFrame, str]:
    """The patient's frame on this scan's grid, and the axes along which the scan will be stored."""
    scale = case.body_scale * view.relative_scale
    rng = case.patient("grid")
    in_plane = round(float(rng.uniform(*view.in_plane)), 3)
    thickness = view.thickness[case.index % len(view.thickness)]
    grid = Grid.covering(
        half_extent=view.half_extent, centre=view.centre, spacing=(in_plane, in_plane, thickness), scale=scale
    )
    return patient_frame(grid, case.patient("pose"), pose=view.pose), view.axes[case.index % len(view.axes)]


def label_map(anatomy: Anatomy, numbers: Mapping[str, int]) -> NDArray[np.uint8]:
    """The collection's label map: structures by number, later ones over earlier ones, without specks."""
    label = np.zeros(anatomy.tissue.shape, np.uint8)
    for structure, number in numbers.items():
        if structure in anatomy.structures:
            label[anatomy.structures[structure]] = number
    # Only now: where one structure lies over another, it may have cut specks from it.
    for number in sorted(set(numbers.values())):
        mask = label == number
        label[mask & ~without_specks(mask)] = 0
    return label


def ct_scan(
    case: Case, anatomy: Anatomy, table: Mapping[int, Signal], numbers: Mapping[str, int], axes: str
) -> RenderedScan:
    """Scan an anatomy by CT; the noise level differs between scans."""
    rng = case.scanner("CT")
    scanner = Scanner(blur=CT_SCANNER.blur, noise=float(rng.uniform(5, 9)))
    grid = anatomy.frame.grid
    image = render_ct(anatomy.tissue, table, spacing=grid.spacing, rng=rng, scanner=scanner)
    return RenderedScan({"CT": image}, label_map(anatomy, numbers), grid.affine, axes)


def mr_scan(
    case: Case,
    anatomy: Anatomy,
    tables: Mapping[str, Mapping[int, Signal]],
    numbers: Mapping[str, int],
    axes: str,
    *,
    scales: Mapping[str, tuple[float, float]],
    masked: bool = False,
) -> RenderedScan:
    """Scan an anatomy by MR, every channel with its own arbitrary scale, bias field and noise.

    `scales` gives the range, by channel, from which the scale is drawn (logarithmically uniform).
    """
    grid = anatomy.frame.grid
    channels = {}
    for name, table in tables.items():
        rng = case.scanner(name)
        low, high = np.log(scales[name])
        scanner = Scanner(blur=MR_SCANNER.blur, noise=float(rng.uniform(0.016, 0.028)), noise_blur=0.0, bias=0.1)
        channels[name] = render_mr(
            anatomy.tissue,
            table,
            spacing=grid.spacing,
            rng=rng,
            scale=float(np.exp(rng.uniform(low, high))),
            scanner=scanner,
            masked=masked,
        )
    return RenderedScan(channels, label_map(anatomy, numbers), grid.affine, axes)
