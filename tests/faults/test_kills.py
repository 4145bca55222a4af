"""Kills: a run that is killed again and again ends in the bytes of one that was left alone"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_project
from faults.registry import Fault, tried

from semantiseg import files
from semantiseg.pipeline import runner

REPRODUCE = [sys.executable, "-m", "semantiseg.cli", "reproduce"]
LONGEST_RUN_S = 3600


def _killed(root: Path, *, after_s: float) -> bool:
    """Start a run and kill its whole group, unless it has ended before."""
    process = subprocess.Popen(
        REPRODUCE, cwd=root, env=tiny_project.surroundings(), start_new_session=True, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        process.wait(timeout=after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    return False


def _finished(root: Path) -> None:
    answer = subprocess.run(
        REPRODUCE, cwd=root, env=tiny_project.surroundings(), capture_output=True, text=True, timeout=LONGEST_RUN_S
    )
    assert answer.returncode == 0, answer.stdout[-2000:] + answer.stderr[-2000:]


def _prints(root: Path, names: tuple[str, ...]) -> dict[str, str | None]:
    return {name: files.fingerprint(root / name) for name in names}


@tried(Fault("Two SIGKILLs at random moments of a run", "the next run ends in the same bytes", "run again"))
def test_a_killed_run_ends_in_the_same_bytes(tmp_path):
    names = ("data/made", "data/number.txt", "data/rendered", "dvc.lock")
    alone, killed = tmp_path / "alone", tmp_path / "killed"
    for root in (alone, killed):
        root.mkdir()
        tiny_project.build(root)
    _finished(alone)
    moments = random.Random(0)
    for _ in range(2):
        _killed(killed, after_s=moments.uniform(2, 5))
    _finished(killed)
    assert _prints(killed, names) == _prints(alone, names)


@pytest.mark.slow
@tried(Fault("20 SIGKILLs at random moments of the profile smoke", "the next run ends in the same bytes", "run again"))
def test_a_killed_smoke_run_ends_in_the_same_bytes(tmp_path):
    names = ("data/volumes", "data/bench", "data/models", "data/results", "data/report", "data/rendered", "dvc.lock")
    alone, killed = (
        runner.create(tmp_path / name, project=tiny_project.ROOT, profile="smoke") for name in ("alone", "killed")
    )
    _finished(alone)
    moments, kills = random.Random(0), 0
    for _ in range(20):
        kills += _killed(killed, after_s=moments.uniform(3, 25))
    _finished(killed)
    assert kills >= 15
    assert _prints(killed, names) == _prints(alone, names)
