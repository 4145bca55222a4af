"""Checks against what others published: other benchmarks, other papers, the paper's own list of references."""

from __future__ import annotations

from collections.abc import Sequence

from semantiseg.report import published
from semantiseg.report.finding import Finding, Metrics


def description_matches(*, trait: str, said: bool, found: bool, how: str, source: str, metrics: Metrics) -> Finding:
    """Does another work have the trait that the paper says it has, or lack the one it says it lacks? Source named."""
    return Finding(
        said == found, f"{trait}: {'yes' if said else 'no'}", f"{'yes' if found else 'no'}: {how} ({source})"
    )


def needs(*, resources: str, metrics: Metrics) -> Finding:
    """A claim that nothing here can test, and what it would take."""
    return Finding(None, "as quoted", resources)


def reference_resolves(*, key: str, references: int, metrics: Metrics) -> Finding:
    """Does a citation point to one of the numbered references?"""
    holds = key.isdecimal() and 1 <= int(key) <= references
    return Finding(
        holds, f"[{key}]", f"reference {key} of {references}" if holds else f"no reference [{key}] among {references}"
    )


def identifier_matches(*, printed: str, found: str, source: str, metrics: Metrics) -> Finding:
    """Is a printed identifier the work's own?"""
    return Finding(printed == found, printed, f"{found} ({source})")


def needs_beside_published(*, resources: str, model: str, targets: Sequence[str], metrics: Metrics) -> Finding:
    """A claim that nothing here can test, what it would take, and what the model's own authors published.

    `targets` is a collection and a target of `published_dice.csv`, or empty for all of them.
    """
    table = published.read()
    if targets:
        row = published.target(table, *targets)
        words = f"{row['target']}: mean {row[f'{model}_mean']:.2f}, median {row[f'{model}_median']:.2f}"
    else:
        found = published.expected(table, model)
        median = "" if found.median is None else f", by medians {found.median:.2f}"
        words = f"{len(table)} targets of MSD and KiTS23: mean {found.mean:.2f}{median}"
    return Finding(None, "as quoted", f"{resources}; published by others: {published.NAMES[model]}, {words}")


def all_cited(*, works: Sequence[str], cited: Sequence[str], metrics: Metrics) -> Finding:
    """Is every work that the paper builds on, or lists, also cited in its text?"""
    missing = [work for work in works if work not in cited]
    return Finding(not missing, ", ".join(works), f"never cited: {', '.join(missing)}" if missing else "all cited")
