"""A page of what was fetched: one axial slice of each collection and channel with its labels, read from the files.

What must hold of prepared volumes, counted on what was written.

A page of prepared slices, one a collection and channel, with the outlines of their labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import SPLITS, Side, radiological, record_of, rows_of
from semantiseg.data import grid, image_file, nifti, sides
from semantiseg.data.case import Channel
from semantiseg.data.collections import NAMING
from semantiseg.data.layouts.reader import LAYOUTS, read_folder
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLOURS = ("#4cd964", "#ff5a5f", "#33c7ff", "#ffd60a", "#bf7bff", "#ff9f0a", "#a2e3c4", "#ffb3c6")
"""Contour colours by label number, repeating."""

SOFT_TISSUE = (-160.0, 240.0)
LUNG = (-1000.0, 400.0)

BRATS_NAMES = {
    "GLI": {1: "NETC", 2: "SNFH", 3: "ET", 4: "RC"},
    "SSA": {1: "NETC", 2: "SNFH", 3: "ET"},
    "MET": {1: "NETC", 2: "SNFH", 3: "ET"},
    "PED": {1: "ET", 2: "NET", 3: "CC", 4: "ED"},
    "MEN-RT": {1: "GTV"},
}
"""Label names of the BraTS 2024 sub-challenges, in their own abbreviations."""


@dataclass(frozen=True)
class ShownCase:
    """One case to show: its channels, label file and label names."""

    collection: str
    origin: str
    case_id: str
    channels: tuple[Channel, ...]
    label: Path
    names: dict[int, str]


def entries(root: Path) -> list[ShownCase]:
    """All cases below `root` in the order of `sources.json`, by file name alone: no ontology is needed to look."""
    readers: dict[str, Callable[[Path, str], list[ShownCase]]] = {"kits23": kits23_entries}
    readers |= {layout: described_entries for layout in LAYOUTS}
    readers |= {layout: partial(brats_entries, layout=layout) for layout in NAMING}
    sources = json.loads((root / "sources.json").read_text(encoding="utf-8"))
    return [
        entry
        for source in sources
        for entry in readers[source["layout"]](root / source["collection"], source["origin"])
    ]


def described_entries(folder: Path, origin: str) -> list[ShownCase]:
    """Cases of a folder that `dataset.json` describes.

    Raises:
        DataError: the description or a file it names cannot be used.
    """
    found = read_folder(folder)
    if found.problems:
        raise DataError("\n".join(map(str, found.problems)))
    return [
        ShownCase(found.name, origin, case.case_id, case.channels, case.label, dict(found.labels))
        for case in found.cases
    ]


def kits23_entries(folder: Path, origin: str) -> list[ShownCase]:
    """Case folders of KiTS23."""
    names = {1: "kidney", 2: "tumor", 3: "cyst"}
    return [
        ShownCase(
            folder.name,
            origin,
            case.name,
            (Channel("CT", "CT", case / "imaging.nii.gz"),),
            case / "segmentation.nii.gz",
            names,
        )
        for case in sorted(folder.glob("case_*"))
    ]


def brats_entries(folder: Path, origin: str, *, layout: str) -> list[ShownCase]:
    """Scan folders of BraTS 2024."""
    naming, challenge = NAMING[layout], layout.removeprefix("brats2024-").upper()
    return [
        ShownCase(
            folder.name,
            origin,
            case.name,
            tuple(Channel(c, "MR", case / f"{case.name}{naming.separator}{c}.nii.gz") for c in naming.suffixes),
            case / f"{case.name}{naming.separator}{naming.label}.nii.gz",
            BRATS_NAMES[challenge],
        )
        for case in sorted(folder.glob(f"BraTS-{challenge}-*"))
    ]


def axial(channel: Channel) -> tuple[NDArray, tuple[float, float]]:
    """A channel as `[D, H, W]` = (superior, anterior, right) and its in-plane spacing (anterior, right) in mm.

    Raises:
        DataError: the file cannot be used.
    """
    values, geometry = image_file.read(channel.path)
    right, anterior, _ = grid.source_spacing(geometry.affine)
    return grid.to_canonical(nifti.image_values(values, channel), geometry.affine)[0], (anterior, right)


def axial_labels(entry: ShownCase) -> NDArray:
    """The label map as `[D, H, W]`.

    Raises:
        DataError: the file cannot be used.
    """
    values, geometry = image_file.read(entry.label)
    labels = nifti.label_values(values, known=range(256), path=entry.label, described_in="its collection")
    return grid.to_canonical(labels, geometry.affine)[0]


def telling_slice(label: NDArray) -> int:
    """The slice that shows most different labels, and of these the one with the largest labelled area."""
    numbers = [number for number in np.unique(label) if number]
    areas = np.array([(label == number).sum(axis=(1, 2)) for number in numbers]).reshape(len(numbers), len(label))
    # A label counts on a slice where it covers at least a third of what it covers on its best slice.
    counts = (areas >= np.maximum(areas.max(axis=1, keepdims=True, initial=0) / 3, 1)).sum(axis=0)
    return int(np.lexsort((areas.sum(axis=0), counts))[-1])


def window(image: NDArray, collection: str) -> tuple[float, float]:
    """Display range: a CT window for Hounsfield units, else the 1st to 99.5th percentile of what is not zero."""
    if image.min() < -500:
        return LUNG if "Lung" in collection else SOFT_TISSUE
    shown = image[image != 0]
    low, high = np.percentile(shown if shown.size else image, (1, 99.5))
    return float(low), float(max(high, low + 1))


def draw_slice(axes: Axes, entry: ShownCase, channel: int, *, caption: str) -> None:
    """Draw one channel of a case in radiological convention with the contours of its labels."""
    shown = entry.channels[channel]
    image, (tall, wide) = axial(shown)
    label = axial_labels(entry)
    level = telling_slice(label)
    picture, contours = radiological(image[level]), radiological(label[level])
    low, high = window(image, entry.collection)
    axes.imshow(picture, cmap="gray", vmin=low, vmax=high, aspect=tall / wide)
    for number in (int(value) for value in np.unique(contours) if value):
        axes.contour(contours == number, [0.5], colors=COLOURS[(number - 1) % len(COLOURS)], linewidths=1.0)
    axes.set_title(f"{caption}\n{entry.case_id} {shown.name}", fontsize=7)
    axes.set_axis_off()


def page_of_cases(root: Path, *, columns: int = 6, case: int = 0) -> Figure:
    """One picture per collection and channel: the telling slice of the collection's case number `case`.

    Anterior is up and the patient's right is on the left of each picture. Phantoms are named so.

    Args:
        root: folder with `sources.json`, such as `data/raw`.
        columns: pictures a row.
        case: which case of each collection, counted from 0; the last one where there are fewer.
    """
    import matplotlib.pyplot as plt

    by_collection: dict[str, list[ShownCase]] = {}
    for entry in entries(root):
        by_collection.setdefault(entry.collection, []).append(entry)
    chosen = [found[min(case, len(found) - 1)] for found in by_collection.values()]
    pictures = [(entry, channel) for entry in chosen for channel in range(len(entry.channels))]
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(2.0 * columns, 2.3 * rows), squeeze=False, dpi=110)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, (entry, channel) in zip(grid.flat, pictures, strict=False):
        kind = " (phantom)" if entry.origin == "phantom" else ""
        draw_slice(axes, entry, channel, caption=f"{entry.collection}{kind}")
    figure.tight_layout(pad=0.4)
    return figure


def _labelled(entry: ShownCase) -> bool:
    return entry.label.exists()


def table_of_sources(root: Path) -> pd.DataFrame:
    """What lies below `root`, one row a collection: layout, origin, licence, scans, label maps, volumes and axes."""
    import pandas as pd

    sources = json.loads((root / "sources.json").read_text(encoding="utf-8"))
    found = entries(root)
    rows = []
    for source in sources:
        mine = [entry for entry in found if entry.collection == source["collection"]]
        axes = {grid.source_axes(image_file.read_layout(entry.label)[1].affine) for entry in mine if _labelled(entry)}
        rows.append(
            {
                "collection": source["collection"],
                "layout": source["layout"],
                "origin": source["origin"],
                "licence": source["licence"],
                "scans": len(mine),
                "label maps": sum(map(_labelled, mine)),
                "volumes": sum(len(entry.channels) for entry in mine),
                "axes": " ".join(sorted(axes)),
            }
        )
    return pd.DataFrame(rows).set_index("collection")


def check_volumes(store: VolumeStore) -> pd.DataFrame:
    """Count violations over all volumes; each row is a claim with the expected and the found count of exceptions.

    Columns: `claim`, `of` (how many things were looked at), `expected`, `exceptions`.
    """
    import pandas as pd

    manifest = store.manifest
    splits = manifest.groupby("patient_id").split.nunique()
    large = manifest.groupby("collection").agg(patients=("patient_id", "nunique"), splits=("split", "nunique"))
    large = large[large.patients >= len(SPLITS)]
    outside = [_outside_unit_interval(store, volume_id) for volume_id in manifest.index]
    own_side = [found == side for _, side, found in volume_sides(store)]
    rows = [
        ("every intensity lies in [0, 1]", len(outside), sum(outside)),
        ("every voxel edge is the spacing asked for", len(manifest), int(manifest.spacing_mm.nunique() != 1)),
        ("every patient is in one split", len(splits), int((splits > 1).sum())),
        ("collections of 3 or more patients fill each split", len(large), int((large.splits < len(SPLITS)).sum())),
        ("one-sided organs lie on their side of the midline", len(own_side), len(own_side) - sum(own_side)),
    ]
    table = pd.DataFrame(rows, columns=["claim", "of", "exceptions"])
    table.insert(2, "expected", 0)
    return table


def volume_sides(store: VolumeStore) -> Iterator[tuple[str, Side, Side]]:
    """Volume, side a leaf belongs to, and side its centroid lies on, once a case, where sides may be asked at all."""
    for row in rows_of(store.manifest[store.manifest.lateral].drop_duplicates("case_id")):
        volume_id = row.Index
        if set(row.leaves) & set(sides.ORGANS):
            found = sides.leaf_sides(store.labels(volume_id), store.structures(volume_id), store.midline(volume_id))
            for leaf, side in found.items():
                yield volume_id, sides.ORGANS[leaf], side


def _outside_unit_interval(store: VolumeStore, volume_id: str) -> bool:
    image = store.image(volume_id)
    return not (image.min() >= 0 and image.max() <= 1)


# Okabe & Ito's colours, told apart by colour-blind readers too; black and grey would vanish on an image.
_COLOURS = ("#E69F00", "#56B4E9", "#F0E442", "#009E73", "#D55E00", "#CC79A7", "#0072B2")
_STYLES = ("solid", "dashed")


def representatives(store: VolumeStore, *, panels: int) -> list[tuple[str, int]]:
    """Volumes and slices that stand for every collection and channel.

    Of each collection and channel it is the volume with most leaves (the first of these); where that makes fewer than
    `panels`, several, of different patients. Of a volume it is the slice with most leaves, then with the largest
    labelled area.
    """
    manifest = store.manifest.assign(count=store.manifest.leaves.map(len))
    groups = list(manifest.groupby(["collection", "channel"], sort=True))
    chosen = []
    for _, group in groups:
        richest = group.sort_values("count", ascending=False, kind="stable").drop_duplicates("patient_id")
        for volume_id in richest.index[: max(1, panels // len(groups))]:
            labels = store.labels(volume_id)
            leaves = sum((labels == number).any(axis=(1, 2)).astype(int) for number in store.structures(volume_id))
            chosen.append((volume_id, int(np.argmax(leaves + (labels > 0).mean(axis=(1, 2))))))
    return chosen


def volume_gallery(store: VolumeStore, *, columns: int = 5) -> Figure:
    """Draw `representatives` in radiological convention (anterior up, the patient's right on the left).

    The dotted line is the midline. Phantoms are called so.
    """
    import matplotlib.pyplot as plt

    chosen = representatives(store, panels=columns)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    lines = max(-(-len(set(record_of(store.manifest, volume_id)["leaves"])) // 2) for volume_id, _ in chosen)
    legend = 0.13 * lines  # inches
    size = (2.6 * columns, (2.9 + legend) * rows)
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False)
    top, bottom = 1 - 0.35 / size[1], (legend + 0.1) / size[1]
    figure.subplots_adjust(left=0.01, right=0.99, top=top, bottom=bottom, wspace=0.05, hspace=0.2 + legend / 2)
    for panel in axes.flat[len(chosen) :]:
        panel.remove()
    for panel, (volume_id, index) in zip(axes.flat, chosen, strict=False):
        _draw(panel, store, volume_id, index)
    return figure


def _draw(panel: Axes, store: VolumeStore, volume_id: str, index: int) -> None:
    row = record_of(store.manifest, volume_id)
    labels = radiological(store.label_slice(volume_id, index))
    panel.imshow(radiological(store.image_slice(volume_id, index)), cmap="gray", vmin=0, vmax=1)
    panel.axvline(row["width"] - 1 - store.midline(volume_id), color="white", linestyle=":", linewidth=0.6)
    # By name: the same tissue then has the same colour in collections that number it differently.
    names = sorted((leaf, number) for number, leaf in store.structures(volume_id).items() if (labels == number).any())
    for place, (leaf, number) in enumerate(names):
        colour, style = _COLOURS[place % len(_COLOURS)], _STYLES[place // len(_COLOURS) % len(_STYLES)]
        panel.contour(labels == number, levels=[0.5], colors=colour, linestyles=style, linewidths=0.8)
        panel.plot([], [], color=colour, linestyle=style, label=leaf.replace("_", " "))
    panel.axis("off")
    title = f"{row['case_id']}, {row['channel']}" + (", phantom" if row["origin"] == "phantom" else "")
    panel.set_title(f"{row['collection']}\n{title}, slice {index} of {row['depth']}", fontsize=7)
    if names:
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=5.5, ncols=2, frameon=False)
