"""All region attributes of a case, one row a region and channel, and the file that stores them.

Region attributes as a reader looks at them: one region in full, and how the numbers of many spread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg.bench.ask.space import PAIRED
from semantiseg.bench.measure import regions as measured
from semantiseg.bench.measure.attributes import Measurement, without_lengths
from semantiseg.bench.measure.regions import Region, Surroundings, nearest, place, surface
from semantiseg.conventions import LabelArray, Mask
from semantiseg.data.intensity import in_hounsfield
from semantiseg.data.store import VolumeStore, cases_of
from semantiseg.language.ontology import STRUCTURES, Structure, available, structure
from semantiseg.parallel import for_each

if TYPE_CHECKING:
    import pandas as pd


COLUMNS = ("volume_id", "structure", "region", "attribute", "number", "unit", "value", "margin")
CASES_AT_ONCE = 8
"""Cases that a worker takes at a time: it reads the manifest once for all of them, which costs as much as a case."""


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
    case = _Case(labels, structures, first)
    shapes: dict[str, list[list[Measurement]]] = {}
    around: dict[str, list[Surroundings]] = {}
    kept = list if first.get("spacing_known", True) else without_lengths
    proportions = kept(_proportions(case))
    rows: list[dict[str, Any]] = []
    for volume_id, image in images.items():
        row, cut = facts[volume_id], image[case.box]
        for item in available(set(structures.values()), channel=row["channel"]):
            if item.key not in shapes:
                shapes[item.key] = [kept(one) for one in _shape(case, item, lateral=bool(row["lateral"]))]
                around[item.key] = _surroundings(case, item)
            for number, (shape, where) in enumerate(zip(shapes[item.key], around[item.key], strict=True), start=1):
                name = {"volume_id": volume_id, "structure": item.key, "region": number}
                rows += [name | asdict(one) for one in (*shape, *_intensity(cut, where, row))]
        rows += [
            {"volume_id": volume_id, "structure": "brain_tumour", "region": 0} | asdict(one) for one in proportions
        ]
    return rows


def write_attributes(
    volumes: Path, path: Path, *, only: Collection[str] | None = None, workers: int | None = None
) -> pd.DataFrame:
    """Measure the cases of a folder of prepared volumes and store the rows as Parquet; equal volumes, equal bytes.

    Args:
        volumes: folder of prepared volumes.
        path: file to write.
        only: `volume_id`s to measure; all by default.
        workers: processes; all cores by default.
    """
    import pandas as pd

    with VolumeStore(volumes) as store:
        chosen = store.manifest if only is None else store.manifest.loc[sorted(only)]
    cases = [list(rows) for _, rows in chosen.groupby("case_id").groups.items()]
    chunks = [cases[start : start + CASES_AT_ONCE] for start in range(0, len(cases), CASES_AT_ONCE)]
    found = for_each(_stored, [((volumes, chunk), {}) for chunk in chunks], workers=workers)
    table = pd.DataFrame([row for rows in found for row in rows], columns=list(COLUMNS))
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False)
    return table


def _stored(volumes: Path, cases: list[list[str]]) -> list[dict[str, Any]]:
    """Rows of some cases, each given by its volumes."""
    rows: list[dict[str, Any]] = []
    with VolumeStore(volumes) as store:
        for volume_ids in cases:
            facts = {volume_id: store.manifest.loc[volume_id].to_dict() for volume_id in volume_ids}
            images = {volume_id: store.image(volume_id) for volume_id in volume_ids}
            first = volume_ids[0]
            rows += case_attributes(store.labels(first), images, structures=store.structures(first), facts=facts)
    return rows


class _Case:
    """A case's label map, cut to what is labelled and 10 mm around it; masks and regions are found once.

    Args:
        labels: `[D, H, W]`, the whole volume.
        structures: label number -> leaf.
        row: manifest row of any of its volumes.
    """

    def __init__(self, labels: LabelArray, structures: dict[int, str], row: dict[str, Any]) -> None:
        self.spacing_mm, self.slice_mm = float(row["spacing_mm"]), float(row["source_spacing_mm"][2])
        self.box = _box(labels, margin_mm=measured.SHELL_MM[1] / self.spacing_mm)
        self.cut = labels[self.box]
        self.midline = float(row["midline"]) - self.box[2].start
        self.structures, self.leaves = structures, set(structures.values())
        self._regions: dict[str, list[Region]] = {}
        self._surfaces: dict[str, NDArray[np.integer]] = {}

    def mask(self, *leaves: str) -> Mask:
        """Where the label map says one of the leaves."""
        table = np.zeros(256, dtype=bool)
        table[[number for number, leaf in self.structures.items() if leaf in leaves]] = True
        return table[self.cut]

    def regions(self, item: Structure) -> list[Region]:
        """Pieces of a structure, largest first; none if the collection does not label it as such."""
        if item.key not in self._regions:
            labelled = any(anchor in self.leaves for anchor in item.anchors)
            self._regions[item.key] = (
                measured.regions(self.mask(*item.leaves), spacing_mm=self.spacing_mm) if labelled else []
            )
        return self._regions[item.key]

    def home(self, region: Region, item: Structure) -> Region | None:
        """The piece of the structure's parent that holds the region."""
        if item.parent is None:
            return None
        return next((home for home in self.regions(structure(item.parent)) if _inside(region, home)), None)

    def neighbours(self, item: Structure) -> dict[str, NDArray[np.integer]]:
        """Surfaces of the structures that share no label with this one, whatever the channel shows."""
        found = {}
        for other in STRUCTURES.values():
            if not set(other.leaves) & set(item.leaves) and (pieces := self.regions(other)):
                if other.key not in self._surfaces:
                    self._surfaces[other.key] = np.concatenate(
                        [surface(one.mask) + [part.start for part in one.box] for one in pieces]
                    )
                found[other.key] = self._surfaces[other.key]
        return found


def _shape(case: _Case, item: Structure, *, lateral: bool) -> Iterator[list[Measurement]]:
    found, neighbours = case.regions(item), case.neighbours(item)
    # The cut has a margin, so what touches its border touches the volume's.
    for region, rank in zip(found, measured.ranks(found), strict=True):
        shape = [rank, Measurement("count", float(len(found)), "", None, 0.0)]
        shape += measured.geometry(region, spacing_mm=case.spacing_mm, slice_mm=case.slice_mm)
        if lateral:
            shape.append(measured.side(region, midline=case.midline, spacing_mm=case.spacing_mm))
        home = case.home(region, item)
        if home is not None:
            height = measured.pole(region, home, depth=len(case.cut)) if item.parent in PAIRED else None
            shape += [height] if height is not None else []
            shape += place(region, home, shape=case.cut.shape, lateral=lateral)
        shape += nearest(region, neighbours, spacing_mm=case.spacing_mm)
        yield shape


def _surroundings(case: _Case, item: Structure) -> list[Surroundings]:
    parent, others = None, case.cut > 0
    if item.parent is not None and structure(item.parent).kind == "organ":
        parent = case.mask(*structure(item.parent).leaves)
        siblings = [one for one in STRUCTURES.values() if one.kind == "lesion" and one.parent == item.parent]
        others = case.mask(*(leaf for one in siblings for leaf in one.leaves))
    return [
        measured.surroundings(region, parent, others=others, spacing_mm=case.spacing_mm, cored=item.kind == "lesion")
        for region in case.regions(item)
    ]


def _intensity(image: NDArray[np.floating], around: Surroundings, row: dict[str, Any]) -> Iterator[Measurement]:
    hounsfield = row["modality"] == "CT" and in_hounsfield(row["window_low"])
    unit = float(row["window_high"] - row["window_low"]) if hounsfield else 1.0
    for one in measured.intensity(image, around, unit=unit):
        if hounsfield or one.unit != "HU":
            yield one
        else:
            # Without HU a difference is a share of the window, and no word is earned by limits in HU.
            yield Measurement(one.attribute, one.number, "share of window", None, 0.0)


def _proportions(case: _Case) -> Iterator[Measurement]:
    if "enhancing_tumour" not in case.leaves:
        return
    parts = {leaf: case.mask(leaf) for leaf in sorted(case.leaves - {"resection_cavity"})}
    yield from measured.proportions(parts, whole=np.logical_or.reduce(list(parts.values())))
    if "necrotic_core" in parts:
        yield from measured.rim(parts["enhancing_tumour"], parts["necrotic_core"], spacing_mm=case.spacing_mm)


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
    slices, rows, columns = (
        slice(max(int(index[0]) - margin, 0), min(int(index[-1]) + margin + 1, size))
        for index, size in zip(found, labels.shape, strict=True)
    )
    return slices, rows, columns


def of_region(attributes: pd.DataFrame, structure: str) -> pd.DataFrame:
    """All that was measured on the largest region of the structure in the first volume that has one; empty if none
    has."""
    rows = attributes[(attributes["structure"] == structure) & (attributes["region"] == 1)]
    first = rows[rows["volume_id"] == rows["volume_id"].min()]
    return first[["volume_id", "attribute", "number", "unit", "value", "margin"]].round(3).reset_index(drop=True)


def spread(attributes: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Of the named attributes of lesions, each region once: how many there are, quartiles of their numbers, and the
    share that earns a word; one row an attribute and unit."""
    lesions = {key for key, item in STRUCTURES.items() if item.kind == "lesion"}
    rows = attributes[attributes["structure"].isin(lesions) & attributes["attribute"].isin(names)]
    # Channels of a case share its regions; what depends on intensity is taken from the first.
    rows = rows.assign(case=cases_of(rows["volume_id"])).sort_values("volume_id")
    groups = rows.drop_duplicates(["case", "structure", "region", "attribute"]).groupby(["attribute", "unit"])
    # Of no lesion, `describe` leaves quartiles out.
    table = groups["number"].describe().reindex(columns=["count", "min", "25%", "50%", "75%", "max"]).astype(float)
    return table.round(2).assign(worded=groups["value"].agg(lambda values: values.notna().mean()).round(2))
