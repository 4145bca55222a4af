"""Items of the checklists that reviewers use, each answered by a check of `semantiseg verify` or by a file.

Sources: ACM Artifact Review and Badging v1.1; NeurIPS paper checklist; MICCAI reproducibility checklist; CLAIM, 2024
update (Tejani et al., Radiology: Artificial Intelligence, 2024). Items are paraphrased.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One item: `files` that answer it must exist, `checks` must pass; `open`: something is missing for good."""

    standard: str
    item: str
    answer: str
    files: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    open: bool = False


ITEMS = (
    Item(
        "ACM",
        "Available: in an archival repository with a DOI",
        "`semantiseg release` packs the archive; depositing it and taking the DOI is left to the authors.",
        files=("CITATION.cff", "LICENSE"),
        open=True,
    ),
    Item(
        "ACM",
        "Functional: documented",
        "Start page, architecture, decisions.",
        files=("README.md", "docs/architecture.md", "docs/decisions.md"),
    ),
    Item(
        "ACM", "Functional: consistent with the paper", "Every claim is executed, with its verdict.", checks=("claims",)
    ),
    Item(
        "ACM", "Functional: complete", "Every published file is the output of a recorded stage.", checks=("published",)
    ),
    Item(
        "ACM",
        "Functional: exercisable",
        "One command on a machine with Python 3.11.",
        files=("Makefile", "requirements.lock"),
    ),
    Item(
        "ACM",
        "Reproduced: main results obtained again",
        "The table below gives command and tolerance for each claim; `semantiseg verify --against FOLDER` compares.",
        checks=("rerun",),
    ),
    Item("NeurIPS", "Claims match the evidence", "Verdicts below, computed from metrics.json.", checks=("claims",)),
    Item(
        "NeurIPS",
        "Limitations are discussed",
        "Phantoms only: 'What this is not'.",
        files=("README.md", "docs/model_card.md"),
    ),
    Item(
        "NeurIPS",
        "All details for reproducing the results",
        "Parameters and stages are recorded with checksums.",
        files=("params.yaml", "dvc.yaml"),
        checks=("fresh",),
    ),
    Item(
        "NeurIPS",
        "Open access to data and code",
        "Phantoms are drawn from a seed; code is in the archive.",
        checks=("inputs",),
    ),
    Item("NeurIPS", "Error bars, with their method", "95% percentile bootstrap over patients.", checks=("tables",)),
    Item("NeurIPS", "Compute: hardware, memory, time per run", "Run record, stage by stage.", checks=("cost",)),
    Item("NeurIPS", "Compute: total, with failed and preliminary runs", "Not recorded.", open=True),
    Item("NeurIPS", "Licences of existing assets", "Phantoms CC0-1.0; code Apache-2.0.", files=("LICENSE",)),
    Item(
        "MICCAI",
        "Model, training and evaluation code",
        "One notebook a stage.",
        files=("notebooks/05_train.ipynb", "notebooks/06_evaluate.ipynb"),
    ),
    Item("MICCAI", "Dependencies", "Every version is pinned.", files=("requirements.lock", "environment.yml")),
    Item("MICCAI", "Trained weights", "In the release, with a model card.", files=("docs/model_card.md",)),
    Item("MICCAI", "Table of results with the command that makes it", "README, filled from files.", checks=("readme",)),
    Item(
        "MICCAI",
        "Data: cohort, split, preparation",
        "Executed notebooks.",
        files=("notebooks/rendered/01_fetch.ipynb", "notebooks/rendered/02_prepare.ipynb"),
    ),
    Item(
        "CLAIM",
        "Data sources and their dates",
        "Origin and checksum of each input; phantoms have no date of acquisition.",
        checks=("inputs",),
    ),
    Item(
        "CLAIM",
        "Partitions disjoint at the level of patients",
        "Split by patient, tested.",
        files=("tests/data/test_split.py",),
    ),
    Item(
        "CLAIM",
        "Reference standard and its rationale",
        "The phantoms' own label maps; programs over them.",
        files=("notebooks/rendered/03_prompts.ipynb",),
    ),
    Item("CLAIM", "Annotators, their qualification, and variability", "No person annotated phantoms.", open=True),
    Item("CLAIM", "Statistical measures with uncertainty", "Dice, NSD, HD95, PSS with intervals.", checks=("tables",)),
    Item(
        "CLAIM",
        "Failure analysis",
        "Collapse rate, absent targets, worst paraphrases; single cases in the notebooks.",
        files=("notebooks/rendered/06_evaluate-token.ipynb",),
    ),
    Item("CLAIM", "Testing on external data", "None: no images of patients are shipped or downloaded.", open=True),
)
