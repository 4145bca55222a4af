"""One changed digit in any tracked text file is seen."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import tiny_project

from semantiseg.artifact import manifest, published, verify
from semantiseg.errors import DataError

ROOT = tiny_project.ROOT


def git(root: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tracked file as it stands here, with a manifest that is up to date."""
    if subprocess.run(["git", "rev-parse"], cwd=ROOT, capture_output=True).returncode:
        pytest.skip("not a Git checkout")
    root = tmp_path_factory.mktemp("clone")
    for name in filter(None, git(ROOT, "ls-files", "-z").split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)
    git(root, "init", "--quiet")
    git(root, "add", "--all", "--force")
    (root / manifest.MANIFEST).write_text(manifest.manifest_text(root))
    git(root, "add", "--all", "--force")
    return root


def with_one_digit_changed(content: str) -> str | None:
    """The text with its first digit raised by one; None if it has none."""
    found = re.search(r"[0-9]", content)
    if found is None:
        return None
    at = found.start()
    return f"{content[:at]}{(int(content[at]) + 1) % 10}{content[at + 1 :]}"


def test_one_digit_changed_in_any_tracked_text_file_is_seen(clone):
    """By the checksum that stands for the file, whichever list holds it."""
    wanted, problems = manifest.read_checksums(clone)
    assert problems == []
    made = published.recorded_outputs(published.outputs(ROOT))
    unseen, tried = [], 0
    for name in filter(None, git(clone, "ls-files", "-z").split("\0")):
        path = Path(name)
        try:
            changed = with_one_digit_changed((clone / path).read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
        if changed is None or path in (published.LOCK, manifest.MANIFEST):
            continue
        before = (clone / path).read_bytes()
        (clone / path).write_text(changed, encoding="utf-8")
        if path in wanted:
            seen = manifest.problem(clone, path, wanted[path]) is not None
        else:
            seen = path in made and published.dvc_checksum(clone / path) != made[path].md5
        (clone / path).write_bytes(before)
        tried += 1
        unseen += [] if seen else [name]
    assert unseen == [] and tried > 400


def test_a_digit_of_the_lock_or_of_the_manifest_is_seen(clone):
    before = (clone / published.LOCK).read_text()
    (clone / published.LOCK).write_text(with_one_digit_changed(before))
    assert not verify.cost(clone)[0]
    (clone / published.LOCK).write_text(before)
    text = (clone / manifest.MANIFEST).read_text()
    (clone / manifest.MANIFEST).write_text(with_one_digit_changed(text))
    assert not manifest.check_manifest(clone)[0]
    (clone / manifest.MANIFEST).write_text(text)
    assert manifest.check_manifest(clone)[0]


def test_a_failure_names_the_file_and_what_to_do(clone):
    path = clone / "CITATION.cff"
    before = path.read_text()
    path.write_text(before.replace("0.1.0", "0.1.1"))
    passed, summary, problems, _ = manifest.check_manifest(clone)
    path.write_text(before)
    assert not passed and problems == ["CITATION.cff: not the file that was listed"]
    assert "semantiseg manifest" in summary and "git checkout" in summary


def test_absent_additional_and_repeated_files_are_named(clone):
    (clone / "docs/new.md").write_text("new\n")
    git(clone, "add", "docs/new.md")
    assert "docs/new.md: tracked by Git, but not listed" in manifest.check_manifest(clone)[2]
    git(clone, "rm", "--quiet", "--force", "docs/new.md")
    text = (clone / manifest.MANIFEST).read_text()
    (clone / manifest.MANIFEST).write_text(text + text.splitlines()[0] + "\n<<<<<<< HEAD\n" + "0" * 64 + "  gone.md\n")
    problems = manifest.check_manifest(clone)[2]
    (clone / manifest.MANIFEST).write_text(text)
    assert len(problems) == 3 and "gone.md: absent, but listed" in problems


def test_without_a_manifest_the_command_is_named(tmp_path):
    with pytest.raises(DataError, match="semantiseg manifest"):
        manifest.read_checksums(tmp_path)
