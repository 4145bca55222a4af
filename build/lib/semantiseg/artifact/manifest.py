"""What documents say of one another: links and headings lead somewhere, and one version is named throughout.

One list of checksums over every tracked file that no stage makes: what is here is what was committed together.

`sha256sum --check manifest.sha256` reads it too. `semantiseg manifest` writes it again from what Git tracks.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from semantiseg import __version__, files
from semantiseg.artifact import published
from semantiseg.errors import DataError
from semantiseg.params import read_yaml

DOCUMENTS = ("*.md", "docs/*.md", "data/*.md")

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+\s+(.*?)\s*$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The places that a code host gives the headings of a Markdown text."""
    found: set[str] = set()
    for heading in _HEADING.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number = sum(other == slug or re.fullmatch(rf"{re.escape(slug)}-\d+", other) is not None for other in found)
        found.add(f"{slug}-{number}" if number else slug)
    return found


def broken_references(root: Path) -> list[str]:
    """Links of the documents that lead to no file, or to no heading of it. Other hosts are not asked."""
    found = []
    for path in sorted(path for pattern in DOCUMENTS for path in root.glob(pattern)):
        text = path.read_text(encoding="utf-8")
        for link in _LINK.findall(_CODE.sub("", text)):
            name, _, place = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = path.parent / unquote(name) if name else path
            if not target.exists():
                found.append(f"{path.relative_to(root)}: {link} leads to no file")
            elif place and target.suffix == ".md" and place not in anchors(target.read_text(encoding="utf-8")):
                found.append(f"{path.relative_to(root)}: {link} leads to no heading")
    return found


def versions(root: Path) -> dict[str, str]:
    """Where a version is named -> which.

    Raises:
        DataError: the changelog names no release.
    """
    releases = re.findall(r"^## (\d\S*)", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    if not releases:
        raise DataError(f"{root / 'CHANGELOG.md'}: expected a heading `## VERSION`, got none. Add the release.")
    cited = str(read_yaml(root / "CITATION.cff")["version"])
    return {"semantiseg/__init__.py": __version__, "CITATION.cff": cited, "CHANGELOG.md": releases[0]}


def check_references(root: Path) -> tuple[bool, str, list[str], Any]:
    """Do all links lead somewhere, and is one version named?"""
    problems, named = broken_references(root), versions(root)
    if len(set(named.values())) > 1:
        problems.append("versions: " + ", ".join(f"{version} in {name}" for name, version in named.items()))
    if problems:
        return False, f"{len(problems)} references lead nowhere or disagree", problems, problems
    return True, f"every link and heading is there, and every file names version {__version__}", [], named


MANIFEST = Path("manifest.sha256")
ELSEWHERE = {
    Path("dvc.lock"): "benchmarks/demo_run.json holds its checksum (check `cost`)",
    Path("figures"): "dvc.lock holds its checksums (check `published`)",
    Path("notebooks/rendered"): "dvc.lock holds its checksums (check `published`)",
    MANIFEST: "a changed line names a file or a checksum that is not there",
}
"""Tracked files that are not listed, and what sees a change in them instead."""

_LINE = re.compile(r"([0-9a-f]{64})  (\S.*)")


def listed(root: Path) -> list[Path]:
    """What Git tracks and the manifest lists, sorted.

    Raises:
        DataError: no Git checkout.
    """
    command = ["git", "ls-files", "-z", "--cached", "--deduplicate"]
    answer = subprocess.run(command, cwd=root, capture_output=True, check=False)
    if answer.returncode:
        raise DataError(f"{root}: expected a Git checkout, got none. Write the manifest in a clone.")
    tracked = [Path(name) for name in answer.stdout.decode("utf-8").split("\0") if name]
    return sorted(path for path in tracked if not elsewhere(path) and (root / path).is_file())


def elsewhere(path: Path) -> bool:
    """Is a file seen by another check?"""
    return any(path.is_relative_to(other) for other in (*ELSEWHERE, *published.MADE))


def manifest_text(root: Path) -> str:
    """The manifest as it should be now."""
    return "".join(f"{files.fingerprint(root / path)}  {path.as_posix()}\n" for path in listed(root))


def read_checksums(root: Path) -> tuple[dict[Path, str], list[str]]:
    """Listed file -> SHA-256, and the lines that are no such entries or name a file again.

    Raises:
        DataError: there is no manifest.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise DataError(f"{path}: expected the checksums of the tracked files, got no file. Run `semantiseg manifest`.")
    found: dict[Path, str] = {}
    problems = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None or Path(match[2]) in found:
            problems.append(f"{MANIFEST}, line {number}: expected a checksum and a file named once, got {line[:80]!r}")
        else:
            found[Path(match[2])] = match[1]
    return found, problems


def problem(root: Path, path: Path, wanted: str) -> str | None:
    """Why a listed file is not the one that was listed; None if it is."""
    if not (root / path).is_file():
        return f"{path}: absent, but listed"
    return None if files.fingerprint(root / path) == wanted else f"{path}: not the file that was listed"


def check_manifest(root: Path) -> tuple[bool, str, list[str], Any]:
    """Is every listed file the one that was listed, and, under Git, is every tracked file listed?"""
    wanted, problems = read_checksums(root)
    problems += filter(None, (problem(root, path, checksum) for path, checksum in wanted.items()))
    if (root / ".git").exists():
        problems += [f"{path}: tracked by Git, but not listed" for path in listed(root) if path not in wanted]
    if problems:
        remedy = "if the change is meant, run `semantiseg manifest` and commit manifest.sha256; else `git checkout` it"
        return False, f"{len(problems)} of {len(wanted)} tracked files differ: {remedy}", problems, problems
    return True, f"all {len(wanted)} tracked files that no stage makes are those of {MANIFEST}", [], len(wanted)
