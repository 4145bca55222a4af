"""The artifact appendix: checklists answered and a command for every claim, from what `semantiseg verify` found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semantiseg import __version__, markup
from semantiseg.artifact.check import Check
from semantiseg.artifact.checklist import ITEMS, Item
from semantiseg.artifact.claim_commands import claim_commands
from semantiseg.artifact.provenance import read_run
from semantiseg.errors import DataError
from semantiseg.execution import clock

TITLE = "# Artifact appendix"


def answer(item: Item, found: dict[str, bool | None], root: Path) -> str:
    """ "yes", "no", "partly" or "not run": an item is answered yes only if its files are there and its checks passed.

    Raises:
        DataError: the item names a check that `semantiseg verify` does not have.
    """
    unknown = sorted(set(item.checks) - set(found))
    if unknown:
        raise DataError(f"checklist item {item.item!r}: expected checks among {sorted(found)}, got {unknown}.")
    if any(found[name] is False for name in item.checks) or not all((root / name).exists() for name in item.files):
        return "no"
    if any(found[name] is None for name in item.checks):
        return "not run"
    return "partly" if item.open and item.files else "no" if item.open else "yes"


def appendix(root: Path, checks: Sequence[Check]) -> str:
    """The appendix in Markdown.

    Args:
        root: the project.
        checks: what `verify` found in it.
    """
    facts: dict[str, Any] = {check.name: check.facts for check in checks}
    if not facts.get("claims"):
        raise DataError("artifact appendix: expected verdicts, got none. See what `semantiseg verify` says of claims.")
    verdicts = {row["id"]: row["verdict"] for row in facts["claims"]}
    lines = [
        TITLE,
        "",
        f"SemantiSeg {__version__}. Written by `semantiseg badge` from what `semantiseg verify` found; do not edit.",
        "",
        *_resources(root),
        *_found(checks),
        *_items({check.name: check.passed for check in checks}, root),
        *_claims(root, verdicts),
    ]
    return "\n".join(lines) + "\n"


def _resources(root: Path) -> list[str]:
    run = read_run(root)
    return [
        "## Resources",
        "",
        f"The whole pipeline (`make reproduce`): {clock(run['seconds'])}, at most {run['peak_gib']:.1f} GiB of memory, "
        f"{run['cores']} cores ({run['cpu']}). Nothing is downloaded but Python packages.",
        "",
    ]


def _found(checks: Sequence[Check]) -> list[str]:
    words = {True: "yes", False: "no", None: "not run"}
    rows = [(check.question, f"**{words[check.passed]}**", check.summary) for check in checks]
    return ["## What was checked", "", *markup.markdown_table(("Question", "Answer", "In short"), rows), ""]


def _items(found: dict[str, bool | None], root: Path) -> list[str]:
    rows = []
    for item in ITEMS:
        evidence = ", ".join([f"`{name}`" for name in item.files] + [f"check `{name}`" for name in item.checks])
        verdict = answer(item, found, root)
        written = map(markup.Markdown, (item.standard, item.item, f"**{verdict}**", item.answer, evidence))
        rows.append(tuple(written))
    head = ("Standard", "Item", "Met", "How", "Evidence")
    return ["## Checklists", "", *markup.markdown_table(head, rows), ""]


def _claims(root: Path, verdicts: dict[str, str]) -> list[str]:
    rows = [
        (entry.id, entry.verdict, markup.Markdown(entry.command), entry.resources, entry.tolerance)
        for entry in claim_commands(root, verdicts)
    ]
    head = ("Claim", "Verdict", "Command", "Takes", "Tolerance")
    return ["## Claims", "", *markup.markdown_table(head, rows)]
