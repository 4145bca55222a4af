"""Processes: what is killed takes its workers along, and what a system withholds is named"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
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


def _lives(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
