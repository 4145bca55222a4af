"""Two tables agree when every word is the same and every number is near enough."""

from __future__ import annotations

import json

import pytest

from semantiseg.artifact.compare import differences, same_machine
from semantiseg.errors import DataError

TABLE = "model,L1,PSS\ntoken gate,0.86 [0.80; 0.91],0.05\nbox (L1),-0.02,\n"


@pytest.fixture
def compared(tmp_path):
    def compare(new: str, tolerance: float = 0.0) -> list[str]:
        (tmp_path / "old.csv").write_text(TABLE)
        (tmp_path / "new.csv").write_text(new)
        return differences(tmp_path / "old.csv", tmp_path / "new.csv", tolerance=tolerance)

    return compare


def test_a_table_agrees_with_itself(compared):
    assert compared(TABLE) == []


@pytest.mark.parametrize("change", [("0.86", "0.87"), ("0.91", "0.92"), ("0.05", "0.06"), ("-0.02", "-0.03")])
def test_every_number_counts_and_the_tolerance_is_absolute(compared, change):
    new = TABLE.replace(*change)
    assert len(compared(new)) == 1 and len(compared(new, 0.009)) == 1 and compared(new, 0.01) == []


@pytest.mark.parametrize(
    "change", [("token", "scalar"), ("L1", "L2"), (",\n", ",0\n"), ("box (L1),-0.02,\n", ""), ("PSS", "PSS,n")]
)
def test_other_words_rows_or_columns_are_never_within_tolerance(compared, change):
    assert compared(TABLE.replace(*change), 100)


def test_numbers_of_columns_that_were_not_named_may_differ_and_words_may_not(compared, tmp_path):
    compared(TABLE.replace("0.05", "0.5"))
    old, new = tmp_path / "old.csv", tmp_path / "new.csv"
    assert differences(old, new, tolerance=0.01, columns=["L1"]) == []
    assert len(differences(old, new, tolerance=0.01, columns=["L1", "PSS"])) == 1
    compared(TABLE.replace("token", "scalar"))
    assert len(differences(old, new, tolerance=0.01, columns=["L1"])) == 1


def test_a_sign_counts(compared):
    assert compared(TABLE.replace("-0.02", "0.02"), 0.03) and not compared(TABLE.replace("-0.02", "0.02"), 0.04)


def test_a_difference_names_line_column_and_both_values(compared):
    assert compared(TABLE.replace("0.05", "0.5")) == ["line 2, PSS: '0.05' against '0.5'"]


def test_an_absent_or_empty_table_is_an_error(tmp_path, compared):
    with pytest.raises(DataError, match="absent.csv"):
        differences(tmp_path / "absent.csv", tmp_path / "absent.csv", tolerance=0)
    with pytest.raises(DataError, match="empty"):
        compared("")


def test_the_same_machine_has_the_same_processor_cores_and_versions(tmp_path):
    machine = {"cpu": "a", "cores": 2, "versions": {"torch": "1"}}
    record = tmp_path / "run.json"
    assert not same_machine(record, machine)
    record.write_text(json.dumps(machine | {"seconds": 3}))
    assert same_machine(record, machine)
    assert not any(same_machine(record, machine | change) for change in ({"cpu": "b"}, {"cores": 3}, {"versions": {}}))
