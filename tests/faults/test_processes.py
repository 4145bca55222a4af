"""Processes: what is killed takes its workers along, and what a system withholds is named"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import tiny_project
from faults.registry import Fault, tried

AT_WORK = """
import os, time
from pathlib import Path
from semantiseg.parallel import for_each

def work(name):
    Path(name).write_text(str(os.getpid()))
    time.sleep(600)

list(for_each(work, [(("one",), {}), (("two",), {})], workers=2))
"""
PATIENCE_S = 60
BASE = os.path.realpath(sys.executable)


def _until(answer, what):
    start = time.monotonic()
    while not answer():
        assert time.monotonic() - start < PATIENCE_S, f"expected {what} in {PATIENCE_S} s"
        time.sleep(0.1)


@tried(Fault("SIGKILL of a process whose workers measure cases", "its workers end within two seconds", "run again"))
def test_workers_end_with_the_process_that_started_them(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", AT_WORK], cwd=tmp_path, env=tiny_project.surroundings())
    try:
        said = [tmp_path / name for name in ("one", "two")]
        _until(lambda: all(path.is_file() and path.read_text() for path in said), "two workers")
        workers = [psutil.Process(int(path.read_text())) for path in said]
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    _until(lambda: not any(map(_lives, workers)), "the workers' end")


@pytest.fixture
def tiny_root(tmp_path):
    root = tmp_path / "tiny"
    root.mkdir()
    return tiny_project.build(root)


REPRODUCE = f"{sys.executable} -m semantiseg.cli reproduce"
STAGE = f"{sys.executable} -m semantiseg.pipeline.stage make"
READ_ONLY = "mount --bind . . && mount -o remount,ro,bind . && cd $PWD && {}"


@pytest.mark.parametrize("command", [REPRODUCE, STAGE], ids=["reproduce", "stage"])
@tried(
    *(
        Fault(name, "a sentence before anything is run", remedy, inject)
        for name, remedy, inject in (
            ("`ulimit -n 32`", "`ulimit -n 1024`", ("", "ulimit -n 32; {}", "got 32. Raise it (`ulimit -n 1024`)")),
            ("The loopback device is down", "`ip link set lo up`", ("unshare -n", "{}", "ip link set lo up")),
            ("The project's folder is read-only", "copy it to a place that can be written to",
             ("unshare -m", READ_ONLY, "Read-only file system. Name a place that can be written to")),
        )
    )
)  # fmt: skip
def test_what_a_system_withholds_is_named_with_its_remedy(tiny_root, command, fault):
    around, script, words = fault.inject
    if around and subprocess.run([*around.split(), "true"], capture_output=True).returncode:
        pytest.skip(f"`{around}` is not allowed here")
    answer = _shell(f"{around} sh -c".split() if around else ["sh", "-c"], script.format(command), tiny_root)
    assert answer.returncode == 1 and words in answer.stderr and "Traceback" not in answer.stderr, answer.stderr


def _shell(shell, script, root):
    return subprocess.run(
        [*shell, script], cwd=root, env=tiny_project.surroundings(), text=True, capture_output=True, timeout=100
    )


@tried(
    Fault("`ulimit -n 64` in the shell", "a stage runs", "nothing"),
    Fault("`ulimit -S -n 64` in the shell, more allowed", "the limit is raised for the run", "nothing"),
)
@pytest.mark.parametrize("limit", ["ulimit -n 64", "ulimit -S -n 20"])
def test_a_stage_runs_with_few_open_files(tiny_root, limit):
    answer = _shell(["sh", "-c"], f"{limit}; {STAGE}", tiny_root)
    assert answer.returncode == 0, answer.stderr


@tried(Fault("Too many open files in a cell of a notebook", "the remedy stands below the cell", "`ulimit -n 1024`"))
def test_what_the_system_refuses_a_cell_is_said_with_its_remedy(tmp_path):
    root = tmp_path / "tiny"
    root.mkdir()
    tiny_project.build(root, "import errno, os\nraise OSError(errno.EMFILE, os.strerror(errno.EMFILE))")
    answer = _shell(["sh", "-c"], STAGE, root)
    assert answer.returncode == 1 and "ulimit -n 1024" in answer.stderr and "cell [3], line 2" in answer.stderr


@tried(
    *(
        Fault(f"{name}, `make` is called", "it is named", "`rm -rf .venv; make environment`", spoil)
        for name, spoil in {
            "The Python of .venv was removed": lambda python: python.symlink_to("/gone/python3.11"),
            "The .venv is copied from elsewhere": lambda python: python.write_text("#!/gone/python3.11\n"),
            "The packages of .venv are gone": lambda python: python.write_text(f"#!/bin/sh\nexec {BASE} -IS \"$@\"\n"),
        }.items()
    )
)  # fmt: skip
@pytest.mark.parametrize("target", ["verify", "reproduce"])
def test_a_stale_environment_is_named_by_make(tmp_path, fault, target):
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    (tmp_path / "venv/.installed").touch()
    fault.inject(python)
    if not python.is_symlink():
        python.chmod(0o755)
    command = ["make", "--no-print-directory", f"VENV={tmp_path / 'venv'}", target]
    answer = subprocess.run(command, cwd=tiny_project.ROOT, text=True, capture_output=True, timeout=60)
    assert answer.returncode == 2 and "make environment" in answer.stderr and "Traceback" not in answer.stderr


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
