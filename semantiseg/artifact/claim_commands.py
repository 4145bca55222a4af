"""For every claim of the paper: which command decides it, what that takes, and within which tolerance."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantiseg.artifact.provenance import read_run
from semantiseg.execution import clock
from semantiseg.report.claims import read_claims

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
