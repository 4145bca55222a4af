"""What must hold of prepared volumes, counted on what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from semantiseg.conventions import SPLITS, Side
from semantiseg.data.store import VolumeStore

if TYPE_CHECKING:
    import pandas as pd

SIDES: dict[str, Side] = {
    "liver_parenchyma": "right",
    "right_kidney": "right",
    "right_adrenal_gland": "right",
    "right_lung": "right",
    "spleen": "left",
    "left_kidney": "left",
    "left_adrenal_gland": "left",
    "left_lung": "left",
}
"""On which side of the midline a leaf's centroid lies (situs inversus, one person in some 10,000, aside)."""


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
    sides = [found == side for _, side, found in leaf_sides(store)]
    rows = [
        ("every intensity lies in [0, 1]", len(outside), sum(outside)),
        ("every voxel edge is the spacing asked for", len(manifest), int(manifest.spacing_mm.nunique() != 1)),
        ("every patient is in one split", len(splits), int((splits > 1).sum())),
        ("collections of 3 or more patients fill each split", len(large), int((large.splits < len(SPLITS)).sum())),
        ("one-sided organs lie on their side of the midline", len(sides), len(sides) - sum(sides)),
    ]
    table = pd.DataFrame(rows, columns=["claim", "of", "exceptions"])
    table.insert(2, "expected", 0)
    return table


def leaf_sides(store: VolumeStore) -> Iterator[tuple[str, Side, Side]]:
    """Volume, side a leaf belongs to, and side its centroid lies on, once a case, where sides may be asked at all."""
    for volume_id, row in store.manifest[store.manifest.lateral].drop_duplicates("case_id").iterrows():
        wanted = set(row.leaves) & set(SIDES)
        if not wanted:
            continue
        labels, midline = store.labels(volume_id), store.midline(volume_id)
        for number, leaf in store.structures(volume_id).items():
            if leaf in wanted:
                columns = np.nonzero(labels == number)[2]
                yield volume_id, SIDES[leaf], "right" if columns.mean() > midline else "left"


def _outside_unit_interval(store: VolumeStore, volume_id: str) -> bool:
    image = store.image(volume_id)
    return not (image.min() >= 0 and image.max() <= 1)
