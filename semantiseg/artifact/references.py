"""What documents say of one another: links and headings lead somewhere, and one version is named throughout."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from semantiseg import __version__
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


def broken(root: Path) -> list[str]:
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


def check(root: Path) -> tuple[bool, str, list[str], Any]:
    """Do all links lead somewhere, and is one version named?"""
    problems, named = broken(root), versions(root)
    if len(set(named.values())) > 1:
        problems.append("versions: " + ", ".join(f"{version} in {name}" for name, version in named.items()))
    if problems:
        return False, f"{len(problems)} references lead nowhere or disagree", problems, problems
    return True, f"every link and heading is there, and every file names version {__version__}", [], named
