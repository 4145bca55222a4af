"""docs/extend.md is followed to the letter: every recipe, in a copy of the project, in at most three files."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_project

ROOT = tiny_project.ROOT
PAGE = (ROOT / "docs/extend.md").read_text(encoding="utf-8")
RECIPES = {part.partition("\n")[0]: part for part in PAGE.split("\n## ")[1:]}
STEP = re.compile(r"^`([\w./]+)`, (?:(after|in place of) `([^\n]+)`|a new file):\n\n```\w+\n(.*?)^```", re.M | re.S)
CHECK = re.compile(r"^```py\n(.*?)^```", re.M | re.S)


def follow(recipe: str, project: Path) -> set[str]:
    """Do what the recipe says below `project`; returns the files that it edits."""
    steps = STEP.findall(recipe)
    for name, how, anchor, text in steps:
        path = project / name
        if not how:
            assert not path.exists()
            path.write_text(text, encoding="utf-8")
            continue
        before = path.read_text(encoding="utf-8")
        line = f"\n{anchor}\n" if how == "after" else f"\n{anchor}"
        assert line in before, f"{name}: no line {anchor!r}"
        new = f"{line}{text}" if how == "after" else f"\n{text.removesuffix(chr(10))}"
        path.write_text(before.replace(line, new, 1), encoding="utf-8")
    return {name for name, *_ in steps}


def run(check: str, project: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, "-c", check], cwd=project, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.fixture
def project(tmp_path):
    copy = tmp_path / "project"
    shutil.copytree(ROOT / "semantiseg", copy / "semantiseg", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, copy / name)
    (copy / "notebooks").mkdir()
    (copy / ".dvc").mkdir()
    (copy / ".dvc/config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    return copy


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_followed_to_the_letter_gives_what_it_promises(name, project):
    (check,) = CHECK.findall(RECIPES[name])
    edited = follow(RECIPES[name], project)
    assert 1 <= len(edited) <= 3
    done = run(check, project)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("name", RECIPES)
def test_the_overview_counts_the_files_that_a_recipe_edits(name):
    (row,) = re.findall(rf"^\| \[{re.escape(name.lower())}\]\(#[\w-]+\) \| (\d) \|", PAGE, re.M)
    assert int(row) == len({path for path, *_ in STEP.findall(RECIPES[name])})


def test_a_recipe_that_is_not_followed_does_not_give_what_it_promises(project):
    (check,) = CHECK.findall(RECIPES["A metric"])
    assert run(check, project).returncode != 0


def test_the_page_has_the_six_recipes_and_fits_its_lines():
    assert set(RECIPES) == {"A structure", "A gate", "A baseline", "A metric", "A collection", "A stage"}
    assert max(map(len, PAGE.splitlines())) <= 120
