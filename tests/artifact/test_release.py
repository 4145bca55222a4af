"""A release has the same bytes twice, holds what it says, and says of the model only what the metrics say."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import tiny_project

from semantiseg.artifact import published
from semantiseg.artifact.release import DATA, MODEL, TEMPLATE, model_card, write_archive
from semantiseg.errors import DataError

ROOT = tiny_project.ROOT
WANTED = ("dvc.lock", "params.yaml", "figures", "benchmarks/demo_run.json", "docs/model_card.md", ".dvc/config")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout with the committed results, and small files for data whose checksums its lock records."""
    root = tmp_path / "checkout"
    for name in WANTED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy2)(ROOT / name, root / name)
    (root / ".gitignore").write_text("/data/\n")
    text = (root / "dvc.lock").read_text(encoding="utf-8")
    recorded = published.outputs(root)
    for path in DATA:
        target = root / path if path.suffix else root / path / "model.safetensors"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.as_posix().encode())
        text = text.replace(recorded[path].md5, published.dvc_checksum(root / path))
    (root / "dvc.lock").write_text(text, encoding="utf-8")
    git(root, "init", "--quiet")
    commit(root)
    return root


def git(root: Path, *arguments: str) -> None:
    subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=root, check=True)


def commit(root: Path) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "-m", "results")


def content(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        return {member.name.partition("/")[2]: opened.extractfile(member).read() for member in opened.getmembers()}


def test_two_releases_of_one_commit_have_the_same_bytes(checkout, tmp_path):
    write_archive(checkout, tmp_path / "a.tar.gz")
    for item in checkout.rglob("*.parquet"):
        item.touch()
    write_archive(checkout, tmp_path / "elsewhere/b.tar.gz")
    assert (tmp_path / "a.tar.gz").read_bytes() == (tmp_path / "elsewhere/b.tar.gz").read_bytes()


def test_the_manifest_lists_every_file_with_its_checksum(checkout, tmp_path):
    names = write_archive(checkout, tmp_path / "a.tar.gz")
    held = content(tmp_path / "a.tar.gz")
    listed = dict(reversed(line.split("  ")) for line in held.pop("MANIFEST.sha256").decode().splitlines())
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in held.items()}
    assert set(names) == {*held, "MANIFEST.sha256"}
    assert {
        "dvc.lock",
        "figures/metrics.json",
        "figures/fig1.png",
        "data/bench/prompts.parquet",
        "MODEL_CARD.md",
    } <= set(held)
    assert "data/models/token/model.safetensors" in held
    assert held["figures/metrics.json"] == (ROOT / "figures/metrics.json").read_bytes()
    assert len(json.loads(held["release.json"])["commit"]) == 40


def test_changes_data_of_another_run_and_absent_data_are_refused(checkout, tmp_path):
    output = tmp_path / "a.tar.gz"
    (checkout / "params.yaml").write_text((checkout / "params.yaml").read_text() + "\n")
    with pytest.raises(DataError, match=r"params\.yaml"):
        write_archive(checkout, output)
    git(checkout, "checkout", "--quiet", "params.yaml")
    (checkout / "data/bench/prompts.parquet").write_bytes(b"other")
    with pytest.raises(DataError, match="data/bench/prompts.parquet: .*Run `semantiseg reproduce`"):
        write_archive(checkout, output)
    (checkout / "data/bench/prompts.parquet").unlink()
    with pytest.raises(DataError, match="got None"):
        write_archive(checkout, output)
    with pytest.raises(DataError, match=r"\.tar\.gz"):
        write_archive(checkout, tmp_path / "a.zip")
    assert not output.exists() and not list(tmp_path.glob(".a*"))


def test_the_card_follows_the_metrics(checkout):
    path = checkout / "figures/metrics.json"
    metrics = json.loads(path.read_text())
    before = model_card(checkout)
    assert "$" not in before and "phantoms" in before
    metrics["models"]["token"]["core"]["l1"] = {"value": 0.123, "low": 0.1, "high": 0.15}
    metrics["models"]["token"]["prompts"] = 98765
    path.write_text(json.dumps(metrics))
    after = model_card(checkout)
    assert "| 0.12 [0.10, 0.15] |" in after and "98765 test prompts" in after and after != before


def test_the_template_types_no_number_of_a_result():
    text = re.sub(r"level \d|Apache-2\.0|empty \d|\bis empty \d|in \[0, 1\]", "", (ROOT / TEMPLATE).read_text())
    assert re.findall(r"(?<![\w.])\d+(?:\.\d+)?", re.sub(r"`[^`]*`", "", text)) == []


def test_a_model_without_metrics_or_a_name_nobody_fills_is_an_error(checkout):
    with pytest.raises(DataError, match="'absent'"):
        model_card(checkout, model="absent")
    (checkout / TEMPLATE).write_text("$weather")
    with pytest.raises(DataError, match="weather"):
        model_card(checkout)


def test_the_registered_artifact_is_the_released_model():
    declared = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    assert f"path: data/models/{MODEL}\n" in declared and "type: model" in declared
