"""A tiny project shaped like the real one (train, table1, publish), under Git, with a remote to share its results."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny_project

STAGES = """
metrics: [figures/metrics.json]
plots:
  - figures/curve.csv: {x: step, y: loss}
artifacts:
  gate: {path: data/models, type: model}
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [seed]
    outs: [data/models]
  table1:
    cmd: python table1.py
    deps: [table1.py, data/models]
    outs: [data/report]
  publish:
    cmd: mkdir -p figures && cp data/report/* figures
    deps: [data/report]
    outs:
      - figures: {cache: false}
"""

TRAIN = """import os, pathlib, re
seed = int(re.search(r"seed: (\\d+)", pathlib.Path("params.yaml").read_text())[1])
with open(os.environ["TRAINED"], "a") as log:
    log.write("trained\\n")
pathlib.Path("data/models").mkdir(parents=True)
pathlib.Path("data/models/weights.txt").write_text(str((seed + 1) / 7))
"""

TABLE = """import json, pathlib
dice = float(pathlib.Path("data/models/weights.txt").read_text())
out = pathlib.Path("data/report")
out.mkdir(parents=True)
(out / "table1.csv").write_text(f"model,l1\\ntoken,{dice:.6f}\\n")
(out / "metrics.json").write_text(json.dumps({"token": {"l1": round(dice, 6)}}))
(out / "curve.csv").write_text("step,loss\\n0,1.0\\n10," + f"{dice:.3f}\\n")
"""


@dataclass
class Project:
    """A checkout, and the file in which each training leaves a line."""

    folder: Path
    log: Path

    def run(self, *command: str) -> str:
        """A command in the checkout; fails with its output."""
        environment = tiny_project.surroundings() | {"TRAINED": str(self.log), "GIT_CONFIG_GLOBAL": os.devnull}
        answer = subprocess.run(command, cwd=self.folder, env=environment, text=True, capture_output=True, timeout=120)
        assert answer.returncode == 0, f"{command}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def dvc(self, *arguments: str) -> str:
        return self.run("python", "-m", "dvc", *arguments)

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", message)

    @property
    def trained(self) -> int:
        """How often the model was trained."""
        return len(self.log.read_text().splitlines()) if self.log.is_file() else 0

    def clone(self, folder: Path) -> Project:
        """A second checkout, without cache and data."""
        self.run("git", "clone", "--quiet", "--no-hardlinks", str(self.folder), str(folder))
        return Project(folder, folder.with_suffix(".log"))


@pytest.fixture
def author(tmp_path: Path) -> Project:
    """A project that was run once and committed, its cache its own."""
    return run_once(tmp_path)


@pytest.fixture(scope="module")
def shared_author(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The same for tests that leave it as it is."""
    return run_once(tmp_path_factory.mktemp("shared"))


def run_once(folder: Path) -> Project:
    """The tiny project below `folder`, run and committed."""
    project = Project(folder / "author", folder / "author.log")
    (project.folder / ".dvc").mkdir(parents=True)
    (project.folder / ".dvc/config").write_text("[core]\n    analytics = false\n    check_update = false\n")
    (project.folder / ".dvc/.gitignore").write_text("/cache\n/tmp\n/config.local\n")
    (project.folder / ".gitignore").write_text("/data/\n")
    for name, text in {"dvc.yaml": STAGES, "train.py": TRAIN, "table1.py": TABLE, "params.yaml": "seed: 0\n"}.items():
        (project.folder / name).write_text(text)
    project.run("git", "init", "--quiet")
    project.dvc("repro", "--quiet")
    project.commit("results")
    return project


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server on loopback with an empty bucket `results`; its address."""
    from moto.server import ThreadedMotoServer

    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in (keys | {"AWS_EC2_METADATA_DISABLED": "true"}).items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = "http://{}:{}".format(*server.get_host_and_port())
    import boto3
    import requests

    requests.post(f"{address}/moto-api/reset", timeout=10)  # servers of one process share their buckets
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket="results")
    yield address
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Project], None]:
    """What makes a remote known to a project, as docs/publish_artifacts.md says."""
    if request.param == "folder":
        return lambda project: project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    address = request.getfixturevalue("s3")

    def s3_remote(project: Project) -> None:
        project.dvc("remote", "add", "--default", "store", "s3://results/semantiseg")
        project.dvc("remote", "modify", "store", "endpointurl", address)

    return s3_remote
