"""Checks against what others published: other benchmarks, other papers, the paper's own list of references."""

from __future__ import annotations

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
