"""One thing changed at a time, runs that are kept; and what their numbers are made to say."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from semantiseg import params
from semantiseg.errors import DataError, ParameterError
from semantiseg.evaluation import ablation, ablation_record
from semantiseg.evaluation.ablation import collect, run_ablation, run_one
from semantiseg.evaluation.ablation_record import VARIANTS, variant
from semantiseg.paper import ablation as ablation_figure
from semantiseg.paper.ablation import findings, report
from semantiseg.paper.claim_evidence import ablation_better
from semantiseg.params import Train, profile_text
from semantiseg.recipes import RECIPES

NAMES = ["default", "two_phrasings", "printed_dhn", "pixels", "longer"]


def test_variants_change_what_they_say_and_nothing_else():
    assert VARIANTS[0].name == VARIANTS[0].factor == "default"
    assert len({item.name for item in VARIANTS}) == len(VARIANTS)
    for item in VARIANTS[1:]:
        changed = {
            "model": item.model != "token",
            "loss": bool(item.loss),
            "phrasings": item.phrasings is not None,
            "width": item.width is not None,
            "longer": item.longer != 1,
        }
        assert sum(changed.values()) == 1 + (" and " in item.factor), item.name
        assert item.model in RECIPES and set(item.loss) <= set(Train.model_fields)


@pytest.fixture
def place(tmp_path):
    """A project after stage `pretrain`, with prompts of one test patient, two a level."""
    root = tmp_path / "project"
    for name in ablation.INPUTS:
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.suffix:
            path.mkdir(parents=True)
            (path / "file").write_text(name)
    (root / "params.yaml").write_text(profile_text("smoke"))
    (root / "data/text/features.h5").write_text("features")
    suites = (("core", "unseen"), ("phrasing", "seen"), ("phrasing", "template"), ("absent", "unseen"))
    rows = [
        {"prompt_id": f"{suite}{phrasing}{level}{number}", "suite": suite, "level": level, "split": "test",
         "phrasing": phrasing, "patient_id": "a"}
        for suite, phrasing in suites for level in (1, 2, 3) for number in (0, 1)
    ]  # fmt: skip
    pd.DataFrame(rows).to_parquet(root / "data/bench/prompts.parquet")
    texts = pd.DataFrame({"texts": [["one", "two", "three"], ["one"]]})
    texts.to_parquet(root / "data/bench/training.parquet")
    return root


@pytest.fixture
def asked(monkeypatch):
    """Trainings that only write down what they were asked for, and answers with a Dice of 1 - 0.2 level."""
    calls = []

    def train(*, out, parameters, **how):
        out.mkdir(parents=True)
        calls.append(how | {"name": out.parent.name, "parameters": parameters})
        curve = pd.DataFrame({"step": [1, 2], "loss": 1.0, "dice_l1": 0.5, "dice_l2": 0.5, "dice_l3": [0.1, 0.4]})
        curve.to_csv(out / "curve.csv", index=False)

    def pretrain(*, out, parameters, **_):
        out.mkdir(parents=True)
        (out / "config.json").write_text(json.dumps({"width": parameters.width}))

    def answers(prompts, gain=0.0):
        level = prompts["level"]
        dice = 1 - 0.2 * level + gain * (level == 3)
        return prompts[["prompt_id"]].assign(dice=dice, collapsed=(level == 3) & (gain == 0), parent_differs=True)

    def evaluate_model(_, *, prompts, output, **__):
        answers(pd.read_parquet(prompts)).to_parquet(output / "results.parquet")

    def compose(_, prompts, folder, **__):
        answers(prompts.query("suite == 'core'"), gain=0.3).to_parquet(folder / "composed.parquet")

    for name, fake in (
        ("train", train),
        ("pretrain", pretrain),
        ("evaluate_model", evaluate_model),
        ("_compose", compose),
    ):
        monkeypatch.setattr(ablation, name, fake)
    return calls


def test_runs_are_trained_as_their_variant_says_and_scored(place, tmp_path, asked):
    out = tmp_path / "out"
    table = run_ablation(place, out, seeds=[1, 2], names=NAMES, steps=10)
    assert [call["name"] for call in asked] == [f"{name}-{seed}" for seed in (1, 2) for name in
        sorted(NAMES, key=[item.name for item in VARIANTS].index)]  # fmt: skip
    by_name = {call["name"]: call for call in asked}
    assert by_name["default-2"]["seed"] == 2 and by_name["default-1"]["parameters"].steps == 10
    assert by_name["longer-1"]["parameters"].steps == 30
    assert not by_name["printed_dhn-1"]["parameters"].dhn_negatives
    assert by_name["default-1"]["streams"] == place / "data/pretrained"
    assert json.loads((by_name["pixels-1"]["streams"] / "config.json").read_text()) == {"width": "small_pixels"}
    assert pd.read_parquet(by_name["two_phrasings-1"]["training"])["texts"].map(len).tolist() == [2, 1]
    assert len(table) == 10
    for key, value in {"l1": 0.8, "l3": 0.4, "pss": 0.5, "collapse": 1, "l3_seen": 0.4, "l3_composed": 0.7,
                       "pss_composed": 0.125, "collapse_composed": 0}.items():  # fmt: skip
        assert table[key].tolist() == pytest.approx([value] * 10), key
    assert pd.read_csv(out / "runs.csv").shape == table.shape


def test_complete_runs_are_kept_and_half_done_ones_repeated(place, tmp_path, asked):
    out = tmp_path / "out"
    table = run_ablation(place, out, seeds=[1], names=["default", "no_gate"])
    (out / "runs/no_gate-1/scores.json").unlink()
    asked.clear()
    for path in (out / "runs/no_gate-1/model").iterdir():
        path.unlink()
    (out / "runs/no_gate-1/model").rmdir()
    pd.testing.assert_frame_equal(run_ablation(place, out, seeds=[1], names=["default", "no_gate"]), table, rtol=1)
    assert [call["name"] for call in asked] == ["no_gate-1"]


def test_runs_of_other_steps_or_other_data_do_not_mix(place, tmp_path, asked):
    out = tmp_path / "out"
    run_ablation(place, out, seeds=[1], names=["default"], steps=10)
    with pytest.raises(ParameterError, match="Use another folder"):
        run_ablation(place, out, seeds=[2], names=["default"], steps=20)
    (place / "data/volumes/file").write_text("another")
    with pytest.raises(ParameterError, match="Use another folder"):
        run_ablation(place, out, seeds=[2], names=["default"], steps=10)
    assert len(asked) == 1


def test_what_cannot_be_run_is_said(place, tmp_path):
    with pytest.raises(ParameterError, match="got \\['nonsense'\\]"):
        run_ablation(place, tmp_path / "runs", seeds=[1], names=["nonsense"])
    with pytest.raises(DataError, match="expected complete runs, got none"):
        collect(tmp_path)
    (place / "data/text/features.h5").unlink()
    with pytest.raises(DataError, match=r"text/features\.h5"):
        run_ablation(place, tmp_path / "runs", seeds=[1], names=["default"])
    with pytest.raises(KeyError):
        run_one(place, tmp_path, "nonsense", seed=1, parameters=params.load(place / "params.yaml"))


def scores(**values: list[float]) -> pd.DataFrame:
    """Level 3 Dice by variant, one a seed."""
    return pd.DataFrame(
        [
            {"variant": name, "seed": seed, "l3": value, "l3_composed": 0.9, "collapse": 0.5, "collapse_composed": 0.25}
            for name, of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
    )


def test_better_worse_and_not_to_be_told_apart():
    said = findings(scores(default=[0.8, 0.9], scalar_gate=[0.5, 0.7], channel_gate=[0.92, 0.95], pixels=[0.85, 0.99]))
    assert "scalar_gate (gate: " in said[0] and "is worse" in said[0] and "(-0.25 Dice)" in said[0]
    assert "channel_gate (gate: " in said[1] and "is better" in said[1]
    assert "pixels" in said[2] and "cannot be told apart" in said[2]
    assert "4 of 8 runs" in said[3] and "from 50% to 25%" in said[3]


def test_one_seed_is_no_verdict_and_two_changes_are_compared_with_each_of_them():
    said = findings(scores(default=[0.8, 0.9], scalar_gate=[0.5, 0.6], scalar_longer=[0.7, 0.75], longer=[0.95]))
    assert "scalar_longer" in said[1] and "is better: its worst seed stays above the best of scalar_gate" in said[1]
    assert "scalar_longer" in said[2] and "too seldom to be compared with longer" in said[2]
    assert "- longer" in said[3] and "too seldom to be compared with default" in said[3]


def test_what_a_variant_is_compared_with_changes_no_more_than_it_does():
    for item in VARIANTS:
        for other in map(variant, item.against):
            changes = ("model", "loss", "phrasings", "width", "longer")
            differs = [name for name in changes if getattr(item, name) != getattr(other, name)]
            assert len(differs) == (0 if item is other else 1), (item.name, other.name)


def finished() -> tuple[pd.DataFrame, pd.DataFrame]:
    table = scores(default=[0.8, 0.8], no_gate=[0.5, 0.6]).assign(l1=0.9, pss=0.1, l3_seen=0.9, steps=30)
    curve = pd.DataFrame({"step": [10, 20, 30], "dice_l3": [0.2, 0.77, 0.8]})
    curves = [
        curve.assign(variant="default", seed=0),
        curve.assign(variant="default", seed=1, dice_l3=[0.1, 0.3, 0.8]),
        curve.assign(variant="no_gate", seed=0),
        curve.assign(variant="no_gate", seed=1),
    ]
    return table, pd.concat(curves)


def test_the_speed_of_learning_is_told_beside_its_end():
    lines = report(*finished()).splitlines()
    assert lines[2].startswith("| default |") and lines[2].endswith("| 25 of 30 |")


def test_the_figure_shows_every_variant_and_the_mean_of_its_seeds():
    figure = ablation_figure.draw(*finished())
    ends, learning = figure.axes
    assert [label.get_text() for label in ends.get_yticklabels()] == ["default", "no gate"]
    (plain,) = (line.get_xdata() for line in ends.lines if line.get_marker() == "s" and len(line.get_xdata()))
    assert np.asarray(plain) == pytest.approx([0.8, 0.55])
    assert learning.lines[0].get_ydata() == pytest.approx([0.15, 0.535, 0.8])


def test_a_record_says_whether_its_data_are_those_here(place, tmp_path, asked, monkeypatch):
    out = tmp_path / "out"
    run_ablation(place, out, seeds=[1, 2], names=["default"], steps=10)
    for name, path in (("RUNS", "runs.csv"), ("CURVES", "curves.csv"), ("RECORD", "record.json")):
        monkeypatch.setattr(ablation_record, name, out / path)
    runs, curves = ablation_record.read()
    assert len(runs) == 2 and len(curves) == 4
    said = ablation_record.provenance(data=place / "data")
    assert "2 trainings" in said and "byte by byte" in said and "--steps 10" in said
    (place / "data/pretrained/file").write_text("another")
    assert "other data than those here (pretrained)" in ablation_record.provenance(data=place / "data")


@pytest.mark.parametrize(
    "theirs, holds, apart", [([0.5, 0.6], True, True), ([0.75, 0.95], None, False), ([0.95, 0.99], False, True)]
)
def test_a_claim_holds_only_where_every_seed_says_so(monkeypatch, theirs, holds, apart):
    monkeypatch.setattr(ablation_record, "read", lambda: (scores(default=[0.8, 0.9], no_gate=theirs), None))
    found = ablation_better(variant="default", other="no_gate", statistic="l3", metrics={})
    assert found.holds is holds and found.measured and found.origin == "phantoms" and found.apart is apart
    assert ablation_better(variant="default", other="pixels", statistic="l3", metrics={}).holds is None
