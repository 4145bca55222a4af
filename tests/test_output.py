"""No verb writes into a stranger's folder or over what it reads, however the place is spelt."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from semantiseg import files
from semantiseg.errors import OutputError


def test_an_absent_an_empty_and_a_folder_of_its_own_are_claimed_again_and_again(tmp_path):
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "absent/deep", tmp_path / "empty"):
        files.claim(folder, verb="site")
        (folder / "index.html").write_text("made")
        files.claim(folder, verb="site")
        assert (folder / "index.html").is_file()


def test_a_folder_of_another_verb_is_somebody_else_s(tmp_path):
    files.claim(tmp_path / "made", verb="site")
    (tmp_path / "made/index.html").touch()
    with pytest.raises(OutputError, match="`semantiseg score` made, got other files"):
        files.check_folder(tmp_path / "made", verb="score")


def test_a_folder_of_names_that_the_verb_writes_is_its_own_until_a_stranger_joins(tmp_path):
    (tmp_path / "model.safetensors").touch()
    files.check_folder(tmp_path, verb="train", own=["*.safetensors"])
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(OutputError, match=r"model.safetensors, thesis.tex"):
        files.check_folder(tmp_path, verb="train", own=["*.safetensors"])


def test_renewing_empties_a_folder_but_never_loses_whose_it_is(tmp_path, monkeypatch):
    files.claim(tmp_path / "site", verb="site")
    (tmp_path / "site/old.html").touch()
    monkeypatch.setattr(files, "remove", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        files.renew(tmp_path / "site", verb="site")
    monkeypatch.undo()
    files.renew(tmp_path / "site", verb="site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == [files.MARKER]


def _spellings(path: Path) -> dict[str, Path]:
    other = path.parent / "other"
    other.mkdir()
    (other / "link").symlink_to(path)
    (path.parent / "around").symlink_to(path.parent)
    return {
        "itself": path,
        "dots": other / ".." / path.name,
        "link": other / "link",
        "linked folder": path.parent / "around" / path.name,
        "relative": Path(os.path.relpath(path)),
    }


def test_a_file_that_is_read_is_refused_in_every_spelling(tmp_path):
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"patient")
    (tmp_path / "hard.nii.gz").hardlink_to(scan)
    for place in (*_spellings(scan).values(), tmp_path / "hard.nii.gz"):
        with pytest.raises(OutputError, match="one that is read"):
            files.check_file(place, inputs=[scan])
    files.check_file(tmp_path / "mask.nii.gz", inputs=[scan])


def test_a_file_within_a_folder_that_is_read_is_refused_and_a_new_one_beside_it_is_not(tmp_path):
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(OutputError):
        files.check_file(tmp_path / "model.safetensors", inputs=[tmp_path])
    files.check_file(tmp_path / "mask.nii.gz", inputs=[tmp_path])


def test_a_folder_that_is_or_holds_what_is_read_is_refused_even_if_its_own(tmp_path):
    release = tmp_path / "deep/release"
    for folder in (tmp_path, release.parent, release):
        files.claim(folder, verb="bench attach")
    for folder in (release, tmp_path / "deep/../deep/release", release.parent, tmp_path):
        with pytest.raises(OutputError, match="apart from what is read"):
            files.check_folder(folder, verb="bench attach", inputs=[release])
    files.check_folder(release / "inner", verb="bench attach", inputs=[release])


def test_somebody_else_s_file_is_told_by_how_it_begins(tmp_path):
    (tmp_path / "README.md").write_text("# My project\n")
    with pytest.raises(OutputError, match="an earlier one of its kind"):
        files.check_file(tmp_path / "README.md", inputs=[], opening=b"# Artifact appendix")
    (tmp_path / "README.md").write_text("# Artifact appendix\n\n")
    files.check_file(tmp_path / "README.md", inputs=[], opening=b"# Artifact appendix")
