"""Region attributes as a reader looks at them: one region in full, and how the numbers of many spread."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from semantiseg.bench.ontology import STRUCTURES
from semantiseg.data.store import cases_of


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
