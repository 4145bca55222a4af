"""All region attributes of a case, one row a region and channel, and the file that stores them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantiseg.bench import region_attributes as measured
from semantiseg.bench.attributes import Measurement
from semantiseg.bench.ontology import STRUCTURES, Structure, available, structure
from semantiseg.bench.region_attributes import Region
from semantiseg.bench.space import PAIRED
from semantiseg.conventions import LabelArray, Mask
from semantiseg.data.cluster import for_each
from semantiseg.data.store import VolumeStore

COLUMNS = ("volume_id", "structure", "region", "attribute", "number", "unit", "value", "margin")


def case_attributes(
    labels: LabelArray, images: dict[str, NDArray[np.floating]], *, structures: dict[int, str], facts: dict[str, Any]
) -> list[dict[str, Any]]:
    """Measure every region of every structure once, and what depends on intensity once a channel.

    Args:
        labels: `[D, H, W]`.
        images: `volume_id` -> `[D, H, W]` in [0, 1].
        structures: label number -> leaf.
        facts: manifest row of each volume, by `volume_id`.

    Returns:
        Rows of `COLUMNS`; `region` counts from 1, the largest.
    """
    first = facts[next(iter(images))]
    spacing_mm, box = float(first["spacing_mm"]), _box(labels, margin_mm=measured.SHELL_MM[1] / first["spacing_mm"])
    cut = labels[box]
    shapes: dict[str, tuple[list[Region], list[list[Measurement]]]] = {}
    rows: list[dict[str, Any]] = []
    for volume_id, image in images.items():
        row = facts[volume_id]
        for item in available(set(structures.values()), channel=row["channel"]):
            if item.key not in shapes:
                found = measured.regions(_mask(item.leaves, cut, structures), spacing_mm=spacing_mm)
                shapes[item.key] = (
                    found,
                    list(_shape(found, item, cut, structures, row, column=row["midline"] - box[2].start)),
                )
            found, shown = shapes[item.key]
            for number, (region, shape) in enumerate(zip(found, shown, strict=True), start=1):
                all_of = [*shape, *_intensity(image[box], region, item, cut, structures, row)]
                name = {"volume_id": volume_id, "structure": item.key, "region": number}
                rows += [name | asdict(one) for one in all_of]
        rows += _proportions(volume_id, cut, structures, spacing_mm)
    return rows


def write_attributes(volumes: Path, path: Path, *, workers: int = 1) -> int:
    """Measure all cases of a folder of prepared volumes and store the rows as Parquet; returns how many there are."""
    import pandas as pd

    with VolumeStore(volumes) as store:
        cases = sorted(store.manifest["case_id"].unique())
    found = for_each(_stored, [((volumes, case_id), {}) for case_id in cases], workers=workers)
    table = pd.DataFrame([row for rows in found for row in rows], columns=list(COLUMNS))
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)
    return len(table)


def _stored(volumes: Path, case_id: str) -> list[dict[str, Any]]:
    with VolumeStore(volumes) as store:
        rows = store.manifest[store.manifest["case_id"] == case_id]
        facts = {volume_id: row.to_dict() for volume_id, row in rows.iterrows()}
        images = {volume_id: store.image(volume_id) for volume_id in facts}
        first = next(iter(facts))
        return case_attributes(store.labels(first), images, structures=store.structures(first), facts=facts)


def _shape(
    found: list[Region],
    item: Structure,
    cut: LabelArray,
    structures: dict[int, str],
    row: dict[str, Any],
    *,
    column: float,
) -> Iterator[list[Measurement]]:
    spacing_mm, slice_mm = float(row["spacing_mm"]), float(row["source_spacing_mm"][2])
    homes: list[Region] = []
    if item.parent in PAIRED:
        homes = measured.regions(_mask(structure(item.parent).leaves, cut, structures), spacing_mm=spacing_mm)
    for region, rank in zip(found, measured.ranks(found), strict=True):
        shape = [rank, Measurement("count", float(len(found)), "", None, 0.0)]
        shape += measured.geometry(region, spacing_mm=spacing_mm, slice_mm=slice_mm)
        if row["lateral"]:
            shape.append(measured.side(region, midline=column, spacing_mm=spacing_mm))
        home = next((home for home in homes if _inside(region, home)), None)
        if home is not None and (height := measured.pole(region, home, depth=len(cut))) is not None:
            shape.append(height)
        yield shape


def _intensity(
    image: NDArray[np.floating], region: Region, item: Structure, cut: LabelArray, structures: dict[int, str],
    row: dict[str, Any],
) -> Iterator[Measurement]:  # fmt: skip
    parent = None
    if item.parent is not None and structure(item.parent).kind == "organ":
        parent = _mask(structure(item.parent).leaves, cut, structures)
        siblings = [one for one in STRUCTURES.values() if one.kind == "lesion" and one.parent == item.parent]
        others = _mask([leaf for one in siblings for leaf in one.leaves], cut, structures)
    else:
        others = cut > 0
    hounsfield = row["modality"] == "CT" and row["window_low"] < 0
    unit = float(row["window_high"] - row["window_low"]) if hounsfield else 1.0
    for one in measured.intensity(image, region, parent, others=others, spacing_mm=float(row["spacing_mm"]), unit=unit):
        if hounsfield or one.unit != "HU":
            yield one
        else:
            # Without HU a difference is a share of the window, and no word is earned by limits in HU.
            yield Measurement(one.attribute, one.number, "share of window", None, 0.0)


def _proportions(
    volume_id: str, cut: LabelArray, structures: dict[int, str], spacing_mm: float
) -> list[dict[str, Any]]:
    leaves = set(structures.values())
    if "enhancing_tumour" not in leaves:
        return []
    parts = {leaf: _mask([leaf], cut, structures) for leaf in sorted(leaves - {"resection_cavity"})}
    found = list(measured.proportions(parts, whole=np.logical_or.reduce(list(parts.values()))))
    if "necrotic_core" in parts:
        found += measured.rim(parts["enhancing_tumour"], parts["necrotic_core"], spacing_mm=spacing_mm)
    return [{"volume_id": volume_id, "structure": "brain_tumour", "region": 0} | asdict(one) for one in found]


def _mask(leaves: Any, labels: LabelArray, structures: dict[int, str]) -> Mask:
    table = np.zeros(256, dtype=bool)
    table[[number for number, leaf in structures.items() if leaf in set(leaves)]] = True
    return table[labels]


def _inside(region: Region, home: Region) -> bool:
    corner = tuple(int(index[0]) + part.start for index, part in zip(np.nonzero(region.mask), region.box, strict=True))
    local = tuple(where - part.start for where, part in zip(corner, home.box, strict=True))
    return all(0 <= where < size for where, size in zip(local, home.mask.shape, strict=True)) and bool(home.mask[local])


def _box(labels: LabelArray, *, margin_mm: float) -> tuple[slice, slice, slice]:
    margin, found = (
        int(np.ceil(margin_mm)) + 1,
        [np.flatnonzero(labels.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))],
    )
    if not found[0].size:
        return (slice(0, 1),) * 3
    return tuple(
        slice(max(int(index[0]) - margin, 0), min(int(index[-1]) + margin + 1, size))
        for index, size in zip(found, labels.shape, strict=True)
    )
