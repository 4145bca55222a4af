"""What a run cost is measured for the process and what it starts."""

from __future__ import annotations

import subprocess
import sys

from semantiseg import measure


def test_memory_and_work_of_started_processes_count():
    with measure.Meter(interval=0.02) as before:
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    code = "import time; held = bytearray(200 * 2**20); end = time.process_time() + 0.5\n"
    code += "while time.process_time() < end: pass"
    with measure.Meter(interval=0.02) as after:
        subprocess.run([sys.executable, "-c", code], check=True)
    assert after.peak_mib - before.peak_mib > 150
    assert after.cpu_seconds >= 0.5 and after.seconds >= 0.5


def test_the_machine_is_described_the_same_way_twice():
    first = measure.machine()
    assert first == measure.machine()
    assert first["cores"] >= 1 and first["cpu"] and first["versions"]["torch"] != "absent"
