"""Which cases a baseline has seen."""

from __future__ import annotations

import pandas as pd
import pytest

from semantiseg.baselines.contamination import clean, flag, seen

KITS = ["case_00490", "case_00491", "case_00588", "case_00589"]


def prompts(*rows):
    return pd.DataFrame(rows, columns=["collection", "case_id", "origin"])


@pytest.mark.parametrize("model", ["biomedparse", "biomedparse_joint", "biomedparse@oracle_target"])
def test_biomedparse_saw_kits23_outside_its_98_test_cases(model):
    found = [seen(model, collection="KiTS23", case_id=case, origin="official") for case in KITS]
    assert found == ["training", "clean", "clean", "training"]
    every = [seen(model, collection="KiTS23", case_id=f"case_{i:05d}", origin="official") for i in range(589)]
    assert every.count("clean") == 98 and every.count("training") == 491


def test_biomedparse_saw_acdc_outside_the_official_test_patients():
    cases = ["patient100_frame01", "patient101_frame01", "patient150_frame12"]
    found = [seen("biomedparse", collection="ACDC", case_id=case, origin="official") for case in cases]
    assert found == ["training", "clean", "clean"]


@pytest.mark.parametrize("model", ["biomedparse", "sam_med2d", "medsam@oracle_target", "imis_net"])
def test_where_the_training_cases_are_not_listed_nothing_is_called_clean(model):
    assert seen(model, collection="Task01_BrainTumour", case_id="BRATS_001", origin="official") == "unknown"


def test_phantoms_natural_images_and_models_trained_here_are_clean():
    assert seen("biomedparse", collection="KiTS23", case_id="case_00000", origin="phantom") == "clean"
    assert seen("sam@oracle_parent", collection="KiTS23", case_id="case_00000", origin="official") == "clean"
    assert seen("token", collection="KiTS23", case_id="case_00000", origin="official") == "clean"


def test_a_box_drawn_by_a_model_that_saw_the_case_is_not_clean():
    case = {"collection": "KiTS23", "case_id": "case_00000", "origin": "official"}
    assert seen("sam@grounder_biomedparse", **case) == "training"
    assert seen("medsam@grounder_token", **case) == "unknown"
    assert seen("sam@grounder_token", **case) == "clean"


def test_of_an_installed_model_nothing_is_known():
    assert seen("threshold", collection="KiTS23", case_id="case_00500", origin="official") == "unknown"
    assert seen("threshold", collection="KiTS23", case_id="case_00500", origin="phantom") == "clean"


def test_clean_cases_are_clean_for_every_model_of_the_table():
    given = prompts(
        ("KiTS23", "case_00000", "official"),
        ("KiTS23", "case_00500", "official"),
        ("MyHospital", "a", "user"),
        ("Task01_BrainTumour", "BRATS_001", "phantom"),
    )
    assert clean(given, ["sam", "token"]).index.tolist() == [0, 1, 2, 3]
    assert clean(given, ["sam", "biomedparse"]).index.tolist() == [1, 3]
    assert clean(given, ["medsam", "biomedparse"]).index.tolist() == [3]
    assert clean(given, ["medsam", "biomedparse"], private=["MyHospital"]).index.tolist() == [2, 3]


def test_flags_come_in_the_order_of_the_prompts():
    given = prompts(("KiTS23", "case_00500", "official"), ("KiTS23", "case_00000", "official")).set_axis([7, 3])
    assert flag(given, "biomedparse").to_dict() == {7: "clean", 3: "training"}
