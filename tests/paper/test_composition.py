from __future__ import annotations

import pandas as pd
import pytest

from semantiseg.paper import composition


def answers() -> pd.DataFrame:
    rows = []
    for suite, variants in {"clinical": ("plain", "strict", "lenient", "stated"), "core": ("plain", "strict")}.items():
        for model in ("token", "scalar"):
            for place, variant in enumerate(variants):
                for patient in ("a", "b"):
                    for level in (1, 2, 3):
                        dice = 0.9 - 0.1 * level + 0.1 * place - (0.2 if model == "scalar" else 0)
                        rows.append((suite, model, variant, patient, level, dice, True, variant == "plain"))
    columns = ["suite", "model", "variant", "patient_id", "level", "dice", "parent_differs", "collapsed"]
    return pd.DataFrame(rows, columns=columns)


def reading() -> pd.DataFrame:
    rows = [("clinical", "strict", 3, read, right) for read, right in ((1, 1), (1, 0), (0, 0), (0, 0))]
    rows += [("clinical", "strict", 1, 1, 1), ("clinical", "lenient", 3, 1, 1), ("core", "strict", 3, 1, 1)]
    table = pd.DataFrame(rows, columns=["suite", "reader", "level", "read", "rightly"])
    return table.astype({"read": bool, "rightly": bool})


ASKED = pd.DataFrame({"suite": ["core", "clinical"], "text": ["liver", "Liver volumetry."], "origin": "phantom"})


@pytest.fixture
def table() -> pd.DataFrame:
    return composition.table(answers(), reading(), resamples=50, seed=0)


def test_the_table_has_a_row_for_every_suite_model_and_variant_with_hand_worked_means(table):
    assert (
        list(zip(table["suite"], table["model"], strict=True))[:4] == [("core", "token")] * 2 + [("core", "scalar")] * 2
    )
    row = table.query("suite == 'clinical' and model == 'token' and variant == 'strict'").iloc[0]
    assert (row["l1"], row["l3"], row["prompts"], row["patients"]) == (pytest.approx(0.9), pytest.approx(0.7), 6, 2)
    assert row["pss"] == pytest.approx(0.2 / 0.9, abs=1e-6) and row["collapse_rate"] == 0
    assert (row["read_l3"], row["rightly_l3"]) == (0.5, 0.25)
    assert table.query("variant in ('plain', 'stated')")["read_l3"].isna().all()


def test_shares_are_counted_by_level_and_over_all():
    shares = composition.reading_shares(reading()).set_index(["suite", "reader", "level"])
    assert shares.loc[("clinical", "strict", "all"), ["questions", "read", "rightly"]].tolist() == [5, 0.6, 0.4]


def test_the_text_says_what_was_measured_and_what_limits(table, tmp_path):
    frame = composition.write(answers(), reading(), ASKED, tmp_path, resamples=50, seed=0)
    text = (tmp_path / "composition.md").read_text()
    assert "phantoms" in text and text.count("\n| ") == len(frame) + 1 and "50.0%" in text
    assert pd.read_csv(tmp_path / "composition.csv")["l3"].tolist() == frame["l3"].tolist()
    found = composition.finding(table, ASKED)
    assert "sentence as it stands, L3 Dice 0.60 and collapse rate 100.0%; composed, L3 Dice 0.70" in found
    assert "(25.0% of the questions read rightly)" in found and "told the program, L3 Dice 0.90" in found
    assert found.count("SemantiSeg, token gate") == 2 and "scalar" not in found


def test_without_a_text_model_the_table_says_so(tmp_path):
    none = composition.write(answers().iloc[:0], reading(), ASKED, tmp_path, resamples=5, seed=0)
    assert none.empty and "No trained model" in (tmp_path / "composition.md").read_text()
    assert "No trained model" in composition.finding(none, ASKED)


def test_without_a_test_patient_the_table_says_so(tmp_path):
    nobody = ASKED.iloc[:0]
    composition.write(answers().iloc[:0], reading(), nobody, tmp_path, resamples=5, seed=0)
    assert "No test patient" in (tmp_path / "composition.md").read_text()
    assert "No test patient" in composition.finding(answers().iloc[:0], nobody)


def test_equal_answers_give_equal_bytes(tmp_path):
    for name in ("one", "two"):
        composition.write(answers(), reading(), ASKED, tmp_path / name, resamples=20, seed=1)
    for file in ("composition.csv", "composition.md"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_figure_shows_every_model_in_every_row(table):
    figure = composition.draw(table, answers(), images="phantoms")
    assert figure.get_supxlabel().startswith("Only 2 test patients")
    assert [panel.get_title(loc="left") for panel in figure.axes] == list(composition.SUITE_NAMES.values())
    for panel, (_, rows) in zip(figure.axes, table.groupby("suite", sort=False), strict=True):
        shown = sorted(round(x, 6) for box in panel.containers for x in box.lines[0].get_xdata())
        assert shown == sorted(round(x, 6) for x in rows["l3"])
