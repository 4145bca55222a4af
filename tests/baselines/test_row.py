"""Names of the baselines' rows."""

from __future__ import annotations

import pytest

from semantiseg.baselines.boxes import grounded_by
from semantiseg.baselines.contamination import contamination_label, members, prompting, row_name
from semantiseg.errors import ParameterError


def test_a_row_says_how_it_was_prompted():
    assert prompting(row_name("biomedparse", None)) == "text"
    assert prompting(row_name("imis_net", None)) == "text, passed around its closed vocabulary"
    assert prompting(row_name("sam", "oracle_target")) == "oracle box of the target"
    assert prompting(row_name("sam", "oracle_parent")) == "oracle box of the parent structure"
    assert prompting(row_name("sam", grounded_by("biomedparse"))) == "box from text, drawn by biomedparse"


@pytest.mark.parametrize("protocol", ["oracle", "", "grounder_", "oracle_target@x"])
def test_a_protocol_that_does_not_exist_is_refused(protocol):
    with pytest.raises(ParameterError, match="expected a protocol"):
        prompting(f"sam@{protocol}")


def test_rows_of_one_baseline_share_its_label_and_other_models_have_none():
    assert contamination_label("medsam@oracle_target") == contamination_label("medsam@oracle_parent") == "MedSAM"
    assert contamination_label("gated") is None


def test_a_composed_row_is_a_row_of_its_own_of_the_same_model():
    row = row_name("biomedparse", None, reader="strict")
    assert row != "biomedparse" and contamination_label(row) == "BiomedParse v1" and members(row) == ("biomedparse",)
    assert prompting(row) == "text, composed: its sentences' nouns"


def test_who_read_the_sentences_makes_another_row():
    row = row_name("biomedparse", None, reader="server")
    assert row != row_name("biomedparse", None, reader="strict") and members(row) == ("biomedparse",)
    assert prompting(row) == "text, composed: its sentences' nouns, reader server"
    assert members("sam@grounder_biomedparse") == ("sam", "biomedparse")
