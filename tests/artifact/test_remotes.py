"""Results travel through a DVC remote: a second clone has Table 1 without training, and two revisions compare."""

from __future__ import annotations

import json

from semantiseg.pipeline import runner


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
