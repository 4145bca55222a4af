"""The checks that `claims.yaml` names: each recomputes one claim from what the paper prints, from the code, or from
this run.

A check takes its arguments by keyword, and `metrics` (the content of `metrics.json`) beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from math import prod

from semantiseg.report import ablation_record, claim_ablation, claim_executed, claim_pairs, claim_published
from semantiseg.report.claim_pairs import NAMES, statistic_of, untrained, words_of
from semantiseg.report.finding import Finding, Metrics
from semantiseg.report.table_text import number


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
    from semantiseg.report.style import origin_name

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
        claim_pairs.model_better, claim_ablation.ablation_better,
        claim_executed.haar_channels, claim_executed.patch_grid, claim_executed.layers_exist,
        claim_executed.eq3_adds_up, claim_executed.printed_gate_suppresses,
        claim_executed.dhn_penalises_false_positives, claim_executed.dhn_raises_weights, claim_executed.prompt_is_read,
        claim_published.description_matches, claim_published.needs, claim_published.needs_beside_published,
        claim_published.all_cited, claim_published.reference_resolves, claim_published.identifier_matches,
    )
}  # fmt: skip
"""Name in `claims.yaml` -> check."""
