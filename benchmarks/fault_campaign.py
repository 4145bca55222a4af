"""Faults that tests try, and how many of them lose something or end in an error of no type of this package's."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from semantiseg.errors import StageError

TRIED = 150


def campaign(root: Path) -> Iterator[dict[str, Any]]:
    """What the registry lists, and how the fast tests of `tests/faults/` end.

    Raises:
        StageError: the tests did not run.
    """
    sys.path.insert(0, str(root / "tests"))
    try:
        from faults import table
    finally:
        sys.path.pop(0)
    listed = [fault for _, found in table.sections() for fault, _ in found]
    messages = _failures(root)
    yield {"name": "faults_tried", "value": len(listed), "unit": "", "target": TRIED, "better": "higher"}
    yield {"name": "faults_lost", "value": len(messages), "unit": "", "target": 0}
    untyped = [message for message in messages if not message.startswith(("AssertionError", "assert", "Failed"))]
    yield {"name": "untyped_errors", "value": len(untyped), "unit": "", "target": 0}


def _failures(root: Path) -> list[str]:
    """The first words of each failure."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junit-xml={report}", "tests/faults"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
        if done.returncode not in (0, 1) or not report.is_file():
            raise StageError(f"benchmark fault_campaign: expected the tests to run, got:\n{done.stdout[-2000:]}")
        cases = ElementTree.parse(report).iter("testcase")
        return [bad.get("message", "") for case in cases for bad in (*case.iter("failure"), *case.iter("error"))]


BENCHMARKS = (campaign,)
