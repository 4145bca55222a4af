"""The appendix says yes only to what was checked, and names a command for every claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import tiny_project

from semantiseg.artifact import appendix, numbers, verify
from semantiseg.artifact.appendix import ITEMS
from semantiseg.artifact.verify import Check
from semantiseg.errors import DataError
from semantiseg.paper.claims import read_claims

ROOT = tiny_project.ROOT
NAMES = ("fresh", "published", "tables", "readme", "claims", "rerun", "manifest", "references", "inputs", "cost")


@pytest.fixture(scope="module")
def claims_check() -> Check:
    return Check("claims", "Which claims hold?", *numbers.verdicts(ROOT))


def checks(claims_check: Check, **found: bool | None) -> list[Check]:
    """All checks passed but those named."""
    made = [Check(name, f"{name}?", True, "in short") for name in NAMES if name != "claims"] + [claims_check]
    return [replace(check, passed=found.get(check.name, True)) for check in made]


def row(text: str, beginning: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(beginning))


def test_every_claim_has_verdict_command_resources_and_tolerance(claims_check):
    text = appendix.appendix(ROOT, checks(claims_check))
    for claim in read_claims(ROOT / "claims.yaml"):
        cells = [cell.strip() for cell in row(text, f"| {claim.id} |").strip("|").split("|")]
        assert len(cells) == 5 and all(cells)
    assert "| make reproduce |" in text and "| semantiseg verify |" in text and "| none here |" in text


def test_an_item_is_met_only_if_its_check_passed(claims_check):
    assert "**yes**" in row(appendix.appendix(ROOT, checks(claims_check)), "| ACM | Functional: complete")
    failed = appendix.appendix(ROOT, checks(claims_check, published=False))
    assert "**no**" in row(failed, "| ACM | Functional: complete")
    assert "**not run**" in row(appendix.appendix(ROOT, checks(claims_check, rerun=None)), "| ACM | Reproduced")


def test_what_is_open_is_never_met():
    found: dict[str, bool | None] = dict.fromkeys(NAMES, True)
    assert all(appendix.answer(item, found, ROOT) in ("no", "partly") for item in ITEMS if item.open)
    assert any(item.open for item in ITEMS)


def test_every_item_rests_on_files_that_exist_or_checks_that_are_made(tracked):
    for item in ITEMS:
        assert item.files or item.checks or item.open, item
        assert {Path(name) for name in item.files} <= set(tracked), item
        assert set(item.checks) <= set(NAMES), item


def test_a_missing_file_or_unknown_check_is_not_passed_over(tmp_path):
    item = next(item for item in ITEMS if item.files and not item.open)
    assert appendix.answer(item, dict.fromkeys(NAMES, True), tmp_path) == "no"
    with pytest.raises(DataError, match="weather"):
        appendix.answer(replace(item, checks=("weather",)), dict.fromkeys(NAMES, True), ROOT)


def test_names_are_those_of_verify(monkeypatch):
    monkeypatch.setattr(verify, "answered", lambda name, question, look: Check(name, question, True, ""))
    assert tuple(check.name for check in verify.verify(ROOT)) == NAMES


def test_without_verdicts_there_is_no_appendix():
    with pytest.raises(DataError, match="verdicts"):
        appendix.appendix(ROOT, [Check("claims", "?", False, "could not be checked")])
