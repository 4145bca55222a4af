"""What the benchmarks record; that they are fast enough is recorded, never asserted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """A module of benchmarks/, which is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))

    def module(name: str):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        found = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, found)
        spec.loader.exec_module(found)
        return found

    return module


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"value": 3, "target": 3}, True),
        ({"value": 4, "target": 3}, False),
        ({"value": 4, "target": 3, "better": "higher"}, True),
        ({"value": 2, "target": 3, "better": "higher"}, False),
    ],
)
def test_a_target_is_an_upper_bound_unless_higher_is_better(load, row, expected):
    assert load("run").met(row) is expected


def test_scoring_is_compared_on_masks_on_which_both_agree(load, monkeypatch):
    from semantiseg.errors import DataError

    scoring = load("scoring")
    pairs = list(scoring._pairs((48, 48), 10, count=1))
    assert scoring._ratio(pairs) > 0
    monkeypatch.setattr(scoring, "_ours", lambda answer, target: (0.5, 0.5, 0.5))
    with pytest.raises(DataError, match="expected MONAI's Dice"):
        scoring._ratio(pairs)


def test_a_small_run_of_the_scoring_benchmark_scores_every_prompt(load, tmp_path, capsys, monkeypatch):
    from semantiseg.scoring.benchmark import Benchmark
    from semantiseg.scoring.scorecard import score

    module = load("score_108k")
    module.make(tmp_path, 150)
    card = score(tmp_path / "model.parquet", bench=tmp_path / "data", resamples=5)
    assert len(card.results) == len(Benchmark(tmp_path / "data").test) == 180 and not card.missing
    present = card.results[card.results["target_mm2"] > 0]
    assert 0.5 < present["dice"].mean() < 1
    monkeypatch.setattr(module, "RECORD", tmp_path / "none.json")
    assert list(module.recorded(tmp_path)) == [] and "not recorded yet" in capsys.readouterr().out
    (tmp_path / "none.json").write_text('{"minutes": 9.5, "peak_gib": 1.5}')
    assert [row["value"] for row in module.recorded(tmp_path)] == [9.5, 1.5]


def test_accuracy_is_read_from_the_results_and_says_which_reader_it_is_of(load, tmp_path):
    import json

    import pandas as pd

    from semantiseg.errors import StageError

    module = load("demo_accuracy")
    with pytest.raises(StageError, match="make reproduce"):
        list(module.core(tmp_path))
    (tmp_path / "figures").mkdir()
    values = {"core": {"pss": 0.1, "l1": 0.9, "l3": 0.81}, "phrasing": {"unseen_synonym": {"l3": {"value": 0.7}}}}
    values["core"] = {name: {"value": value} for name, value in values["core"].items()}
    (tmp_path / "figures/metrics.json").write_text(json.dumps({"models": {"token": values}}))
    composed = {"suite": "clinical", "model": "token", "variant": ["plain", "strict", "learned", "stated"]}
    composed |= {"l3": [0.5, 0.6, 0.7, 0.8], "read_l3": [None, 0.3, 0.9, None], "rightly_l3": [None, 0.3, 0.8, None]}
    pd.DataFrame(composed | {"collapse_rate": 0.1}).to_csv(tmp_path / "figures/composition.csv")
    (tmp_path / "data/results/token").mkdir(parents=True)
    (tmp_path / "data/bench").mkdir()
    program = ["part(necrotic_core)", "part(necrotic_core)", "organ(liver)"]
    prompts = {"prompt_id": list("abc"), "program": program, "phrasing": "unseen"}
    pd.DataFrame(prompts).to_parquet(tmp_path / "data/bench/prompts.parquet")
    answers = {"prompt_id": list("abc"), "patient_id": "p", "dice": [0.5, 0.9, 0.0], "parent_differs": True}
    answers = pd.DataFrame(answers | {"collapsed": [True, False, True]})
    answers.to_parquet(tmp_path / "data/results/token/results.parquet")
    rows = {row["name"]: row for part in module.BENCHMARKS for row in part(tmp_path)}
    value = {name: row["value"] for name, row in rows.items()}
    assert value == {
        "demo_pss": 0.1, "demo_l1": 0.9, "demo_l3": 0.81, "demo_unseen_synonyms_l3": 0.7, "clinical_composed_l3": 0.7,
        "necrotic_core_dice": 0.7, "necrotic_core_collapse_rate": 0.5,
    }  # fmt: skip
    assert rows["clinical_composed_l3"]["reader"] == "learned" and all(row["on"] == "phantoms" for row in rows.values())
    assert {name for name in rows if load("run").met(rows[name])} == {"demo_l1"}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("within(lesion(liver_tumour), organ(liver))", "lesion(liver_tumour)", True),
        ("union(organ(kidney), lesion(kidney_cyst))", "organ(kidney)", True),
        ("minus(organ(kidney), lesion(kidney_cyst))", "organ(kidney)", False),
        ("side(organ(kidney), left)", "side(organ(kidney), right)", False),
        ("half(organ(liver), anterior)", "half(organ(liver), posterior)", False),
        ("containing(organ(kidney), lesion(kidney_tumour))", "organ(kidney)", False),
        ("largest(lesion(liver_tumour))", "lesion(liver_tumour)", False),
        ("facing(lesion(liver_tumour), anterior, organ(hepatic_vessels))", "lesion(liver_tumour)", False),
    ],
)
def test_a_reading_is_right_by_its_mask_on_drawn_label_maps(load, one, other, equal):
    from semantiseg.language.program import parse

    assert load("reader").same(parse(one), parse(other)) is equal


def test_a_confident_reader_that_errs_is_found_out_by_its_curve(load):
    from semantiseg.language.program import parse

    reader, liver = load("reader"), parse("organ(liver)")
    judged = [reader.Judged("liver", liver, (), liver, 0.95, right) for right in (True, False)]
    assert reader.reliability(judged) == [{"sentences": 2, "confidence": 0.95, "right": 0.5}]


def test_no_sentence_of_the_reader_is_a_clinical_test_sentence(load):
    from semantiseg.bench.ask.clinical import plain, sentences

    reader = load("reader")
    written = {plain(item.text) for half in (0, 1) for item in reader.written(half)}
    tested = {plain(sentence.text) for sentence in sentences()}
    assert len(written) >= 450 and not written & tested


def test_the_house_is_counted_as_it_stands(load, tmp_path):
    package = tmp_path / "semantiseg"
    (package / "room").mkdir(parents=True)
    (package / "room/__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from semantiseg.room import b\n\n\ndef write():\n    return b\n")
    (package / "room/b.py").write_text("def write():\n    pass\n\n\ndef _write():\n    pass\n")
    late = "from semantiseg import a\n\n\ndef read():\n    from semantiseg.a import write\n"
    (package / "c.py").write_text(late + 60 * "\n")
    house = load("house")
    found = house.counts(tmp_path)
    assert (found["modules"], found["small_modules"], found["repeated_names"]) == (5, 2, 1)
    assert (found["single_use_modules"], found["import_circles"], found["longest_module"]) == (2, 0, 65)
    (package / "room/b.py").write_text("from semantiseg.c import read\n")
    assert house.counts(tmp_path)["import_circles"] > 0


def test_what_the_house_has_reached_is_kept(load):
    house = load("house")
    found = house.counts(FOLDER.parent)
    assert {name: found[name] for name, most in house.KEPT.items() if found[name] > most} == {}


def test_what_the_tiny_suite_foretells_is_measured_against_the_whole(load):
    import pandas as pd

    module = load("tiny_suite")
    prompts = pd.DataFrame(
        {"prompt_id": f"{level}{place:03d}", "split": "test", "suite": "core", "phrasing": "unseen", "level": level}
        | {"collection": "a", "kind": "side", "structure": "liver"}
        for level in (1, 2, 3) for place in range(200)
    )  # fmt: skip
    ids = prompts["prompt_id"]
    right = pd.Series(1.0, index=ids)
    tiny = right.where(~ids.isin(module.tiny_suite(prompts)).to_numpy(), 0.0)
    found = module.foretold(prompts, {"right": right, "fails on the tiny suite": tiny})
    assert found.loc["right"].tolist() == [1.0, 1.0, 1.0, 1.0]
    assert found.loc["fails on the tiny suite", ["whole_l1", "whole_l3", "tiny_l3"]].tolist() == [0.875, 0.75, 0.0]
