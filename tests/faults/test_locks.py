"""Locks: a kill while DVC writes them costs nothing but time"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
import tiny_project
from faults.registry import Fault, tried

from semantiseg import files
from semantiseg.errors import ParameterError, StageError
from semantiseg.pipeline import mending, runner

OUTPUTS = ("data/made", "data/number.txt", "data/rendered/01_make.ipynb", "dvc.lock")


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A project that has run, made once."""
    root = tmp_path_factory.mktemp("once") / "tiny"
    root.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tiny_project.ROOT))
        runner.reproduce(tiny_project.build(root))
    return root


@pytest.fixture
def ran(once, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(tiny_project.ROOT))
    return shutil.copytree(once, tmp_path / "tiny")


def _prints(root):
    return {name: files.fingerprint(root / name) for name in OUTPUTS}


@tried(
    *(
        Fault(f"SIGKILL while DVC writes dvc.lock leaves {name}", "the last whole lock is put back", "run again", torn)
        for name, torn in {
            "it empty": lambda text: "",
            "a third of it": lambda text: text[: len(text) // 3],
            "two thirds of it": lambda text: text[: 2 * len(text) // 3],
            "a line of it": lambda text: text.splitlines()[0] + "\nstages:\n",
            "zeros": lambda text: "\0" * len(text),
        }.items()
    )
)
def test_a_torn_lock_is_put_back_and_the_run_gives_the_same_bytes(ran, fault, capfd):
    before, lock = _prints(ran), ran / "dvc.lock"
    lock.write_text(fault.inject(lock.read_text()))
    runner.reproduce(ran)
    assert _prints(ran) == before


@tried(
    Fault(
        "dvc.lock is torn and no copy of it is left", "an error that names it", "`git checkout dvc.lock`, or remove it"
    )
)
def test_without_a_copy_the_remedy_is_said(ran):
    mending.forget(ran)
    (ran / "dvc.lock").write_text("")
    with pytest.raises(ParameterError, match=r"dvc.lock.*git checkout"):
        runner.reproduce(ran)


@tried(
    Fault("dvc.lock holds Git's conflict markers", "`reproduce` and `verify` name file and line", "choose a side"),
)
def test_conflict_markers_are_never_chosen_between(ran):
    text = (ran / "dvc.lock").read_text()
    (ran / "dvc.lock").write_text(f"<<<<<<< HEAD\n{text}=======\n{text}>>>>>>> other\n")
    for ask in (runner.reproduce, runner.stale):
        with pytest.raises(ParameterError, match=r"dvc.lock: expected YAML, got Git's conflict markers \(line 1\)"):
            ask(ran)


@tried(
    *(
        Fault(f"SIGKILL leaves .dvc/tmp/rwlock {name}", "it is removed", "run again", torn)
        for name, torn in {
            "empty": b"",
            "half written": b'{"data/ma',
            "full of zeros": b"\0" * 40,
            "a list": b"[]",
        }.items()
    )
)
def test_a_torn_list_of_running_processes_is_removed(ran, fault):
    (ran / mending.RUNNING).write_bytes(fault.inject)
    assert mending.mend(ran) == [".dvc/tmp/rwlock: torn by a kill; removed"]
    assert runner.dvc("repro", root=ran).returncode == 0


def test_a_whole_lock_and_list_are_left_alone(ran):
    (ran / mending.RUNNING).write_text(json.dumps({"data": {"read": []}}))
    before = _prints(ran)
    assert mending.mend(ran) == [] and _prints(ran) == before and (ran / mending.RUNNING).is_file()


def test_a_lock_with_fewer_stages_does_not_replace_the_kept_one(ran):
    kept = (ran / mending.KEPT).read_bytes()
    (ran / "dvc.lock").write_text("schema: '2.0'\nstages: {}\n")
    mending.keep(ran)
    assert (ran / mending.KEPT).read_bytes() == kept


@tried(
    Fault(
        "`semantiseg reproduce` is started twice in one folder", "the second says who runs", "wait, or use a workspace"
    )
)
def test_the_second_of_two_runs_says_who_is_at_work(ran):
    hold = (
        f"import time; from pathlib import Path; from semantiseg.pipeline import mending\n"
        f"with mending.alone(Path({str(ran)!r})): print('held', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, env=tiny_project.surroundings())
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StageError, match=rf"process {other.pid}\)"):
            runner.reproduce(ran)
    finally:
        other.kill()
        other.wait()
    with mending.alone(ran):  # a killed one holds nothing
        pass


@pytest.mark.slow
@tried(
    Fault("SIGKILL at five moments around the writing of dvc.lock", "the next run ends in the same bytes", "run again")
)
def test_kills_aimed_at_the_lock_cost_nothing(ran):
    before = _prints(ran)
    for moment in range(5):
        (ran / "words.txt").write_text(f"liver kidney spleen{moment}\n")
        command = [sys.executable, "-m", "semantiseg.cli", "reproduce"]
        process = subprocess.Popen(command, cwd=ran, env=tiny_project.surroundings(), start_new_session=True)
        changed = (ran / "dvc.lock").stat().st_mtime_ns
        while process.poll() is None and (ran / "dvc.lock").stat().st_mtime_ns == changed:
            time.sleep(0.0005)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        (ran / "words.txt").write_text("liver kidney\n")
        runner.reproduce(ran)
        assert _prints(ran) == before
