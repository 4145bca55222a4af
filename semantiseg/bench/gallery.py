"""Prompts as a reader sees them: the slice, the outline of the target and of its parent, and the words."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from semantiseg.bench.labelled_slice import read_slice
from semantiseg.conventions import Mask, radiological
from semantiseg.data.store import VolumeStore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's yellow and vermilion: apart for colour-blind readers, bright on grey.
TARGET, PARENT = "#F0E442", "#D55E00"


def masks_of(store: VolumeStore, prompt: pd.Series) -> tuple[Mask, Mask]:
    """Target and parent of a prompt on its slice, `[H, W]` each."""
    shown = read_slice(store, prompt.volume_id, int(prompt.slice), seen=False)
    return shown.mask(prompt.program), shown.mask(prompt.parent)


def examples(prompts: pd.DataFrame, *, by: str, count: int = 1) -> pd.DataFrame:
    """The first `count` prompts of every value of `by`, in the order of their ids: a fixed draw that nobody chose."""
    return prompts.sort_values("prompt_id").groupby(by, sort=True).head(count).sort_values([by, "prompt_id"])


def gallery(store: VolumeStore, prompts: pd.DataFrame, *, columns: int = 4) -> Figure:
    """Draw prompts in radiological convention (anterior up, the patient's right on the left).

    The target is outlined solid yellow, its parent dashed vermilion; an absent target has no outline. Phantoms are
    called so.
    """
    import matplotlib.pyplot as plt

    columns = min(columns, max(len(prompts), 1))
    rows = max(-(-len(prompts) // columns), 1)
    figure, axes = plt.subplots(rows, columns, figsize=(3.4 * columns, 4.4 * rows), squeeze=False)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.98, bottom=0.02, wspace=0.06, hspace=0.36)
    for panel in axes.flat:
        panel.axis("off")
    for panel, (_, prompt) in zip(axes.flat, prompts.iterrows(), strict=False):
        _draw(panel, store, prompt)
    return figure


def _draw(panel: Axes, store: VolumeStore, prompt: pd.Series) -> None:
    target, parent = masks_of(store, prompt)
    panel.imshow(radiological(store.image_slice(prompt.volume_id, int(prompt.slice))), cmap="gray", vmin=0, vmax=1)
    if (parent != target).any():
        _outline(panel, parent, colour=PARENT, style="dashed")
    _outline(panel, target, colour=TARGET, style="solid")
    phantom = ", phantom" if prompt.origin == "phantom" else ""
    panel.set_title(f"{prompt.volume_id}{phantom}, slice {prompt.slice}\nL{prompt.level} {prompt.kind}", fontsize=7)
    facts = ", ".join(f"{key} {value:g}" for key, value in json.loads(prompt.evidence)["program"].items())
    lines = [f"“{prompt.text}”", prompt.program, *map(_measured, json.loads(prompt.evidence)["clauses"]), facts]
    caption = "\n".join(line for text in lines if text for line in textwrap.wrap(text, 54))
    panel.text(0.5, -0.02, caption, transform=panel.transAxes, ha="center", va="top", fontsize=6.5)


def _outline(panel: Axes, mask: Mask, *, colour: str, style: str) -> None:
    if mask.any():
        # Padded: a target at the edge of the picture has an outline there too.
        padded = np.pad(radiological(mask).astype(float), 1)
        extent = (-1.5, mask.shape[1] + 0.5, -1.5, mask.shape[0] + 0.5)
        panel.contour(padded, levels=[0.5], colors=colour, linestyles=style, linewidths=1.0, extent=extent)


def _measured(item: dict) -> str:
    against = f" against {item['reference']}" if "reference" in item else ""
    return f"{item['attribute']} {item['value']}: {item['number']:g} {item['unit']}{against}"
