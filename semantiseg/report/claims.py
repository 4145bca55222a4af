"""The paper's claims, each with the verdict that its check computes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from semantiseg import document, markup
from semantiseg.errors import DataError
from semantiseg.report.claim_checks import CHECKS
from semantiseg.report.finding import Finding
from semantiseg.report.style import origin_name

Kind = Literal["arithmetic", "definition", "count", "result", "citation"]


@dataclass(frozen=True)
class Claim:
    """One claim of the paper.

    Attributes:
        id: unique, in words.
        quotation: what the paper says.
        place: where it says so.
        kind: how it can be tested.
        check: name of a function of `claim_checks`.
        arguments: of that function.
        note: what a reader needs to judge the verdict, or "".
    """

    id: str
    quotation: str
    place: str
    kind: Kind
    check: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def _claim(entry: Any, path: Path) -> Claim:
    name = entry.get("id", entry) if isinstance(entry, Mapping) else entry
    known = set(inspect.signature(Claim).parameters)
    required = known - {"arguments", "note"}
    if not isinstance(entry, Mapping) or not required <= set(entry) <= known:
        raise DataError(
            f"{path}, claim {name!r}: expected the keys {sorted(known)}, got "
            f"{sorted(entry) if isinstance(entry, Mapping) else entry}."
        )
    claim = Claim(**entry)
    if claim.kind not in get_args(Kind):
        raise DataError(f"{path}, claim {name!r}: expected a kind among {get_args(Kind)}, got {claim.kind!r}.")
    if claim.check not in CHECKS:
        raise DataError(
            f"{path}, claim {name!r}: expected a check of report/claim_checks.py, got {claim.check!r}. Known: "
            f"{sorted(CHECKS)}."
        )
    wanted = set(inspect.signature(CHECKS[claim.check]).parameters) - {"metrics"}
    if set(claim.arguments) != wanted:
        raise DataError(
            f"{path}, claim {name!r}: expected the arguments {sorted(wanted)} of {claim.check}, got "
            f"{sorted(claim.arguments)}."
        )
    return claim


def read_claims(path: Path) -> list[Claim]:
    """Read `claims.yaml`.

    Raises:
        DataError: it cannot be read, an id occurs twice, or a claim has wrong keys, kind, check or arguments; the
            claim is named.
    """
    entries = document.values(path, error=DataError)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a list of claims, got {type(entries).__name__}. Restore it from Git.")
    claims = [_claim(entry, path) for entry in entries]
    names = [claim.id for claim in claims]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: expected ids that occur once, got {twice} repeated. Rename them.")
    return claims


def verdict(finding: Finding, origin: str) -> str:
    """A finding in words: holds, fails, cannot be told apart, each with the images that decided it; not testable here.

    Two models are told apart only where neither other patients nor other seeds would have had it the other way.
    """
    if finding.holds is None and finding.apart:
        return "not testable here"
    words = "cannot be told apart" if not finding.apart else "holds" if finding.holds else "fails"
    return f"{words} on {finding.origin or origin}" if finding.measured else words


def check_claims(claims: Sequence[Claim], metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Run every check.

    Args:
        claims: from `read_claims`.
        metrics: the content of `metrics.json`.

    Returns:
        One row a claim: id, verdict, quotation, place, kind, printed, computed, note, check.
    """
    origin = origin_name(metrics["bench"]["origins"])
    rows = []
    for claim in claims:
        finding = CHECKS[claim.check](**claim.arguments, metrics=metrics)
        computed = f"would take: {finding.computed}" if finding.holds is None and finding.apart else finding.computed
        rows.append(
            {
                "id": claim.id,
                "verdict": verdict(finding, origin),
                "quotation": claim.quotation,
                "place": claim.place,
                "kind": claim.kind,
                "printed": finding.printed,
                "computed": computed,
                "note": claim.note,
                "check": claim.check,
            }
        )
    return pd.DataFrame.from_records(rows)


def tally(table: pd.DataFrame) -> str:
    """How many claims got which verdict, in one sentence."""
    counts = table["verdict"].value_counts().sort_index()
    return f"{len(table)} claims: " + ", ".join(f"{name} {count}" for name, count in counts.items()) + "."


def markdown(table: pd.DataFrame) -> str:
    """The claims as a Markdown table below their tally."""
    head, rows = ("Claim", "Place", "Kind", "Printed", "Computed here", "Verdict"), []
    for row in table.to_dict("records"):
        computed = f"{row['computed']}. {row['note']}" if row["note"] else row["computed"]
        rows.append(
            (f"“{row['quotation']}”", row["place"], row["kind"], row["printed"], computed, f"**{row['verdict']}**")
        )
    return "\n".join([tally(table), "", *markup.markdown_table(head, rows)]) + "\n"


def write(claims_path: Path, metrics_path: Path, folder: Path) -> pd.DataFrame:
    """Check every claim and write `claims.csv` and `claims.md` into `folder`.

    Raises:
        DataError: `claims.yaml` is wrong, or there are no metrics.
    """
    try:
        metrics = json.loads(metrics_path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"{metrics_path}: expected the numbers of this run, got {error}. Run the stage 'table1'."
        ) from None
    table = check_claims(read_claims(claims_path), metrics)
    folder.mkdir(parents=True, exist_ok=True)
    table.to_csv(folder / "claims.csv", index=False, lineterminator="\n")
    (folder / "claims.md").write_text(markdown(table), encoding="utf-8")
    return table
