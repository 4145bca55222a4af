"""A page of slices of users' collections with the contours of their labels, as the pipeline turns them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.preview import Entry, draw_slice
from semantiseg.errors import DataError

_CASES, _COLUMNS = 4, 4


def draw(collections: Sequence[Collection], path: Path) -> None:
    """Write the telling slices of up to four cases a collection, every channel; faulty files are said in their place.

    Raises:
        DataError: the picture cannot be written.
    """
    shown = [
        (Entry(one.name, "user", case.case_id, case.channels, case.label, dict(one.labels)), channel)
        for one in collections
        for case in one.cases[:: max(1, -(-len(one.cases) // _CASES))]
        for channel in range(len(case.channels))
    ]
    rows = max(1, -(-len(shown) // _COLUMNS))
    figure, axes = plt.subplots(rows, _COLUMNS, figsize=(3 * _COLUMNS, 3.2 * rows), squeeze=False)
    for place in axes.flat:
        place.axis("off")
    for place, (entry, channel) in zip(axes.flat, shown, strict=False):
        try:
            draw_slice(place, entry, channel, caption=f"{entry.case_id}: {entry.channels[channel].name}")
        except DataError as error:
            place.text(0.5, 0.5, str(error), wrap=True, ha="center", va="center", fontsize=6)
    try:
        figure.savefig(path, dpi=100, bbox_inches="tight")
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected a picture to be written, got {error}. Name a .png or .pdf.") from None
    finally:
        plt.close(figure)
