"""Results travel through a DVC remote: a second clone has Table 1 without training, and two revisions compare."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from semantiseg.pipeline import runner

ROOT = Path(__file__).parents[2]


def test_a_second_clone_reproduces_table_1_without_training(author, connect, tmp_path):
    connect(author)
    author.commit("a remote")
    author.dvc("push", "--quiet")
    assert author.trained == 1
    reader = author.clone(tmp_path / "reader")
    published = (author.folder / "figures/table1.csv").read_bytes()
    (reader.folder / "figures/table1.csv").unlink()
    reader.dvc("repro", "--quiet", "--pull")
    assert (reader.folder / "figures/table1.csv").read_bytes() == published
    weights = (reader.folder / "data/models/weights.txt").read_bytes()
    assert weights == (author.folder / "data/models/weights.txt").read_bytes()
    # The reader's own table: one digit less, from the pulled model.
    table = reader.folder / "table1.py"
    table.write_text(table.read_text().replace(":.6f", ":.5f"))
    reader.dvc("repro", "--quiet", "--pull")
    assert (reader.folder / "figures/table1.csv").read_bytes() != published
    assert reader.trained == 0


def test_without_what_was_pushed_a_clone_has_to_train(author, tmp_path):
    """The claim above can fail: with an empty remote the same command trains."""
    author.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    author.commit("a remote")
    reader = author.clone(tmp_path / "reader")
    (reader.folder / "figures/table1.csv").unlink()
    reader.dvc("repro", "--quiet", "--pull")
    assert reader.trained == 1


def test_metrics_and_plots_compare_two_revisions(author):
    parameters = author.folder / "params.yaml"
    parameters.write_text("seed: 2\n")
    author.dvc("repro", "--quiet")
    author.commit("another seed")
    change = json.loads(author.dvc("metrics", "diff", "--json", "HEAD~1"))
    change = change.get("diff", change)["figures/metrics.json"]["token.l1"]
    assert change == {"old": 0.142857, "new": 0.428571, "diff": 0.428571 - 0.142857}
    plots = json.loads(author.dvc("plots", "diff", "--json", "HEAD~1"))
    shown = json.dumps(plots)
    assert "0.143" in shown and "0.429" in shown and "HEAD~1" in shown


def test_metrics_plots_and_artifacts_are_no_part_of_a_stage(author):
    """Adding or changing the sections that describe results makes no result stale."""
    declared = author.folder / "dvc.yaml"
    text = declared.read_text()
    declared.write_text("stages:" + text.split("stages:", 1)[1])
    assert runner.stale(author.folder) == []
    declared.write_text(text.replace("type: model}", "type: model, labels: [phantom]}"))
    assert runner.stale(author.folder) == []
    (author.folder / "train.py").write_text("raise SystemExit(1)\n")
    assert runner.stale(author.folder) == ["train: changed deps, train.py modified"]


def test_nobody_is_told_to_pull_from_a_remote_that_the_project_has_not():
    assert "remote" not in (ROOT / ".dvc/config").read_text(encoding="utf-8")
    advised = []
    for path in sorted((ROOT / "semantiseg").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        spoken = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
        docs = {ast.get_docstring(node, clean=False) for node in ast.walk(tree)
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)}  # fmt: skip
        told = [node for node in spoken if "dvc pull" in node.value and node.value not in docs]
        advised += [f"{path.name}:{node.lineno}" for node in told]
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    for path in pages:
        # A page that says how to make a remote may say how to use it.
        before = path.read_text(encoding="utf-8").partition("dvc remote add")[0]
        advised += [path.name] if "dvc pull" in before or "repro --pull" in before else []
    assert advised == []
