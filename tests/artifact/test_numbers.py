"""The README's numbers come from files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from semantiseg.artifact.numbers import fill_blocks
from semantiseg.errors import DataError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "figures").mkdir()
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "figures" / "claims.md").write_text("2 claims: holds 1, fails 1.\n", encoding="utf-8")
    claims = "id,quotation,computed,verdict\nword-order-matters,words,0.5. A note.,holds\nother,others,0.7,fails\n"
    (tmp_path / "figures" / "claims.csv").write_text(claims, encoding="utf-8")
    run = {"seconds": 90, "peak_gib": 1.26, "cores": 2, "cpu": "a processor"}
    (tmp_path / "benchmarks" / "demo_run.json").write_text(json.dumps(run), encoding="utf-8")
    return tmp_path


def test_a_block_is_replaced_and_the_rest_left_alone(project):
    text = "before\n<!-- begin claims -->\n| 0.9 |\n<!-- end claims -->\nafter\n"
    filled = fill_blocks(text, project)
    table = "| Claim | Computed here | Verdict |\n|---|---|---|\n| “words” | 0.5 | holds |"
    begin = "<!-- begin claims -->\n2 claims: holds 1, fails 1.\n\n"
    assert filled == f"before\n{begin}{table}\n<!-- end claims -->\nafter\n"
    assert fill_blocks(filled, project) == filled


def test_cost_is_read_from_the_run(project):
    assert "1.5 minutes and at most 1.3 GiB" in fill_blocks("<!-- begin cost -->\n<!-- end cost -->\n", project)


@pytest.mark.parametrize("text", ["<!-- begin weather -->\n<!-- end weather -->", "<!-- begin claims -->\n"])
def test_a_marker_that_cannot_be_filled_is_named(project, text):
    with pytest.raises(DataError, match=r"README\.md: expected"):
        fill_blocks(text, project)


def test_the_start_page_is_short_and_narrow():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    widest = max(line.count("|") - 1 for line in text.splitlines() if line.startswith("|"))
    assert len(text.splitlines()) <= 150 and len(text.encode()) <= 9 * 1024 and widest <= 6


def test_the_committed_readme_holds_the_committed_numbers():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert fill_blocks(text, ROOT) == text, "run `semantiseg readme` and commit README.md"
