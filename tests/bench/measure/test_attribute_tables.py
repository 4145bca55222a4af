"""What a reader is shown of region attributes, also where there is nothing to show."""

from __future__ import annotations

import pandas as pd
import pytest

from semantiseg.bench.measure.cases import of_region, spread
from semantiseg.data.store import cases_of

COLUMNS = ["volume_id", "structure", "region", "attribute", "number", "unit", "value", "margin"]


def rows(*given):
    return pd.DataFrame(given, columns=COLUMNS)


def test_channels_of_a_case_share_a_region_and_cases_do_not():
    table = spread(
        rows(
            ("a:T1", "brain_tumour", 1, "volume", 2.0, "ml", None, 0.0),
            ("a:T2", "brain_tumour", 1, "volume", 2.0, "ml", None, 0.0),
            ("b:T1", "brain_tumour", 1, "volume", 4.0, "ml", "large", 0.0),
            ("b:T1", "liver", 1, "volume", 900.0, "ml", None, 0.0),
        ),
        ["volume"],
    )
    assert table.loc[("volume", "ml"), ["count", "50%", "max", "worded"]].tolist() == [2, 3.0, 4.0, 0.5]


@pytest.mark.parametrize("given", [(), [("a:CT", "liver", 1, "volume", 900.0, "ml", None, 0.0)]])
def test_without_a_lesion_the_tables_are_empty_and_have_their_columns(given):
    table = spread(rows(*given), ["volume"])
    assert not len(table) and list(table.columns) == ["count", "min", "25%", "50%", "75%", "max", "worded"]
    assert not len(of_region(rows(*given), "kidney_tumour"))


def test_a_case_may_have_colons_in_its_name_and_none_is_no_error():
    assert cases_of(pd.Series(["a:b:CT", "c:T1"])).tolist() == ["a:b", "c"]
    for dtype in ("object", "str", "float64"):
        assert cases_of(pd.Series([], dtype=dtype)).tolist() == []
