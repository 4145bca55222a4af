"""Links, headings and versions in documents are resolved, not believed."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_project

from semantiseg import __version__
from semantiseg.artifact import manifest

ROOT = tiny_project.ROOT


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Start\n\n[a](docs/a.md#two-words-b) [b](docs) [c](#start) `[no](x.md)`\n")
    (tmp_path / "docs/a.md").write_text("# A\n\n## Two words: `b`\n\n[up](../README.md) [far](https://example.org/x)\n")
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## Unreleased\n\n## {__version__}\n")
    (tmp_path / "CITATION.cff").write_text(f"version: {__version__}\n")
    return tmp_path


def test_the_project_itself_has_no_broken_reference():
    passed, _, problems, _ = manifest.check_references(ROOT)
    assert passed, problems


@pytest.mark.parametrize(
    ("name", "old", "new", "says"),
    [
        ("README.md", "docs/a.md#", "docs/b.md#", "leads to no file"),
        ("README.md", "#two", "#three", "leads to no heading"),
        ("README.md", "# Start", "# Begin", "leads to no heading"),
        ("docs/a.md", "## Two", "## Three", "leads to no heading"),
        ("CITATION.cff", __version__, "9.9.9", "9.9.9 in CITATION.cff"),
        ("CHANGELOG.md", __version__, "9.9.9", "9.9.9 in CHANGELOG.md"),
    ],
)
def test_one_changed_target_heading_or_version_is_named(place, name, old, new, says):
    assert manifest.check_references(place)[0]
    path = place / name
    path.write_text(path.read_text().replace(old, new, 1))
    passed, _, problems, _ = manifest.check_references(place)
    assert not passed and says in problems[0]
