"""What must hold of prepared volumes, counted on what was written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from semantiseg.conventions import SPLITS, Side
from semantiseg.data import sides
from semantiseg.data.store import VolumeStore

if TYPE_CHECKING:
    import pandas as pd

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
    own_side = [found == side for _, side, found in leaf_sides(store)]
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


def leaf_sides(store: VolumeStore) -> Iterator[tuple[str, Side, Side]]:
    """Volume, side a leaf belongs to, and side its centroid lies on, once a case, where sides may be asked at all."""
    for volume_id, row in store.manifest[store.manifest.lateral].drop_duplicates("case_id").iterrows():
        if set(row.leaves) & set(sides.ORGANS):
            found = sides.leaf_sides(store.labels(volume_id), store.structures(volume_id), store.midline(volume_id))
            for leaf, side in found.items():
                yield volume_id, sides.ORGANS[leaf], side


def _outside_unit_interval(store: VolumeStore, volume_id: str) -> bool:
    image = store.image(volume_id)
    return not (image.min() >= 0 and image.max() <= 1)
