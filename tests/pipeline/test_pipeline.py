"""The pipeline as declared is true, whole and up to date; the machinery that says so is tested on tiny ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import tiny_project
from ruamel.yaml import YAML

from semantiseg import measure, params
from semantiseg.pipeline import notebook, runner

ROOT = tiny_project.ROOT
DECLARED = YAML(typ="safe", pure=True).load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
EXPECTED = [
    "fetch",
    "prepare",
    "prompts",
    "verify",
    "encode",
    "pretrain",
    "train",
    "evaluate",
    "table1",
    "composition",
    "teaser",
    "breakdown",
    "published",
    "patients",
    "ablation",
    "claims",
    "publish",
]


def out_paths(stage: dict) -> list[str]:
    return [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"]]


def notebook_of(stage: dict) -> Path | None:
    return next((ROOT / dep for dep in stage["deps"] if dep.endswith(".ipynb")), None)


def module_source(stage: dict) -> str:
    """Source that a stage runs: its notebook, or the module its command names."""
    source = notebook_of(stage)
    if source is not None:
        return notebook.notebook_source(source)
    module = re.fullmatch(r"python -m (semantiseg\.[\w.]+)", stage["cmd"])
    return f"import {module[1]}"


needs_notebook = pytest.mark.parametrize("name", [name for name in DECLARED if notebook_of(DECLARED[name])])


def test_the_stages_are_those_of_the_architecture_each_with_a_description():
    assert list(DECLARED) == EXPECTED
    assert all(stage["desc"].endswith(".") for stage in DECLARED.values())


def test_every_command_names_its_own_stage():
    for name, stage in DECLARED.items():
        suffix = "@${item.model}" if "matrix" in stage else ""
        expected = (
            "python -m semantiseg.artifact.published"
            if name == "publish"
            else f"python -m semantiseg.pipeline.stage {name}{suffix}"
        )
        assert stage["cmd"] == expected


def test_every_dependency_is_in_git_or_an_output_of_another_stage(tracked):
    outs = [Path(out) for stage in DECLARED.values() for out in out_paths(stage)]
    missing = [
        (name, dep)
        for name, stage in DECLARED.items()
        for dep in map(Path, stage["deps"])
        if not any(dep == path or dep in path.parents for path in [*tracked, *outs])
    ]
    assert missing == []


@pytest.mark.parametrize("name", DECLARED)
def test_every_module_that_a_stage_runs_is_a_dependency(name):
    deps = map(Path, DECLARED[name]["deps"])
    assert notebook.uncovered(module_source(DECLARED[name]), deps=deps, root=ROOT) == []


def test_no_stage_depends_on_a_module_that_it_does_not_run():
    assert notebook.with_dependencies(ROOT)[1] == [], "run `semantiseg notebooks deps`"


def test_only_publish_has_uncached_outputs():
    uncached = {name for name, stage in DECLARED.items() for out in stage["outs"] if isinstance(out, dict)}
    assert uncached == {"publish"}


@needs_notebook
def test_a_notebooks_parameters_are_those_that_its_stage_lists(name):
    stage = DECLARED[name]
    profile = params.read_yaml(ROOT / "params.yaml")
    flat = {}
    for key in stage.get("params", []):
        section, _, leaf = key.partition(".")  # a whole section, or one key of it
        item = profile[section][leaf] if leaf else profile[section]
        flat |= item if isinstance(item, dict) else {leaf or key: item}
    names = {*flat, "staging", *stage.get("matrix", {})}
    defaults = notebook.parameters(notebook_of(stage))
    assert set(defaults) == names
    assert {key: type(defaults[key]) for key in flat} == {
        key: type(defaults[key]) if (type(value), type(defaults[key])) == (int, float) else type(value)
        for key, value in flat.items()
    }


def test_the_lock_covers_exactly_the_expanded_stages():
    if not (ROOT / "dvc.lock").is_file():
        pytest.skip("no dvc.lock yet: the demo was never run")
    assert runner.lock_problems(ROOT) == []


MATRIX = """
stages:
  make:
    matrix:
      model: ${models}
    cmd: mkdir -p data/made && cp words.txt data/made/${item.model}
    deps: [words.txt]
    params: [seed]
    outs:
      - data/made/${item.model}
  show:
    cmd: mkdir -p figures && cat data/made/* > figures/all.txt
    deps: [data/made]
    outs:
      - figures:
          cache: false
"""


@pytest.fixture
def made(tiny) -> Path:
    """A small pipeline that was run once."""
    root = tiny(stages=MATRIX)
    assert runner.dvc("repro", "-q", root=root).returncode == 0
    return root


def test_a_pipeline_without_its_data_is_fresh_and_an_edit_makes_exactly_its_stages_stale(made):
    assert runner.stale(made) == []
    for name in ("data/made/token", "data/made/box"):
        (made / name).unlink()
    (made / "data/made").rmdir()
    assert runner.stale(made) == []
    (made / "words.txt").write_text("spleen")
    assert [reason.partition(":")[0] for reason in runner.stale(made)] == ["make@token", "make@box"]
    (made / "words.txt").unlink()
    assert all("words.txt deleted" in reason for reason in runner.stale(made)), (
        "a tracked input that is gone is no data"
    )


def test_an_edited_or_missing_published_file_and_a_changed_parameter_are_stale(made):
    (made / "figures/all.txt").write_text("better")
    assert len(runner.stale(made)) == 1
    (made / "figures/all.txt").unlink()
    (made / "figures").rmdir()
    assert "figures" in runner.stale(made)[0]
    (made / "params.yaml").write_text((made / "params.yaml").read_text().replace("seed: 0", "seed: 1"))
    assert len(runner.stale(made)) == 3


def test_a_folder_that_is_here_in_part_is_not_stale_unless_it_holds_something_else(made):
    (made / "data/made/token").unlink()
    assert runner.stale(made) == []
    (made / "data/made/other").write_text("a")
    assert len(runner.stale(made)) == 1
    (made / "data/made/other").unlink()
    (made / "data/made/box").chmod(0o644)
    (made / "data/made/box").write_text("better")
    assert [reason.partition(":")[0] for reason in runner.stale(made)] == ["make@box"]


def test_a_model_taken_off_the_list_leaves_no_trace(made):
    text = (made / "params.yaml").read_text()
    (made / "params.yaml").write_text(text.replace("[token, box]", "[box, scalar]"))
    assert runner.lock_problems(made) == [
        "make@scalar: in dvc.yaml but never run", "make@token: in dvc.lock but no stage of dvc.yaml"
    ]  # fmt: skip
    assert runner.prune(made) == ["data/made/token", "make@token"]
    assert sorted(path.name for path in (made / "data/made").iterdir()) == ["box"]
    assert runner.dvc("repro", "-q", root=made).returncode == 0
    assert runner.prune(made) == [] and runner.lock_problems(made) == [] and runner.stale(made) == []


def test_reproducing_reports_what_ran_and_what_was_cached(tiny):
    root = tiny()
    (root / "figures").mkdir()
    (root / "figures/table1.md").write_text("| Table 1 |\n")
    (root / "figures/metrics.json").write_text('{"models": {"token": {"patients": 7}}}')
    first = runner.reproduce(root)
    assert (
        first["complete"]
        and first["profile"] == "smoke"
        and first["stages"][0]["seconds"] > 0
        and first["peak_gib"] > 0
    )
    text = runner.run_summary(first, root=root)
    assert text.startswith("| Table 1 |") and "notebooks/rendered" in text and re.search(r"make +\d+ s +\d+ MiB", text)
    assert "Only 7 test patients" in text
    second = runner.reproduce(root)
    assert not second["complete"] and re.search(r"make +cached", runner.run_summary(second, root=root))
    assert json.loads((root / "logs/demo_run.json").read_text()) == second


LANES = """
stages:
  verify:
    cmd: cp words.txt verified.txt
    deps: [words.txt]
    outs: [verified.txt]
  encode:
    cmd: cp verified.txt encoded.txt
    deps: [verified.txt]
    outs: [encoded.txt]
  pretrain:
    cmd: cp verified.txt pretrained.txt
    deps: [verified.txt]
    outs: [pretrained.txt]
  train:
    matrix:
      model: ${models}
    cmd: >-
      touch started.${item.model}; for _ in $(seq 100); do [ $(ls started.* | wc -l) = 2 ] && break; sleep 0.2; done;
      ls started.* | wc -l > trained.${item.model}
    deps: [encoded.txt, pretrained.txt]
    outs: ["trained.${item.model}"]
  evaluate:
    matrix:
      model: ${models}
    cmd: cp trained.${item.model} evaluated.${item.model}
    deps: ["trained.${item.model}"]
    outs: ["evaluated.${item.model}"]
"""


@pytest.mark.skipif(measure.usable_cores() < 2, reason="one core has one lane")
def test_models_train_side_by_side_and_each_is_evaluated_after_its_own_training(tiny):
    root = tiny(stages=LANES)
    assert runner._side_by_side(root) == 0
    # Each training waited until it saw the other one start.
    assert {model: (root / f"evaluated.{model}").read_text().strip() for model in ("token", "box")} == {
        "token": "2",
        "box": "2",
    }
    assert runner.stale(root) == [] and runner.dvc("repro", "-q", root=root).returncode == 0


def test_a_lane_that_fails_is_reported_and_the_other_one_ends(tiny):
    stages = LANES.replace("cp trained.${item.model} evaluated", "test ${item.model} = box && cp trained.box evaluated")
    root = tiny(stages=stages)
    assert runner._side_by_side(root) != 0
    assert (root / "evaluated.box").is_file() and not (root / "evaluated.token").exists()
