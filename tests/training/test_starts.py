"""Starts of our own: recipes that share no seed with anything else, and records that can be walked once more."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path
from subprocess import CompletedProcess

import pandas as pd
import pytest
from tiny_project import ROOT

from semantiseg import document, measure, params
from semantiseg.errors import ModelError, ParameterError
from semantiseg.models.registry import start_from
from semantiseg.pipeline import runner, starts
from semantiseg.training import pretrain as module
from semantiseg.training.batch import Augmentation
from semantiseg.training.pretrain import WarmUp

RECIPE = """profile: smoke
settings: [seed=7, pretrain.start=scratch, pretrain.steps=8, pretrain.image_size=32, pretrain.images_per_step=2,
  pretrain.pretrain_threads=1]
"""
SHIPPED = pytest.mark.parametrize("name", params.start_names())
SEED = re.compile(r"seeds?[\"']?\]?\s*[=:,]\s*\(?\s*(\d+)")


@pytest.mark.parametrize("name", starts.recipe_names())
def test_no_profile_test_or_benchmark_uses_the_seed_of_a_start(name):
    seed = starts.read_recipe(name).parameters().seed
    assert seed not in {params.with_settings(profile, []).seed for profile in params.profile_names()}
    places = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/*.py"), ROOT / "Makefile", ROOT / "params.yaml"]
    found = {int(number) for path in places for number in SEED.findall(path.read_text(encoding="utf-8"))}
    assert {0, 1} <= found and seed not in found


@pytest.mark.parametrize("name", starts.recipe_names())
def test_a_recipe_has_three_times_the_phantoms_and_steps_of_the_demo_and_its_network(name):
    made, demo = starts.read_recipe(name).parameters(), params.with_settings("demo", [])
    assert made.fetch.source == "phantom" and made.fetch.cases >= 3 * demo.fetch.cases
    assert made.pretrain.start == params.SCRATCH and made.pretrain.steps >= 7200
    assert (made.pretrain.width, made.pretrain.image_size) == (demo.pretrain.width, demo.pretrain.image_size)
    assert made.fetch.body_scale == demo.fetch.body_scale and made.prepare.spacing_mm == demo.prepare.spacing_mm


@SHIPPED
def test_a_shipped_start_is_small_is_packed_and_is_what_its_card_says(name):
    path = params.STARTS / f"{name}.safetensors"
    start = starts.read_start(path)
    assert start.card["bytes"] == path.stat().st_size <= 8 * 2**20
    recipe = starts.read_recipe(name)
    assert start.card["parameters"]["pretrain"] == recipe.parameters().pretrain.model_dump()
    assert start.card["parameters"]["seed"] == recipe.parameters().seed
    assert abs(start.card["validation"]["dice"] - start.card["validation"]["dice_before_rounding"]) < 0.001
    assert start.card["curve"][-1]["dice"] == pytest.approx(start.card["validation"]["dice_before_rounding"])
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["semantiseg"]
    assert any(fnmatch(f"starts/{path.name}", pattern) for pattern in listed)


def test_all_data_of_the_package_stay_below_forty_megabytes():
    held = [path for path in (ROOT / "semantiseg").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert 0 < sum(path.stat().st_size for path in held) <= 40 * 2**20


def test_a_changed_start_retrains():
    assert "semantiseg/starts" in document.values(ROOT / "dvc.yaml")["stages"]["pretrain"]["deps"]


@SHIPPED
def test_no_start_has_seen_an_image_of_the_demo(name):
    manifest = ROOT / "data/volumes/manifest.parquet"
    if not manifest.is_file():
        pytest.skip("no data/volumes: the demo was not made here")
    images = {digits[:16] for digits in pd.read_parquet(manifest)["sha256_image"]}
    assert images and not images & set(params.start_card(name)["seen"]["images"])


@pytest.fixture
def place(tmp_path, monkeypatch, project) -> Path:
    """A project with one recipe, `tiny`; its workspace holds the small cohort in place of the stages' own."""
    for owner in (params, module):
        monkeypatch.setattr(owner, "STARTS", tmp_path / "semantiseg/starts")
    for owner in (starts, module):
        monkeypatch.setattr(owner, "TAIL", 4)
    params.STARTS.mkdir(parents=True)
    (params.STARTS / "tiny.yaml").write_text(RECIPE)

    def create(folder, *, project, profile, settings):
        (folder / "data/bench").mkdir(parents=True)
        shutil.copytree(volumes, folder / "data/volumes")
        shutil.copy(volumes.parent / "training.parquet", folder / "data/bench")
        document_of = params.changed_profile(profile, settings)
        (folder / "params.yaml").write_text(document.document_text(document_of))

    volumes = project / "volumes"
    monkeypatch.setattr(runner, "create", create)
    monkeypatch.setattr(starts, "dvc", lambda *_, root: CompletedProcess([], 0))
    return tmp_path


def test_a_start_is_made_recorded_listed_and_walked_once_more(place):
    assert "tiny: not made" in starts.listing()
    card = starts.make("tiny", place / "work", project=place)
    assert params.start_names() == ["tiny"] and params.start_card("tiny") == json.loads(json.dumps(card))
    assert card["steps"] == 8 and card["seen"]["patients"] == 2 and len(card["sessions"]) == 1
    assert set(card["validation"]["by_structure"]) == {"organ(kidney)", "organ(liver)"}
    assert "8 steps on 2 patients (phantom)" in starts.listing()
    assert f"Dice {card['validation']['dice']:.3f}" in starts.listing()
    assert len(starts.verify("tiny", None, project=place)) == 1
    assert "the recorded bytes" in starts.verify("tiny", place / "elsewhere", project=place)[-1]
    assert start_from(place / "work/start/streams", model="token", text_width=12).image_size == 32


def test_a_start_that_was_cut_off_is_the_same_start(place, monkeypatch):
    whole = starts.make("tiny", place / "work", project=place)
    monkeypatch.setattr(starts, "EVERY", 3)
    with monkeypatch.context() as patch:
        advance = WarmUp.advance
        patch.setattr(WarmUp, "advance", lambda self: 1 / 0 if self.step == 4 else advance(self))
        with pytest.raises(ZeroDivisionError):
            starts.make("tiny", place / "again", project=place)
    card = starts.make("tiny", place / "again", project=place)
    assert card["sha256"] == whole["sha256"] and card["tail"]["loss"] == whole["tail"]["loss"]
    assert len(card["sessions"]) == 2


def test_a_walk_that_ends_elsewhere_is_told(place, monkeypatch):
    starts.make("tiny", place / "work", project=place)
    monkeypatch.setattr(Augmentation, "restore", lambda *_: None)
    with pytest.raises(ModelError, match="the recorded bytes on the recorded hardware"):
        starts.verify("tiny", place / "work", project=place)
    monkeypatch.setattr(measure, "machine", lambda: {"cpu": "another", "versions": {}})
    monkeypatch.setattr(starts, "LOSS_WITHIN", 1e-9)
    with pytest.raises(ModelError, match="expected a loss within"):
        starts.verify("tiny", place / "work", project=place)
    monkeypatch.setattr(starts, "LOSS_WITHIN", 9.0)
    monkeypatch.setattr(starts, "DICE_WITHIN", 1.0)
    assert "other hardware" in starts.verify("tiny", place / "work", project=place)[-1]
    (place / starts.TAILS / "tiny.ckpt").write_bytes(b"another")
    with pytest.raises(ModelError, match="tiny.ckpt: expected SHA-256"):
        starts.verify("tiny", place / "work", project=place)


def test_a_workspace_of_something_else_and_an_unknown_start_are_refused(place):
    starts.make("tiny", place / "work", project=place)
    (params.STARTS / "other.yaml").write_text(RECIPE.replace("seed=7", "seed=8"))
    with pytest.raises(ParameterError, match="other parameters"):
        starts.make("other", place / "work", project=place)
    with pytest.raises(ParameterError, match=r"expected one of \['other', 'tiny'\]"):
        starts.make("none", place / "new", project=place)


@pytest.mark.parametrize(
    ("setting", "said"),
    [("pretrain.start=none", "start: one of"), ("pretrain.image_size=64", "image_size 32, as it was made"),
     ("pretrain.start=scratch", "steps: at least 1")],
)  # fmt: skip
def test_a_start_that_does_not_fit_is_told_before_the_first_stage(place, setting, said):
    starts.make("tiny", place / "work", project=place)
    fits = ["pretrain.image_size=32", "pretrain.start=tiny", "pretrain.steps=0"]
    assert params.with_settings("smoke", fits).pretrain.start == "tiny"
    with pytest.raises(ParameterError, match=said):
        params.with_settings("smoke", [*fits, setting])
