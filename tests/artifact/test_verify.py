"""The reviewer's check finds one changed digit wherever it stands, and needs no data."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tiny_project

from semantiseg import document
from semantiseg.artifact import numbers, published, rerun, verify
from semantiseg.artifact.verify import Check, answered

ROOT = tiny_project.ROOT
PUBLIC = ("README.md", "dvc.lock", "dvc.yaml", "params.yaml", "claims.yaml", "requirements.lock", "pyproject.toml")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """What a bare clone holds of the results: Git's files, no data."""
    for name in PUBLIC:
        shutil.copy2(ROOT / name, tmp_path)
    for name in ("figures", "notebooks", "benchmarks"):
        shutil.copytree(ROOT / name, tmp_path / name)
    # Between a change and the next whole run the record is of an older lock; what verify says of that is tested below.
    record = tmp_path / rerun.COMMITTED_RUN
    lock = hashlib.sha256((tmp_path / "dvc.lock").read_bytes()).hexdigest()
    record.write_text(json.dumps(json.loads(record.read_text()) | {"lock": lock, "complete": True}))
    start = tmp_path / "README.md"
    start.write_text(numbers.fill_blocks(start.read_text(encoding="utf-8"), tmp_path), encoding="utf-8")
    return tmp_path


def change_digit(path: Path, position: int) -> None:
    """Raise the digit at a position by one (9 becomes 0)."""
    text = path.read_text(encoding="utf-8")
    assert text[position].isdigit()
    path.write_text(f"{text[:position]}{(int(text[position]) + 1) % 10}{text[position + 1 :]}", encoding="utf-8")


def digits(path: Path) -> list[int]:
    return [match.start() for match in re.finditer(r"\d", path.read_text(encoding="utf-8"))]


def answers(root: Path) -> dict[str, bool | None]:
    """Every check but `fresh` and `claims`, which take seconds."""
    return {
        "published": published.check_published(root)[0],
        "tables": numbers.tables(root)[0],
        "readme": numbers.start_page(root)[0],
        "inputs": verify.inputs(root)[0],
        "cost": verify.cost(root)[0],
    }


def test_the_committed_results_pass_without_data(copy):
    assert set(answers(copy).values()) == {True}


@pytest.mark.parametrize(
    ("name", "seen_by"),
    [
        ("README.md", {"readme"}),
        ("figures/table1.csv", {"published", "tables"}),
        ("figures/metrics.json", {"published", "tables"}),
        ("figures/variables.json", {"published", "tables"}),
    ],
)
def test_one_changed_digit_of_a_published_number_fails(copy, name, seen_by):
    text = (copy / name).read_text(encoding="utf-8")
    change_digit(copy / name, text.index("0.8") + 2)
    assert {check for check, passed in answers(copy).items() if not passed} >= seen_by


def test_every_single_digit_in_the_filled_blocks_of_the_readme_counts(copy):
    path, text = copy / "README.md", (copy / "README.md").read_text(encoding="utf-8")
    inside = [at for block in re.finditer(r"<!-- begin \w+ -->\n(.*?)<!-- end", text, re.DOTALL) for at in
              (block.start(1) + match.start() for match in re.finditer(r"\d", block[1]))]  # fmt: skip
    assert len(inside) > 150
    for position in inside[::5]:
        path.write_text(text, encoding="utf-8")
        change_digit(path, position)
        assert not numbers.start_page(copy)[0], text[position - 20 : position + 20]


def test_a_number_typed_into_prose_is_named_with_its_line(copy):
    path = copy / "README.md"
    path.write_text(path.read_text(encoding="utf-8") + "\nThe token gate reaches 0.99.\n", encoding="utf-8")
    passed, _, problems, _ = numbers.start_page(copy)
    line = len(path.read_text(encoding="utf-8").splitlines())
    assert not passed and problems == [f"README.md, line {line}: 0.99 is in no file; fill it from one"]


def test_labels_code_links_and_names_are_no_numbers():
    text = "Table 1 on KiTS23 ([01](a/2.md)), Python 3.11, `x = 5`, Apache-2.0\n```\n7\n```\n1. first\n"
    assert numbers.untraced(text, known={"3.11"}) == []
    assert numbers.untraced(text + "in 12 minutes", known=set()) == [(1, "3.11"), (6, "12")]


def test_a_digit_changed_with_its_checksum_is_still_found(copy):
    """Someone who mends dvc.lock too is caught by the tables, which no longer follow from metrics.json."""
    path = copy / "figures/metrics.json"
    text = path.read_text(encoding="utf-8")
    change_digit(path, text.index('"value": 0.8', text.index('"l1"')) + len('"value": 0.8'))
    lock = document.read_document(copy / "dvc.lock")
    for name in ("table1", "publish"):
        for out in lock["stages"][name]["outs"]:
            target = Path("figures") / Path(out["path"]).name if name == "table1" else Path(out["path"])
            if (copy / target).exists():
                out["md5"] = published.dvc_checksum(copy / target)
    (copy / "dvc.lock").write_text(document.document_text(lock))
    assert published.check_published(copy)[0] and not numbers.tables(copy)[0]


def test_an_absent_or_additional_published_file_is_named(copy):
    (copy / "figures/fig1.png").unlink()
    (copy / "figures/extra.csv").write_text("a\n")
    passed, _, problems, _ = published.check_published(copy)
    assert not passed and any("fig1.png: absent" in line for line in problems)
    assert any("extra.csv: no stage makes it" in line for line in problems)


def test_an_edited_claim_changes_the_verdicts(copy):
    path = copy / "claims.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("printed: 0.29}", "printed: 0.19}", 1), encoding="utf-8")
    passed, summary, problems, _ = numbers.verdicts(copy)
    assert not passed and any("claims.csv: line 2" in line for line in problems) and "claims:" in summary


def test_images_of_another_origin_than_the_metrics_name_are_reported(copy):
    path = copy / "params.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("source: phantom", "source: folder "), encoding="utf-8")
    assert not verify.inputs(copy)[0]


def test_a_run_record_of_another_lock_is_reported(copy):
    (copy / "dvc.lock").write_text((copy / "dvc.lock").read_text() + "\n")
    assert not verify.cost(copy)[0]


def test_a_check_that_cannot_look_fails_and_says_why(copy):
    (copy / "figures/metrics.json").write_text("{")
    check = answered("tables", "?", lambda: numbers.tables(copy))
    assert check.passed is False and "metrics.json: expected" in check.details[0]


def test_exit_depends_on_failures_only_and_json_holds_everything():
    checks = [Check("a", "A?", True, "fine"), Check("b", "B?", None, "not here")]
    assert verify.passed(checks) and not verify.passed([*checks, Check("c", "C?", False, "bad", ["why"])])
    record = json.loads(json.dumps(verify.as_record([*checks, Check("c", "C?", False, "bad", ["why"])], ROOT)))
    assert not record["passed"] and [check["name"] for check in record["checks"]] == ["a", "b", "c"]
    assert "why" in verify.page([Check("c", "C?", False, "bad", ["why"])], ROOT)


def test_checksums_are_those_of_dvc(tiny):
    command = "mkdir -p d/e && echo 1 > d/b && echo 2 > d/e/a && echo 3 > d/e.x && echo 4 > f"
    root = tiny(stages=f"stages:\n  a:\n    cmd: {command}\n    outs: [d, f]\n")
    assert tiny_project.run("-m", "dvc", "repro", cwd=root).returncode == 0
    for path, output in published.outputs(root).items():
        assert published.dvc_checksum(root / path) == output.md5


def test_a_bare_clone_is_verified_by_one_command(tmp_path):
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a Git checkout")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", "--depth=1", f"file://{ROOT}", clone], check=True)
    answer = tiny_project.run("-m", "semantiseg.cli", "verify", "--json", cwd=clone)
    record = json.loads(answer.stdout)
    found = {check["name"]: check["passed"] for check in record["checks"]}
    assert answer.returncode == (0 if record["passed"] else 1) and len(record["commit"]) == 40
    assert set(found) == {
        "fresh", "published", "tables", "readme", "claims", "rerun", "manifest", "references", "inputs", "cost",
    }  # fmt: skip
    assert found["published"] and found["rerun"] is None
    assert not any("could not be checked" in check["summary"] for check in record["checks"])


def test_a_run_in_several_calls_has_no_time_of_its_own(copy):
    path = copy / rerun.COMMITTED_RUN
    path.write_text(json.dumps(json.loads(path.read_text()) | {"complete": False}))
    assert verify.cost(copy)[0] is None
