"""Fingerprints see content and names only; replacement never mixes old and new."""

from __future__ import annotations

import pytest

from semantiseg import files


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/one.txt").write_text("one")
    (tmp_path / "a/b/two.txt").write_text("two")
    return tmp_path / "a"


def test_a_fingerprint_changes_with_content_name_and_place_only(folder):
    before = files.fingerprint(folder)
    (folder / "one.txt").touch()
    assert files.fingerprint(folder) == before
    (folder / "one.txt").write_text("One")
    content = files.fingerprint(folder)
    (folder / "one.txt").write_text("one")
    (folder / "one.txt").rename(folder / "uno.txt")
    name = files.fingerprint(folder)
    (folder / "uno.txt").rename(folder / "b/one.txt")
    assert len({before, content, name, files.fingerprint(folder)}) == 4


def test_compiled_modules_are_no_part_of_a_fingerprint(folder):
    before = files.fingerprint(folder)
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__/one.pyc").write_bytes(b"1")
    assert files.fingerprint(folder) == before


def test_nothing_has_no_fingerprint(tmp_path):
    assert files.fingerprint(tmp_path / "absent") is None


def test_a_folder_is_replaced_whole(folder, tmp_path):
    target = tmp_path / "to/target"
    target.mkdir(parents=True)
    (target / "old.txt").write_text("old")
    expected = files.fingerprint(folder)
    files.replace(folder, target)
    assert files.fingerprint(target) == expected and not folder.exists()


def test_a_link_to_a_folder_is_removed_and_the_folder_is_kept(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder, target_is_directory=True)
    files.remove(tmp_path / "link")
    assert not (tmp_path / "link").exists() and (folder / "one.txt").is_file()


def test_writing_leaves_no_partial_file(tmp_path):
    files.write(tmp_path / "new/a.txt", "text\n")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.txt"]
