"""Measure in a process of its own, whose memory and caches are those of what is measured alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from semantiseg.errors import StageError


def measured(script: str, argument: str) -> dict[str, float]:
    """What a benchmark's file prints as its last line, in JSON, when it is run with one argument.

    Raises:
        StageError: it failed; the end of what it said is quoted.
    """
    done = subprocess.run([sys.executable, script, argument], capture_output=True, text=True)
    if done.returncode:
        raise StageError(
            f"benchmark {Path(script).stem}: expected a measurement of {argument}, got:\n{done.stderr[-2000:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])
