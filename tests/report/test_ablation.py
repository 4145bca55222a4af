"""One thing changed at a time, on the demo's own kind of files; and what its numbers are made to say."""

from __future__ import annotations

import pandas as pd
import pytest
from tiny_project import ROOT

from semantiseg import document, params
from semantiseg.report import ablation
from semantiseg.report.ablation import VARIANTS, Variant, run
from semantiseg.report.ablation_text import findings, report
from semantiseg.training import loop


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The demo's data, with parameters for a training of two steps."""
    if not (ROOT / "data/pretrained/model.safetensors").is_file():
        pytest.skip("the demo's data are not here (`dvc pull` or `make reproduce`)")
    root = tmp_path_factory.mktemp("ablation")
    (root / "data").symlink_to(ROOT / "data")
    values = document.parse(params.profile_text("demo"))
    values["train"] |= {"steps": 2, "images_per_step": 2, "prompts_per_image": 2}
    (root / "params.yaml").write_text(document.text(values))
    return root


def test_variants_change_what_they_say_and_nothing_else():
    assert VARIANTS[0] == Variant("default", "default")
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    for variant in VARIANTS[1:]:
        changed = [variant.model != "token", bool(variant.loss), variant.phrasings is not None]
        assert sum(changed) == 1, variant.name
        assert set(variant.loss) <= set(params.Train.model_fields)


def test_runs_are_scored_and_kept(place, tmp_path, monkeypatch):
    asked = {}

    def few(model_folder, *, prompts, output, **_):
        """Scores as `evaluate_model` writes them, without the minutes that 3,000 prompts take."""
        table = pd.read_parquet(prompts).query("split == 'test'")
        asked[output.name] = params.read_yaml(model_folder / "config.json")
        scored = table[["prompt_id"]].assign(
            dice=[1 - 0.2 * level for level in table["level"]], collapsed=table["level"] == 3, parent_differs=True
        )
        scored.to_parquet(output / "results.parquet")
        return scored

    monkeypatch.setattr(ablation, "evaluate_model", few)
    monkeypatch.setattr(loop, "VALIDATION_IMAGES", 2)
    variants = [variant for variant in VARIANTS if variant.name in ("default", "two_phrasings", "printed_dhn")]
    table = run(place, tmp_path, seeds=[1], variants=variants)
    assert list(table["variant"]) == [variant.name for variant in variants]
    assert table["l1"].tolist() == pytest.approx([0.8] * 3) and table["l3"].tolist() == pytest.approx([0.4] * 3)
    assert table["pss"].tolist() == pytest.approx([0.5] * 3) and (table["collapse"] == 1).all()
    assert asked["default-1"]["seed"] == 1 and asked["printed_dhn-1"]["dhn_negatives"] is False
    kept = pd.read_parquet(tmp_path / "runs/two_phrasings-1/training.parquet")["texts"]
    assert kept.map(len).max() == 2
    for name in ("ablation.csv", "curves.csv", "ablation.md", "ablation.png"):
        assert (tmp_path / name).stat().st_size > 0
    monkeypatch.setattr(ablation, "train", lambda **_: pytest.fail("a kept run was repeated"))
    assert run(place, tmp_path, seeds=[1], variants=variants).equals(table)


def scores(**values: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"variant": name, "factor": "gate", "seed": seed, "l3": value}
            for name, of_seeds in values.items()
            for seed, value in enumerate(of_seeds)
        ]
    )


def test_better_worse_and_not_to_be_told_apart():
    first, second, third = findings(scores(default=[0.8, 0.9], low=[0.5, 0.7], high=[0.92, 0.95], near=[0.85, 0.99]))
    assert "low (gate) is worse" in first and "(-0.25 Dice)" in first
    assert "high (gate) is better" in second
    assert "near (gate) cannot be told apart" in third


def test_the_speed_of_learning_is_told_beside_its_end():
    table = scores(default=[0.8, 0.8]).assign(l1=0.9, l2=0.9, pss=0.1, l1_seen=0.9, l3_seen=0.9, collapse=0.0)
    curve = pd.DataFrame({"step": [10, 20, 30], "dice_l3": [0.2, 0.77, 0.8], "variant": "default"})
    curves = pd.concat([curve.assign(seed=0), curve.assign(seed=1, dice_l3=[0.1, 0.3, 0.8])])
    assert report(table, curves).splitlines()[4].endswith("| 25 |")
