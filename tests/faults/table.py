"""docs/faults.md from the tests that try the faults: `PYTHONPATH=.:tests python -m faults.table` (`make faults`)."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from faults.registry import Fault

HERE = Path(__file__).parent
DOCUMENT = HERE.parents[1] / "docs/faults.md"

HEAD = """# Faults, and what happens then

What if the disk is full, the process is killed, a file is spoiled or a server lies? Every line below is tried by a
test in `tests/faults/`, and this page is made from those tests by `make faults`. A line marked (slow) is tried by
`pytest -m slow tests/faults` only.
"""


def sections() -> Iterator[tuple[str, list[tuple[Fault, bool]]]]:
    """For each test file its first line of documentation, and its faults, each with whether its test is slow."""
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(f"faults.{path.stem}")
        found = [
            (fault, any(mark.name == "slow" for mark in getattr(test, "pytestmark", [])))
            for test in vars(module).values()
            for fault in getattr(test, "faults", ())
        ]
        if found:
            yield (module.__doc__ or path.stem).partition("\n")[0].rstrip("."), found


def text() -> str:
    """The document."""
    parts = [HEAD]
    for title, found in sections():
        rows = [
            f"| {_cell(fault.name)}{' (slow)' if slow else ''} | {_cell(fault.happens)} | {_cell(fault.remedy)} |"
            for fault, slow in found
        ]
        head = [f"## {title}", "", "| Fault | What happens | What you do |", "|---|---|---|"]
        parts.append("\n".join([*head, *rows, ""]))
    return "\n".join(parts)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    DOCUMENT.write_text(text(), encoding="utf-8")
