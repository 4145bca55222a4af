"""The command line: help at once, errors as one message, verbs that do what they say."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import tiny_project
from click.testing import CliRunner

from semantiseg import params
from semantiseg.cli import main
from semantiseg.pipeline.notebook import write_text


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_help_imports_nothing_heavy():
    """`semantiseg --help` answers within a second; what would make it slow is an import, and that can be counted."""
    code = "import sys, semantiseg.cli; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"torch", "numpy", "pandas", "matplotlib", "dvc", "papermill", "pydantic", "psutil", "nbformat"}


def test_help_names_every_verb(call):
    answer = call("--help")
    assert answer.exit_code == 0
    for verb in (
        "reproduce",
        "workspace",
        "profile",
        "train",
        "stage",
        "notebooks",
        "fresh",
        "compare-table",
        "publish",
        "segment",
        "read",
        "fetch",
        "plan",
        "info",
    ):
        assert f"  {verb}" in answer.output


def test_a_profile_becomes_params_yaml(call, tmp_path):
    assert call("profile", "smoke").exit_code == 0
    assert (tmp_path / "params.yaml").read_text() == params.profile_text("smoke")


def test_errors_are_one_message_without_traceback(call):
    answer = call("profile", "dmo")
    assert (
        answer.exit_code == 1
        and answer.output.startswith("Error: profile: expected one of")
        and "Traceback" not in answer.output
    )
    answer = call("reproduce")
    assert answer.exit_code == 1 and "dvc.yaml" in answer.output


def test_own_images_need_a_folder(call):
    answer = call("reproduce", "--profile", "own")
    assert answer.exit_code == 1 and "DATA=folder" in answer.output


def test_notebooks_are_stripped_or_only_checked(call, tmp_path):
    (tmp_path / "notebooks").mkdir()
    path = tmp_path / "notebooks/01_a.ipynb"
    made = tiny_project.tiny_notebook("1 + 1")
    clean = write_text(made)
    made.cells[-1].execution_count = 7
    path.write_text(write_text(made))
    assert call("notebooks", "strip", "--check").exit_code == 1 and "7" in path.read_text()
    assert call("notebooks", "strip").exit_code == 0 and path.read_text() == clean
    assert call("notebooks", "strip", "--check").exit_code == 0


def test_tables_are_compared_with_the_tolerance_only_on_another_machine(call, tmp_path):
    (tmp_path / "old.csv").write_text("a\n0.50\n")
    (tmp_path / "new.csv").write_text("a\n0.52\n")
    assert call("compare-table", "old.csv", "new.csv").exit_code == 1
    record = tmp_path / "run.json"
    arguments = ("compare-table", "old.csv", "new.csv", "--tolerance", "0.05", "--exact-on", "run.json")
    assert call(*arguments).exit_code == 0
    record.write_text(call("info").output)
    assert call(*arguments).exit_code == 1
    record.write_text(json.dumps(json.loads(record.read_text()) | {"cores": 1000}))
    assert call(*arguments).exit_code == 0


def test_dependencies_of_stages_are_written_into_dvc_yaml(call, tmp_path, monkeypatch):
    root = tmp_path / "project"
    root.mkdir()
    tiny_project.build(root, "import semantiseg.a")
    (root / "semantiseg").mkdir()
    (root / "semantiseg/a.py").write_text("X = 1\n")
    monkeypatch.chdir(root)
    assert call("notebooks", "deps", "--check").exit_code == 1
    call("notebooks", "deps")
    assert "- semantiseg/a.py" in (root / "dvc.yaml").read_text() and "words.txt" in (root / "dvc.yaml").read_text()
    assert call("notebooks", "deps", "--check").exit_code == 0
