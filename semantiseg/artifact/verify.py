"""What one check of the artifact found.

The reviewer's check: one page about any clone, with or without data.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from semantiseg import __version__
from semantiseg.artifact import manifest, numbers, provenance, published, rerun
from semantiseg.pipeline import runner


@dataclass(frozen=True)
class Check:
    """One question a reviewer asks, and its answer.

    Attributes:
        name: one word, for machines.
        question: in a reader's words.
        passed: True, False, or None where there is nothing to check here (`summary` says what it would take).
        summary: the answer in one line.
        details: one line each: what is wrong if it failed, else what was looked at.
        facts: the same for tools, as JSON can hold it.
    """

    name: str
    question: str
    passed: bool | None
    summary: str
    details: list[str] = field(default_factory=list)
    facts: Any = None

    def record(self) -> dict[str, Any]:
        """The check as JSON can hold it."""
        return asdict(self)


Look = Callable[[], tuple[bool | None, str, list[str], Any]]
"""How a question is answered: passed, summary, details, facts of a `Check`."""


def answered(name: str, question: str, look: Look) -> Check:
    """Ask one question; what cannot be read is a failed check with the reason, so that the other checks still run."""
    try:
        return Check(name, question, *look())
    except Exception as error:  # committed files may hold anything: a page of answers, never a traceback
        reason = f"{type(error).__name__}: {error}"
        return Check(name, question, passed=False, summary="could not be checked", details=[reason])


_MARKS = {True: "yes", False: "NO", None: "--"}


def commit(root: Path) -> str | None:
    """Git's HEAD, "+" added where tracked files differ from it; None without Git."""
    head = _git(root, "rev-parse", "HEAD")
    changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    return None if head is None else head + ("+" if changed else "")


def _git(root: Path, *arguments: str) -> str | None:
    answer = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return None if answer.returncode else answer.stdout.strip()


def _fresh(root: Path) -> tuple[bool, str, list[str], Any]:
    reasons = runner.stale(root)
    if reasons:
        return False, f"{len(reasons)} reasons why results are older than code or parameters", reasons, reasons
    return True, "dvc.lock covers every stage, with the code and parameters that stand here", [], []


def verify(root: Path, *, against: Sequence[Path] = ()) -> list[Check]:
    """Ask every question of the project in `root`.

    After a run of the committed code in `root`, what is committed is asked from Git's HEAD, and what was made is
    compared with it by `rerun`.

    Args:
        root: a clone, a workspace or an unpacked release.
        against: folders of other runs to compare with.
    """
    with published.committed_tree(root) as tree:
        return [answered(name, question, look) for name, question, look in _questions(root, tree, against)]


def _questions(root: Path, tree: Path, against: Sequence[Path]) -> list[tuple[str, str, Look]]:
    return [
        ("fresh", "Are the committed results up to date with code and parameters?", lambda: _fresh(root)),
        ("published", "Are the published files those that the stages made?", lambda: published.check_published(tree)),
        ("tables", "Do the tables follow from metrics.json?", lambda: numbers.tables(tree)),
        ("readme", "Does every number on the start page trace to a file?", lambda: numbers.start_page(tree)),
        ("claims", "Which claims hold, computed now?", lambda: numbers.verdicts(tree)),
        (
            "rerun",
            "Do re-run numbers agree with the committed ones, within what honest runs differ by?",
            lambda: rerun.agreement(root, against=against),
        ),
        (
            "manifest",
            "Is every other tracked file the one that was committed with them?",
            lambda: manifest.check_manifest(root),
        ),
        ("references", "Do links, headings and versions agree?", lambda: manifest.check_references(root)),
        ("inputs", "Which inputs came from where, with which checksum?", lambda: provenance.inputs(tree)),
        ("cost", "On what hardware, and how long, stage by stage?", lambda: provenance.cost(tree)),
    ]


def passed(checks: Sequence[Check]) -> bool:
    """No check failed; one with nothing to check here does not count."""
    return all(check.passed is not False for check in checks)


def as_record(checks: Sequence[Check], root: Path) -> dict[str, Any]:
    """The whole check as JSON can hold it."""
    return {
        "semantiseg": __version__,
        "commit": commit(root),
        "passed": passed(checks),
        "checks": [check.record() for check in checks],
    }


def page(checks: Sequence[Check], root: Path) -> str:
    """The whole check on one page; a failed one shows its reasons, the claims only their tally unless they failed."""
    lines = [f"SemantiSeg {__version__}, commit {commit(root) or 'unknown (no Git here)'}", ""]
    for check in checks:
        lines.append(f"{_MARKS[check.passed]:>3}  {check.question}  [{check.name}]")
        lines.append(f"     {check.summary}")
        if check.passed is False or check.name != "claims":
            lines += [f"       {detail}" for detail in check.details]
        lines.append("")
    bad = [check.name for check in checks if check.passed is False]
    lines.append(f"verified: {', '.join(bad)} failed" if bad else "verified: nothing failed")
    return "\n".join(lines)
