"""A bundle carries a commit's results into a bare clone, and nothing that was changed on its way."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from semantiseg.artifact.bundle import restore, write_bundle
from semantiseg.errors import DataError, OutputError


@pytest.fixture(scope="module")
def bundle(shared_author, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hosted") / "results.tar"
    write_bundle(shared_author.folder, path)
    return path


@pytest.fixture
def reader(shared_author, tmp_path):
    return shared_author.clone(tmp_path / "reader")


def held(bundle: Path) -> dict[str, bytes]:
    with tarfile.open(bundle) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


def rewritten(folder: Path, content: dict[str, bytes]) -> Path:
    with tarfile.open(bundle := folder / "changed.tar", "w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return bundle


def test_a_bare_clone_has_the_results_without_training(shared_author, reader, bundle):
    assert not (reader.folder / "data").exists()
    assert restore(bundle, reader.folder) == 6  # two folders' lists, three files of the report, one of the model
    weights = "data/models/weights.txt"
    assert (reader.folder / weights).read_bytes() == (shared_author.folder / weights).read_bytes()
    reader.dvc("repro", "--quiet")
    assert reader.trained == 0 and json.loads(reader.dvc("status", "--json")) == {}
    assert (reader.folder / "data/report/table1.csv").is_file()


def test_equal_caches_give_equal_bytes_and_the_sums_are_those_of_the_files(shared_author, bundle, tmp_path):
    write_bundle(shared_author.folder, tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == bundle.read_bytes()
    content = held(bundle)
    about = json.loads(content["semantiseg-bundle/bundle.json"])
    assert len(about["commit"]) == 40 and set(about["outputs"]) == {"data/models", "data/report"}


@pytest.mark.parametrize("fault", ["a changed byte", "a changed byte and its sum", "a stranger's file", "a file less"])
def test_a_bundle_that_was_changed_is_refused_and_nothing_is_restored(reader, bundle, fault, tmp_path):
    content = held(bundle)
    name = max(content, key=lambda key: ("md5/" in key, not key.endswith(".dir"), key))
    sums = "semantiseg-bundle/SHA256SUMS"
    if fault.startswith("a changed byte"):
        before = hashlib.sha256(content[name]).hexdigest()
        content[name] = content[name][:-1] + b"?"
        if "sum" in fault:
            content[sums] = content[sums].replace(before.encode(), hashlib.sha256(content[name]).hexdigest().encode())
    elif fault == "a stranger's file":
        content["semantiseg-bundle/md5/00/payload"] = b"payload"
    else:
        del content[name]
    with pytest.raises(DataError, match="expected a bundle as `semantiseg bundle` writes it"):
        restore(rewritten(tmp_path, content), reader.folder)
    assert not (reader.folder / "data").exists()
    assert [path for path in (reader.folder / ".dvc/cache").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("name", ["../escaped", "/escaped", "semantiseg-bundle/../../escaped"])
def test_no_name_in_a_bundle_leads_outside(reader, bundle, name, tmp_path):
    with pytest.raises(DataError, match="expected plain files below one folder"):
        restore(rewritten(tmp_path, held(bundle) | {name: b"x"}), reader.folder)
    assert not list(reader.folder.parent.rglob("escaped"))


def test_a_bundle_of_another_commits_results_is_refused_by_its_commit(reader, bundle):
    commit = json.loads(held(bundle)["semantiseg-bundle/bundle.json"])["commit"]
    lock = reader.folder / "dvc.lock"
    lock.write_text(re.sub(r"(path: data/models\n\s+hash: md5\n\s+md5: )\w+", r"\g<1>" + "0" * 32, lock.read_text()))
    with pytest.raises(DataError, match=f"got others of commit {commit} .*data/models"):
        restore(bundle, reader.folder)


def kept(cache: Path, content: bytes, ending: str = "") -> str:
    """Put an object into a cache; its MD5."""
    md5 = hashlib.md5(content).hexdigest() + ending
    (cache / md5[:2]).mkdir(parents=True, exist_ok=True)
    (cache / md5[:2] / md5[2:]).write_bytes(content)
    return md5


@pytest.mark.parametrize("origin", ["official", "user", "rendered", "phantom"])
def test_images_of_others_are_not_bundled(tmp_path, origin):
    cache = tmp_path / ".dvc/cache/files/md5"
    sources = kept(cache, json.dumps([{"collection": "BraTS2024-GLI", "origin": origin}]).encode())
    listed = kept(cache, json.dumps([{"md5": sources, "relpath": "sources.json"}]).encode(), ".dir")
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "dvc.yaml").write_text("stages:\n  fetch:\n    cmd: x\n    outs: [data/raw]\n")
    out = f"{{path: data/raw, hash: md5, md5: {listed}, size: 1, nfiles: 1}}"
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  fetch:\n    cmd: x\n    outs: [{out}]\n")
    if origin == "phantom":
        assert write_bundle(tmp_path, tmp_path / "results.tar") == 2
        return
    with pytest.raises(DataError, match=r"expected phantoms, got images of \['BraTS2024-GLI'\]"):
        write_bundle(tmp_path, tmp_path / "results.tar")
    assert not (tmp_path / "results.tar").exists()


def test_an_absent_object_another_ending_and_another_file_are_refused(author, tmp_path):
    with pytest.raises(DataError, match=r"ending in \.tar"):
        write_bundle(author.folder, tmp_path / "results.zip")
    (tmp_path / "note.tar").write_text("years of work")
    with pytest.raises(OutputError):
        write_bundle(author.folder, tmp_path / "note.tar")
    for path in (author.folder / ".dvc/cache/files/md5").glob("*/*"):
        path.unlink()
    with pytest.raises(DataError, match="expected an object of DVC's cache, got none"):
        write_bundle(author.folder, tmp_path / "results.tar")
    assert not (tmp_path / "results.tar").exists()
