"""The terms of every file are stated, as REUSE asks, and a wheel says the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest
from tiny_project import ROOT

CREDIT = "Antonelli et al., The Medical Segmentation Decathlon"
_WORD = re.compile(r"[A-Z][\w.]*(?:-[\w.]+)+")


def glob(pattern: str) -> re.Pattern[str]:
    """A path pattern of REUSE.toml: `**` is anything, `*` anything within a folder."""
    parts = (".*" if part == "**" else "[^/]*" if part == "*" else re.escape(part)
             for part in re.split(r"(\*\*|\*)", pattern))  # fmt: skip
    return re.compile("".join(parts))


@pytest.fixture(scope="module")
def stated() -> list[tuple[list[re.Pattern[str]], str, str]]:
    """Patterns, licence and copyright of each annotation, the last that fits counts."""
    found = tomllib.loads((ROOT / "REUSE.toml").read_text(encoding="utf-8"))["annotations"]
    return [
        ([glob(path) for path in ([item["path"]] if isinstance(item["path"], str) else item["path"])],
         item["SPDX-License-Identifier"], str(item["SPDX-FileCopyrightText"]))
        for item in found
    ]  # fmt: skip


def terms(name: str, stated) -> tuple[str, str]:
    return next((terms for patterns, *terms in reversed(stated) if any(path.fullmatch(name) for path in patterns)))


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if answer.returncode:
        pytest.skip("no Git: what is tracked is not known")
    return [name for name in answer.stdout.split("\0") if name]


def test_every_file_has_terms_whose_text_is_here_and_no_text_is_unused(tracked, stated):
    named = {word for name in tracked for word in _WORD.findall(terms(name, stated)[0])}
    assert named == {path.stem for path in (ROOT / "LICENSES").iterdir()} == {"Apache-2.0", "CC-BY-SA-4.0"}
    assert (ROOT / "LICENSES/Apache-2.0.txt").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert "Attribution-ShareAlike 4.0" in (ROOT / "LICENSES/CC-BY-SA-4.0.txt").read_text()


def test_what_comes_from_patients_is_shared_alike_with_credit_and_code_is_not(tracked, stated):
    known = ("task04_hippocampus", "semantiseg-hippocampus", "patients_fig1")
    derived = [name for name in tracked if any(word in name.lower() for word in known)]
    shown = [
        name for name in tracked if name.startswith("notebooks/rendered/") and "/05_train" not in name
        and re.search("patients_fig1|semantiseg-hippocampus", (ROOT / name).read_text(encoding="utf-8"))
    ]  # fmt: skip
    assert len(derived) >= 8 and "notebooks/rendered/07_patients.ipynb" in shown
    for name in (*derived, *shown):
        licence, credit = terms(name, stated)
        assert "CC-BY-SA-4.0" in licence and CREDIT in credit, name
    code = {terms(name, stated)[0] for name in tracked if name.endswith((".py", ".yaml", ".toml", ".js"))}
    assert code == {"Apache-2.0"}


def test_a_wheel_names_both_licences_and_carries_their_texts(tmp_path, monkeypatch, stated):
    setuptools = pytest.importorskip("setuptools.build_meta", reason="setuptools builds the wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "LICENSES", tmp_path / "LICENSES")
    (tmp_path / "semantiseg").mkdir()
    shutil.copyfile(ROOT / "semantiseg/__init__.py", tmp_path / "semantiseg/__init__.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["build"])
    folder = tmp_path / "made"
    folder.mkdir()
    made = folder / setuptools.prepare_metadata_for_build_wheel(str(folder))
    said = (made / "METADATA").read_text(encoding="utf-8").splitlines()
    packaged = {licence for patterns, licence, _ in stated if " AND " not in licence}
    assert f"License-Expression: {' AND '.join(sorted(packaged))}" in said
    texts = {path.relative_to(made / "licenses").as_posix() for path in (made / "licenses").rglob("*.txt")}
    assert texts == {"LICENSES/Apache-2.0.txt", "LICENSES/CC-BY-SA-4.0.txt"}
