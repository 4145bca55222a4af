"""The project's one vocabulary of shapes, axes and units (see docs/architecture.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

Slice = NDArray[np.floating]
"""One axial image, `[H, W]`: rows grow to anterior, columns to the patient's right; values in [0, 1]."""

Mask = NDArray[np.bool_]
"""A binary mask, `[H, W]` on a slice or `[D, H, W]` on a volume."""

LabelArray = NDArray[np.uint8]
"""Label numbers, `[H, W]` or `[D, H, W]`; 0 is background."""

Modality = Literal["CT", "MR"]
Side = Literal["left", "right"]
Direction = Literal["anterior", "posterior", "left", "right"]
Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
LEVELS: tuple[int, ...] = (1, 2, 3)


def radiological(image: NDArray) -> NDArray:
    """A stored slice `[H, W, ...]` as the picture a radiologist expects: anterior up, patient's right on the left."""
    return image[::-1, ::-1]


# The annotations of pandas call every value of a table one of all scalars there are. What a column holds is said by the
# table's schema, so values leave tables untyped, and only here.


def records_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table as values by column."""
    found: Any = table.to_dict("records")
    return found


def record_of(table: pd.DataFrame, label: str) -> dict[str, Any]:
    """The row of this label as values by column."""
    found: Any = table.loc[label]
    return found.to_dict()


def rows_of(table: pd.DataFrame) -> Iterator[Any]:
    """The rows of a table as tuples whose fields are its columns, `Index` first."""
    return iter(table.itertuples())


def groups_of(table: pd.DataFrame, by: str | Sequence[str], *, sort: bool = True) -> Iterator[tuple[Any, pd.DataFrame]]:
    """The groups of a table: the value, or the tuple of values, of the columns `by`, and its rows."""
    return iter(table.groupby(by if isinstance(by, str) else list(by), sort=sort))
