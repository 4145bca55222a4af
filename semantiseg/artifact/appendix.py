"""For every claim of the paper: which command decides it, what that takes, and within which tolerance.

Items of the checklists that reviewers use, each answered by a check of `semantiseg verify` or by a file.

Sources: ACM Artifact Review and Badging v1.1; NeurIPS paper checklist; MICCAI reproducibility checklist; CLAIM, 2024
update (Tejani et al., Radiology: Artificial Intelligence, 2024). Items are paraphrased.

The artifact appendix: checklists answered and a command for every claim, from what `semantiseg verify` found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantiseg import __version__, markup
from semantiseg.artifact.verify import Check, read_run
from semantiseg.errors import DataError
from semantiseg.paper.claims import read_claims
from semantiseg.pipeline.execution import clock

_TRAINED = "make reproduce"
_COMPUTED = "semantiseg verify"
_TOLERANCE = "the spread of honest runs (none on the same machine)"
"""`result` and `count` claims rest on the whole pipeline; the others are decided from committed files."""


@dataclass(frozen=True)
class ClaimCommand:
    """How one claim is checked: `resources` are measured on the machine of the run's record."""

    id: str
    verdict: str
    command: str
    resources: str
    tolerance: str


def claim_commands(root: Path, verdicts: dict[str, str]) -> list[ClaimCommand]:
    """One entry a claim, in the order of claims.yaml.

    Args:
        root: the project.
        verdicts: claim id -> verdict, computed.

    Raises:
        DataError: no claims or no run record.
    """
    run = read_run(root)
    whole = f"{clock(run['seconds'])}, {run['peak_gib']:.1f} GiB, {run['cores']} cores"
    stage: dict[str, Any] = next((entry for entry in run["stages"] if entry["stage"] == "claims"), {})
    alone = "seconds" if not stage.get("seconds") else f"{clock(stage['seconds'])}, {stage['peak_mib']} MiB"
    entries = []
    for claim in read_claims(root / "claims.yaml"):
        verdict = verdicts[claim.id]
        if verdict == "not testable here":
            takes = str(claim.arguments.get("resources", "see what it would take in figures/claims.md"))
            entries.append(ClaimCommand(claim.id, verdict, "none here", takes, "none"))
        elif " on " in verdict:
            entries.append(ClaimCommand(claim.id, verdict, _TRAINED, whole, _TOLERANCE))
        else:
            entries.append(ClaimCommand(claim.id, verdict, _COMPUTED, alone, "exact"))
    return entries


@dataclass(frozen=True)
class ChecklistItem:
    """One item: `files` that answer it must exist, `checks` must pass; `open`: something is missing for good."""

    standard: str
    item: str
    answer: str
    files: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    open: bool = False


ITEMS = (
    ChecklistItem(
        "ACM",
        "Available: in an archival repository with a DOI",
        "`semantiseg release` packs the archive; depositing it and taking the DOI is left to the authors.",
        files=("CITATION.cff", "LICENSE"),
        open=True,
    ),
    ChecklistItem(
        "ACM",
        "Functional: documented",
        "Start page, architecture, decisions.",
        files=("README.md", "docs/architecture.md", "docs/decisions.md"),
    ),
    ChecklistItem(
        "ACM", "Functional: consistent with the paper", "Every claim is executed, with its verdict.", checks=("claims",)
    ),
    ChecklistItem(
        "ACM", "Functional: complete", "Every published file is the output of a recorded stage.", checks=("published",)
    ),
    ChecklistItem(
        "ACM",
        "Functional: exercisable",
        "One command on a machine with Python 3.11.",
        files=("Makefile", "requirements.lock"),
    ),
    ChecklistItem(
        "ACM",
        "Reproduced: main results obtained again",
        "The table below gives command and tolerance for each claim; `semantiseg verify --against FOLDER` compares.",
        checks=("rerun",),
    ),
    ChecklistItem(
        "NeurIPS", "Claims match the evidence", "Verdicts below, computed from metrics.json.", checks=("claims",)
    ),
    ChecklistItem(
        "NeurIPS",
        "Limitations are discussed",
        "Phantoms only: 'What this is not'.",
        files=("README.md", "docs/model_card.md"),
    ),
    ChecklistItem(
        "NeurIPS",
        "All details for reproducing the results",
        "Parameters and stages are recorded with checksums.",
        files=("params.yaml", "dvc.yaml"),
        checks=("fresh",),
    ),
    ChecklistItem(
        "NeurIPS",
        "Open access to data and code",
        "Phantoms are drawn from a seed; code is in the archive.",
        checks=("inputs",),
    ),
    ChecklistItem(
        "NeurIPS", "Error bars, with their method", "95% percentile bootstrap over patients.", checks=("tables",)
    ),
    ChecklistItem(
        "NeurIPS", "Compute: hardware, memory, time per run", "Run record, stage by stage.", checks=("cost",)
    ),
    ChecklistItem("NeurIPS", "Compute: total, with failed and preliminary runs", "Not recorded.", open=True),
    ChecklistItem("NeurIPS", "Licences of existing assets", "Phantoms CC0-1.0; code Apache-2.0.", files=("LICENSE",)),
    ChecklistItem(
        "MICCAI",
        "Model, training and evaluation code",
        "One notebook a stage.",
        files=("notebooks/05_train.ipynb", "notebooks/06_evaluate.ipynb"),
    ),
    ChecklistItem("MICCAI", "Dependencies", "Every version is pinned.", files=("requirements.lock", "environment.yml")),
    ChecklistItem("MICCAI", "Trained weights", "In the release, with a model card.", files=("docs/model_card.md",)),
    ChecklistItem(
        "MICCAI", "Table of results with the command that makes it", "README, filled from files.", checks=("readme",)
    ),
    ChecklistItem(
        "MICCAI",
        "Data: cohort, split, preparation",
        "Executed notebooks.",
        files=("notebooks/rendered/01_fetch.ipynb", "notebooks/rendered/02_prepare.ipynb"),
    ),
    ChecklistItem(
        "CLAIM",
        "Data sources and their dates",
        "Origin and checksum of each input; phantoms have no date of acquisition.",
        checks=("inputs",),
    ),
    ChecklistItem(
        "CLAIM",
        "Partitions disjoint at the level of patients",
        "Split by patient, tested.",
        files=("tests/data/test_split.py",),
    ),
    ChecklistItem(
        "CLAIM",
        "Reference standard and its rationale",
        "The phantoms' own label maps; programs over them.",
        files=("notebooks/rendered/03_prompts.ipynb",),
    ),
    ChecklistItem(
        "CLAIM", "Annotators, their qualification, and variability", "No person annotated phantoms.", open=True
    ),
    ChecklistItem(
        "CLAIM", "Statistical measures with uncertainty", "Dice, NSD, HD95, PSS with intervals.", checks=("tables",)
    ),
    ChecklistItem(
        "CLAIM",
        "Failure analysis",
        "Collapse rate, absent targets, worst paraphrases; single cases in the notebooks.",
        files=("notebooks/rendered/06_evaluate-token.ipynb",),
    ),
    ChecklistItem(
        "CLAIM", "Testing on external data", "None: no images of patients are shipped or downloaded.", open=True
    ),
)


TITLE = "# Artifact appendix"


def answer(item: ChecklistItem, found: dict[str, bool | None], root: Path) -> str:
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
