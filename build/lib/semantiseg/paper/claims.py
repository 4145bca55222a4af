"""The checks that `claims.yaml` names: each recomputes one claim from what the paper prints, from the code, or from
this run.

A check takes its arguments by keyword, and `metrics` (the content of `metrics.json`) beside them.

The paper's claims, each with the verdict that its check computes.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from math import prod
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from semantiseg import document, markup
from semantiseg.data.split import few_patients
from semantiseg.errors import DataError
from semantiseg.evaluation import ablation_record
from semantiseg.paper import claim_evidence
from semantiseg.paper.claim_evidence import NAMES, Finding, Metrics, statistic_of, untrained, words_of
from semantiseg.paper.style import origin_name
from semantiseg.paper.table1 import tested
from semantiseg.paper.table_text import number


def _pss(l1: float, l3: float) -> Decimal:
    # Decimals as printed: 0.86 - 0.81 must be 0.05, not 0.0499...
    first, third = Decimal(str(l1)), Decimal(str(l3))
    return (first - third) / first


def _rounded(value: Decimal, digits: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)


def _pss_range(l1: float, l3: float) -> str:
    """The PSS values that unrounded scores could have had, given two printed digits."""
    half = Decimal("0.005")
    first, third = Decimal(str(l1)), Decimal(str(l3))
    low = (first - half - (third + half)) / (first - half)
    high = (first + half - (third - half)) / (first + half)
    return f"scores that round to these digits allow {_rounded(low, 3)} to {_rounded(high, 3)}"


def printed_pss(*, l1: float, l3: float, printed: float, metrics: Metrics) -> Finding:
    """Is the printed PSS that of the printed Dice?"""
    value = _pss(l1, l3)
    holds = _rounded(value, 2) == Decimal(str(printed))
    words = f"({l1:.2f} - {l3:.2f}) / {l1:.2f} = {_rounded(value, 3)}"
    return Finding(holds, f"{printed:.2f}", words if holds else f"{words}; {_pss_range(l1, l3)}")


def pss_below(*, l1: float, l3: float, bound: float, metrics: Metrics) -> Finding:
    """Is the PSS of the printed Dice below a bound?"""
    value = _pss(l1, l3)
    return Finding(value < Decimal(str(bound)), f"< {bound:g}", f"{_rounded(value, 3)}; {_pss_range(l1, l3)}")


def largest(*, values: Mapping[str, float], printed: float, metrics: Metrics) -> Finding:
    """Is a printed maximum the largest of the printed values?"""
    name = max(values, key=lambda key: values[key])
    return Finding(values[name] == printed, f"up to {printed:g}", f"largest printed value {values[name]:g} ({name})")


def relative_losses(*, dice: Mapping[str, Sequence[float]], percent: int, metrics: Metrics) -> Finding:
    """Does every model lose the printed share of its L1 Dice?"""
    losses = {name: int(_rounded(100 * _pss(*pair), 0)) for name, pair in dice.items()}
    words = ", ".join(f"{name} {loss}%" for name, loss in losses.items())
    return Finding(all(loss == percent for loss in losses.values()), f"{percent}%", words)


def product(*, factors: Sequence[int], printed: int, metrics: Metrics) -> Finding:
    """Do the factors multiply to the printed count?"""
    return Finding(
        prod(factors) == printed,
        f"{printed:,}",
        f"{' x '.join(f'{factor:,}' for factor in factors)} = {prod(factors):,}",
    )


def more_than(*, value: int, bound: int, metrics: Metrics) -> Finding:
    """Is a printed count above a printed bound?"""
    return Finding(value > bound, f"> {bound:,}", f"{value:,}")


def reachable_volumes(
    *, printed: int, cases: Mapping[str, int], channels: Mapping[str, int], met_channels: int, metrics: Metrics
) -> Finding:
    """Do the collections hold as many labelled volumes as printed: as cases, or as single channels?"""
    as_cases, as_channels = sum(cases.values()), sum(channels.values())
    words = (
        f"{as_cases:,} labelled cases; {as_channels:,} if every MR channel counts as a volume "
        f"({as_channels - printed:+,}), {as_channels + met_channels:,} with BraTS-MET"
    )
    return Finding(as_cases >= printed, f"{printed:,}", words)


def bench_structures(*, structures: int, modalities: Sequence[str], metrics: Metrics) -> Finding:
    """How many structures and modalities do this run's core prompts cover?"""
    found = metrics["bench"]
    holds = len(found["structures"]) == structures and found["modalities"] == sorted(modalities)
    words = f"{len(found['structures'])} structures in {' and '.join(found['modalities'])}"
    return Finding(holds, f"{structures} in {' and '.join(modalities)}", words, measured=True)


def bench_balanced(*, metrics: Metrics) -> Finding:
    """Are this run's core prompts as many at each level?"""
    counts = metrics["bench"]["core_by_level"]
    return Finding(
        len(set(counts.values())) == 1, "1:1:1", ":".join(str(counts[level]) for level in sorted(counts)), measured=True
    )


def bench_prompts_per_volume(*, printed: int, metrics: Metrics) -> Finding:
    """How many core prompts does a volume of this run carry?"""
    prompts, volumes = sum(metrics["bench"]["core_by_level"].values()), metrics["bench"]["volumes"]
    if not volumes:
        return Finding(None, f"{printed} a volume", "a benchmark with core prompts", measured=True)
    words = f"{prompts:,} / {volumes:,} = {prompts / volumes:.2f}"
    return Finding(prompts == printed * volumes, f"{printed} a volume", words, measured=True)


def announced_are_reported(*, announced: Sequence[str], reported: Sequence[str], metrics: Metrics) -> Finding:
    """Does everything announced appear among the results?"""
    missing = [name for name in announced if name not in reported]
    return Finding(
        not missing, ", ".join(announced), f"not reported: {', '.join(missing)}" if missing else "all reported"
    )


def reads_text(*, model: str, inputs: Sequence[str], metrics: Metrics) -> Finding:
    """Does a model whose sensitivity to wording is printed read words at all?"""
    words = f"{model} takes {', '.join(inputs)}"
    box = metrics["models"].get("box")
    if box and box["core"]["pss"]["value"] is not None:
        core = box["core"]
        words += (
            f"; the box model trained here reads none either and shows L1 {number(core['l1']['value'])}, "
            f"L3 {number(core['l3']['value'])}, PSS {number(core['pss']['value'], digits=3)} on {_origins(metrics)}"
        )
    return Finding("text" in inputs, "a prompt sensitivity", words)


def _origins(metrics: Metrics) -> str:
    return origin_name(metrics["bench"]["origins"])


def _bounded(printed: str, words: str, *, margin: float, statistic: str) -> Finding:
    """A trained number against a bound: `margin` is positive where the claim holds."""
    # A run's standard deviation is the difference's over the root of two, so that twice is almost three of them.
    room = 2 * ablation_record.root_mean_square(ablation_record.between_seeds(statistic))
    if abs(margin) <= room:
        words += f"; nearer to the bound than runs lie to one another ({number(room, digits=3)})"
        return Finding(None, printed, words, measured=True, apart=False)
    return Finding(margin > 0, printed, words, measured=True)


def model_below(*, model: str, statistic: str, bound: float, metrics: Metrics) -> Finding:
    """Is a trained model's number below a bound, whatever the run? The Dice stands beside every PSS."""
    found, printed = statistic_of(metrics, model, statistic), f"{NAMES[statistic]} < {bound:g}"
    if found is None:
        return untrained(printed, model)
    core = metrics["models"][model]["core"]
    beside = f" (L1 {number(core['l1']['value'])}, L3 {number(core['l3']['value'])})" if statistic == "pss" else ""
    words = f"{NAMES[statistic]} {words_of(statistic, found)}{beside}"
    return _bounded(printed, words, margin=bound - found["value"], statistic=statistic)


def model_at_least(*, model: str, statistic: str, bound: float, metrics: Metrics) -> Finding:
    """Does a trained model's number reach a bound, whatever the run?"""
    found, printed = statistic_of(metrics, model, statistic), f"{NAMES[statistic]} {bound:g}"
    if found is None:
        return untrained(printed, model)
    words = f"{NAMES[statistic]} {words_of(statistic, found)}"
    return _bounded(printed, words, margin=found["value"] - bound, statistic=statistic)


CHECKS: dict[str, Callable[..., Finding]] = {
    check.__name__: check
    for check in (
        printed_pss, pss_below, largest, relative_losses, product, more_than, reachable_volumes, bench_structures,
        bench_balanced, bench_prompts_per_volume, announced_are_reported, reads_text, model_below, model_at_least,
        claim_evidence.model_better, claim_evidence.ablation_better,
        claim_evidence.haar_channels, claim_evidence.patch_grid, claim_evidence.layers_exist,
        claim_evidence.eq3_adds_up, claim_evidence.printed_gate_suppresses,
        claim_evidence.dhn_penalises_false_positives, claim_evidence.dhn_raises_weights, claim_evidence.prompt_is_read,
        claim_evidence.description_matches, claim_evidence.needs, claim_evidence.needs_beside_published,
        claim_evidence.all_cited, claim_evidence.reference_resolves, claim_evidence.identifier_matches,
    )
}  # fmt: skip
"""Name in `claims.yaml` -> check."""


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
            f"{path}, claim {name!r}: expected a check of paper/claims.py, got {claim.check!r}. Known: "
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


def markdown(table: pd.DataFrame, *, patients: int) -> str:
    """The claims as a Markdown table below their tally, which says where they were tested on few patients."""
    head, rows = ("Claim", "Place", "Kind", "Printed", "Computed here", "Verdict"), []
    for row in table.to_dict("records"):
        computed = f"{row['computed']}. {row['note']}" if row["note"] else row["computed"]
        rows.append(
            (f"“{row['quotation']}”", row["place"], row["kind"], row["printed"], computed, f"**{row['verdict']}**")
        )
    tallied = f"{tally(table)} {few_patients(patients)}".rstrip()
    return "\n".join([tallied, "", *markup.markdown_table(head, rows)]) + "\n"


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
    (folder / "claims.md").write_text(markdown(table, patients=tested(metrics)), encoding="utf-8")
    return table
