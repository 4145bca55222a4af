"""One phantom scan, and the choices a collection makes when it scans: field of view, voxel size, storage axes,
channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semantiseg.data.phantom.anatomy import Anatomy, without_specks
from semantiseg.data.phantom.field import Frame, Grid, Pose, patient_frame
from semantiseg.data.phantom.render import CT_SCANNER, MR_SCANNER, Scanner, render_ct, render_mr
from semantiseg.data.phantom.stream import Streams
from semantiseg.data.phantom.tissue import Signal


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
class Scan:
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


def place(case: Case, view: View) -> tuple[Frame, str]:
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


def ct_scan(case: Case, anatomy: Anatomy, table: Mapping[int, Signal], numbers: Mapping[str, int], axes: str) -> Scan:
    """Scan an anatomy by CT; the noise level differs between scans."""
    rng = case.scanner("CT")
    scanner = Scanner(blur=CT_SCANNER.blur, noise=float(rng.uniform(5, 9)))
    grid = anatomy.frame.grid
    image = render_ct(anatomy.tissue, table, spacing=grid.spacing, rng=rng, scanner=scanner)
    return Scan({"CT": image}, label_map(anatomy, numbers), grid.affine, axes)


def mr_scan(
    case: Case,
    anatomy: Anatomy,
    tables: Mapping[str, Mapping[int, Signal]],
    numbers: Mapping[str, int],
    axes: str,
    *,
    scales: Mapping[str, tuple[float, float]],
    masked: bool = False,
) -> Scan:
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
    return Scan(channels, label_map(anatomy, numbers), grid.affine, axes)
