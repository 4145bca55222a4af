"""A page of prepared slices, one a collection and channel, with the outlines of their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from semantiseg.conventions import radiological
from semantiseg.data.store import VolumeStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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


def gallery(store: VolumeStore, *, columns: int = 5) -> Figure:
    """Draw `representatives` in radiological convention (anterior up, the patient's right on the left).

    The dotted line is the midline. Phantoms are called so.
    """
    import matplotlib.pyplot as plt

    chosen = representatives(store, panels=columns)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    lines = max(-(-len(set(store.manifest.loc[volume_id, "leaves"])) // 2) for volume_id, _ in chosen)
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
    row = store.manifest.loc[volume_id]
    labels = radiological(store.label_slice(volume_id, index))
    panel.imshow(radiological(store.image_slice(volume_id, index)), cmap="gray", vmin=0, vmax=1)
    panel.axvline(row.width - 1 - store.midline(volume_id), color="white", linestyle=":", linewidth=0.6)
    # By name: the same tissue then has the same colour in collections that number it differently.
    names = sorted((leaf, number) for number, leaf in store.structures(volume_id).items() if (labels == number).any())
    for place, (leaf, number) in enumerate(names):
        colour, style = _COLOURS[place % len(_COLOURS)], _STYLES[place // len(_COLOURS) % len(_STYLES)]
        panel.contour(labels == number, levels=[0.5], colors=colour, linestyles=style, linewidths=0.8)
        panel.plot([], [], color=colour, linestyle=style, label=leaf.replace("_", " "))
    panel.axis("off")
    title = f"{row.case_id}, {row.channel}" + (", phantom" if row.origin == "phantom" else "")
    panel.set_title(f"{row.collection}\n{title}, slice {index} of {row.depth}", fontsize=7)
    if names:
        panel.legend(loc="upper center", bbox_to_anchor=(0.5, 0), fontsize=5.5, ncols=2, frameon=False)
