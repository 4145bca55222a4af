from __future__ import annotations

import json
import warnings
from pathlib import Path

import pandas as pd
import pytest

from semantiseg.errors import DataError
from semantiseg.paper import table1


def metrics_of(prompts: pd.DataFrame, results: dict[str, pd.DataFrame]) -> dict:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return table1.summarise(prompts, results, resamples=200, seed=0, profile="demo")


@pytest.fixture(scope="module")
def metrics(cohort, results) -> dict:
    return metrics_of(cohort.prompts, results)


def test_the_truth_scores_one_with_pss_zero_exactly(metrics: dict) -> None:
    core = metrics["models"]["truth"]["core"]
    assert [core[level]["value"] for level in ("l1", "l2", "l3")] == [1.0, 1.0, 1.0]
    assert core["pss"]["value"] == core["pss"]["low"] == core["pss"]["high"] == 0.0
    assert metrics["models"]["truth"]["matched"]["pss"]["value"] == 0.0
    assert metrics["models"]["truth"]["collapse_rate"]["value"] == 0.0
    assert metrics["models"]["truth"]["counterfactual"]["response"]["value"] == 1.0
    assert metrics["models"]["truth"]["absent"]["rate"]["value"] == 0.0


def test_the_parent_at_level_three_collapses_always(metrics: dict) -> None:
    for model in ("parent", "collapses"):
        assert metrics["models"][model]["collapse_rate"]["value"] == 1.0
        assert metrics["models"][model]["counterfactual"]["response"]["value"] == 0.0
        assert metrics["models"][model]["core"]["pss"]["value"] > 0


def test_nothing_scores_zero_without_warnings_and_pss_is_undefined(metrics: dict) -> None:
    nothing = metrics["models"]["nothing"]
    assert nothing["core"]["l1"]["value"] == nothing["core"]["l3"]["value"] == 0.0
    assert nothing["core"]["pss"]["value"] is None
    assert nothing["collapse_rate"]["value"] == 0.0
    assert nothing["core"]["hd95_mm"]["value"] == pytest.approx((40**2 + 48**2) ** 0.5)


def test_every_row_names_its_origin_and_printed_numbers_stand_apart(metrics: dict) -> None:
    frame = table1.table(metrics)
    assert list(frame["model"]) == [
        "truth",
        "parent",
        "nothing",
        "collapses",
        "BiomedParse",
        "SAM-Med2D",
        "SemantiSeg (Ours)",
    ]
    assert (frame["origin"][:4] == "trained here on phantoms").all()
    assert frame["origin"][4:].str.startswith("printed in the paper; n").all()
    assert frame.loc[4:, "l1"].isna().all() and frame.loc[:3, "printed_l1"].isna().all()
    assert frame.loc[4:, ["printed_l1", "printed_l3", "printed_pss"]].to_numpy().tolist() == [
        [0.85, 0.60, 0.29],
        [0.82, 0.55, 0.33],
        [0.86, 0.81, 0.05],
    ]


def test_files_are_byte_stable_strict_and_say_phantom(metrics: dict, tmp_path: Path) -> None:
    for folder in ("one", "two"):
        table1.write(metrics, tmp_path / folder)
    names = ["metrics.json", "table1.csv", "table1.md", "table1.tex"]
    for name in names:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    text = (tmp_path / "one" / "metrics.json").read_text()
    assert json.dumps(json.loads(text), indent=1, sort_keys=True, allow_nan=False) + "\n" == text
    for name in names[2:]:
        words = (tmp_path / "one" / name).read_text()
        assert "phantom" in words and "nan" not in words.lower().replace("semantibench", "")
    again = pd.read_csv(tmp_path / "one" / "table1.csv")
    assert again.loc[again["model"] == "collapses", "collapse_rate"].item() == 1.0


def test_the_box_row_says_oracle_box(cohort, results) -> None:
    frame = table1.table(metrics_of(cohort.prompts, {"box": results["parent"]}))
    assert frame["prompting"][0] == "oracle box of the parent structure"


def test_absent_suites_leave_explicit_gaps(cohort, results, tmp_path: Path) -> None:
    core = cohort.prompts[cohort.prompts["suite"] == "core"]
    kept = results["truth"][results["truth"]["prompt_id"].isin(core["prompt_id"])]
    metrics = metrics_of(core.assign(origin="user"), {"token": kept})
    table1.write(metrics, tmp_path)
    token = json.loads((tmp_path / "metrics.json").read_text())["models"]["token"]
    nothing = {"value": None, "low": None, "high": None, "prompts": 0, "patients": 0}
    for gap in (
        token["matched"]["l1"],
        token["absent"]["rate"],
        token["paraphrase"]["worst"],
        token["phrasing"]["seen"]["l3"],
    ):
        assert gap == nothing
    lines = (tmp_path / "table1.md").read_text().splitlines()
    assert "trained here on own images" in lines[4] and "–" in lines[4]
    assert "phantom" not in "".join(lines)


class TestMissingAnswers:
    def test_an_unanswered_prompt_is_named(self, cohort, results) -> None:
        with pytest.raises(DataError, match=r"results of token: .* 1 missing \['v00-00'\]"):
            metrics_of(cohort.prompts, {"token": results["truth"].iloc[1:]})

    def test_a_repeated_answer_is_named(self, cohort, results) -> None:
        with pytest.raises(DataError, match=r"1 repeated \['v00-00'\]"):
            metrics_of(cohort.prompts, {"token": pd.concat([results["truth"], results["truth"].iloc[:1]])})

    def test_an_answer_to_another_benchmark_is_named(self, cohort, results) -> None:
        with pytest.raises(DataError, match="unknown"):
            metrics_of(cohort.prompts.iloc[1:], {"token": results["truth"]})

    def test_a_model_that_was_not_evaluated_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="evaluate@token"):
            table1.read_results(tmp_path, ["token"])
