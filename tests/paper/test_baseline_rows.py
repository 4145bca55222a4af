"""Table 1 with baselines: rows asked, rows that say why not; and the guide's model of ten lines, end to end."""

from __future__ import annotations

import json
import re

import loopback_server
import pandas as pd
import plugged
import pytest
import tiny_project
from click.testing import CliRunner

from semantiseg.baselines import catalogue
from semantiseg.cli import main
from semantiseg.errors import DataError, ModelError
from semantiseg.evaluation.baseline import evaluate_row
from semantiseg.paper import table1
from semantiseg.paper.baseline_rows import absent_rows, describe_row, on_clean_cases, write_baseline_table


def guide() -> str:
    """The class of docs/bring_a_model.md."""
    text = (tiny_project.ROOT / "docs" / "bring_a_model.md").read_text(encoding="utf-8")
    return re.search(r"```python\n(.*?)```", text, re.DOTALL)[1]


@pytest.fixture
def project(cohort, tmp_path, monkeypatch):
    """A project with two trained models' results, and the guide's model installed."""
    cohort.write(tmp_path, {"token": "truth", "late": "collapses"})
    with plugged.installed(tmp_path, monkeypatch, source=guide(), models={"threshold": "Threshold"}):
        yield tmp_path


def call(*arguments, project):
    runner = CliRunner()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project)
        return runner.invoke(main, ["baselines", "--weights", str(project / "weights"), *arguments])


def test_the_guides_model_of_ten_lines_gets_its_row_from_the_command_line(project):
    assert len([line for line in guide().splitlines() if line.strip()]) <= 10
    assert "threshold" in call(project=project).output
    asked = call("run", "threshold", project=project)
    assert asked.exit_code == 0, asked.output
    found = pd.read_parquet(project / "data" / "baselines" / "threshold" / "results.parquet")
    assert (found["contamination"] == "clean").all() and found["dice"].between(0, 1).all()
    assert (found["predicted_mm2"] > 0).all()
    table = call("table", "mine", project=project).output
    row = next(line for line in table.splitlines() if line.startswith("| threshold"))
    assert "installed model, asked about phantoms" in row and "| text |" in row
    assert "| BiomedParse v1 | not run: weights absent (looked for biomedparse_v1.pt in biomedparse/) |" in table


def test_each_protocol_is_a_row_and_its_boxes_are_its_own(project, sam_med2d):
    rows = {}
    for protocol in ("oracle_target", "oracle_parent", "grounder_threshold"):
        folder = evaluate_row(
            "sam_med2d",
            protocol=protocol,
            weights=project / "weights",
            data=project / "data",
            nsd_tolerance_mm=1.0,
        )
        assert folder.name == f"sam_med2d@{protocol}"
        rows[protocol] = pd.read_parquet(folder / "results.parquet")
    assert all((rows[name]["model"] == f"sam_med2d@{name}").all() for name in rows)
    target, parent, text = (rows[name]["predicted_mm2"].tolist() for name in rows)
    assert target != parent and parent != text and target != text
    write_baseline_table(project, project / "out", weights=project / "weights", clean=False)
    frame = pd.read_csv(project / "out" / "table1.csv").set_index("model")
    assert frame.loc[[f"sam_med2d@{name}" for name in rows], "prompting"].tolist() == [
        "oracle box of the target",
        "oracle box of the parent structure",
        "box from text, drawn by threshold",
    ]
    assert (frame.loc[[f"sam_med2d@{name}" for name in rows], "label"] == "SAM-Med2D").all()
    # No row says that its weights are absent, and the paper's own row no longer says that it was not run.
    assert "sam_med2d" not in frame.index
    assert frame.loc["SAM-Med2D", "origin"] == "printed in the paper; asked here in rows of its own"
    assert "not run here" in frame.loc["BiomedParse", "origin"]


def test_a_model_that_reads_text_also_gets_its_composed_row(project, sam_med2d):
    places = {"weights": project / "weights", "data": project / "data", "nsd_tolerance_mm": 1.0}
    plain = evaluate_row("threshold", protocol=None, **places)
    composed = evaluate_row("threshold", protocol=None, reader="strict", **places)
    assert composed.name == "threshold+composed"
    areas = [pd.read_parquet(folder / "results.parquet").set_index("prompt_id") for folder in (plain, composed)]
    assert (areas[0]["predicted_mm2"] != areas[1]["predicted_mm2"]).any()  # "without" and "right" are done, not said
    with pytest.raises(ModelError, match="compose"):
        evaluate_row("sam_med2d", protocol="oracle_target", reader="strict", **places)


def test_a_language_model_s_reading_makes_a_row_of_its_own_that_says_what_was_not_read(project):
    prompts = pd.read_parquet(project / "data/bench/prompts.parquet")
    texts = sorted(prompts.query("split == 'test'")["text"].unique())

    def answer(body: dict) -> dict:
        asked = body["messages"][-1]["content"].removeprefix("Sentence: ")
        return loopback_server.completion("hm" if asked == texts[0] else json.dumps({"program": "organ(kidney)"}))

    with loopback_server.serve() as server:
        server.default = answer
        reader = ["--reader", "server", "--base-url", server.url, "--reader-model", "tiny"]
        found = call("run", "threshold", "--composed", *reader, project=project)
        assert found.exit_code == 0, found.output
        assert len(server.asked) == len(texts) and (project / "answers").is_dir()
        rules = server.asked[0]["messages"][0]["content"]
    assert "organ(kidney)" in rules and "organ(spleen)" not in rules  # only what the collections label
    row = project / "data/baselines/threshold+composed_server"
    assert set(pd.read_parquet(row / "results.parquet")["model"]) == {row.name}
    tally = json.loads((row / "reading.json").read_text(encoding="utf-8"))
    assert tally["composed"] > 0 and tally["fallbacks"] > 0 and list(tally["reasons"]) == texts[:1]
    table = call("table", "mine", project=project).output
    assert "text, composed: its sentences' nouns, reader server" in table


def test_every_absent_baseline_has_a_row_without_a_number_that_says_so(cohort, results, tmp_path):
    absent = absent_rows(tmp_path)
    assert [row["model"] for row in absent] == list(catalogue.CATALOGUE)
    assert all(row["origin"].startswith("not run: weights absent") for row in absent)
    metrics = table1.summarise(cohort.prompts, {"token": results["truth"]}, resamples=20, seed=0, profile="demo")
    frame = table1.table(metrics, absent=absent).set_index("model")
    assert frame.loc[list(catalogue.CATALOGUE), ["l1", "l3", "pss", "prompts", "printed_l1"]].isna().all(axis=None)
    assert not frame.loc["token", ["l1", "l3", "pss"]].isna().any()
    (tmp_path / "sam_med2d").mkdir()
    (tmp_path / "sam_med2d" / "sam-med2d_b.pth").write_bytes(b"")
    named = {row["model"]: row["origin"] for row in absent_rows(tmp_path, asked=["sam@oracle_target"])}
    assert named["sam_med2d"] == "not run: weights present, not asked yet" and "sam" not in named


def test_without_baselines_the_table_is_the_pipelines_own(cohort, results):
    metrics = table1.summarise(cohort.prompts, {"token": results["truth"]}, resamples=20, seed=0, profile="demo")
    pd.testing.assert_frame_equal(table1.table(metrics), table1.table(metrics, described={}, absent=()))


def test_a_row_says_how_many_of_its_cases_were_training_cases():
    flags = pd.DataFrame({"contamination": ["training"] * 3 + ["unknown"] + ["clean"] * 4})
    words = describe_row("biomedparse", flags, origins=["official"])
    assert words["label"] == "BiomedParse v1" and words["prompting"] == "text"
    assert "38% of its prompts come from cases it was trained on; 12% of its prompts" in words["origin"]
    assert "cases it" not in describe_row("biomedparse", flags[4:], origins=["official"])["origin"]


def test_clean_cases_alone_are_kept_for_all_rows(cohort, results):
    prompts = cohort.prompts.assign(origin="official", case_id=lambda rows: "case_0049" + rows["case_id"].str[-1])
    prompts = prompts[prompts["case_id"].str[-1].isin(["0", "1", "2"])]  # case_00490 was trained on
    given = {name: results[habit] for name, habit in (("token", "truth"), ("biomedparse", "collapses"))}
    kept, found = on_clean_cases(prompts, given)
    assert sorted(kept["case_id"].unique()) == ["case_00491", "case_00492"]
    assert all(set(rows["prompt_id"]) == set(kept["prompt_id"]) for rows in found.values())
    with pytest.raises(DataError, match="biomedparse"):
        on_clean_cases(prompts[prompts["case_id"] == "case_00490"], given)


def test_the_clean_table_says_on_how_many_cases_it_stands(project):
    table = write_baseline_table(project, project / "out", weights=project, clean=True)
    assert "Clean cases alone: 6 of 6 test cases" in table


def test_two_models_of_one_name_and_no_results_are_refused(project, tmp_path_factory):
    evaluate_row("threshold", protocol=None, weights=project, data=project / "data", nsd_tolerance_mm=1.0)
    (project / "data" / "baselines" / "threshold").rename(project / "data" / "baselines" / "token")
    with pytest.raises(DataError, match="names of their own"):
        write_baseline_table(project, project / "out", weights=project, clean=False)
    with pytest.raises(DataError, match="prompts.parquet"):
        write_baseline_table(tmp_path_factory.mktemp("empty"), project / "out", weights=project, clean=False)
