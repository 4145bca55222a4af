"""Keep the README's numbers out of human hands: blocks between markers are filled from published files.

A block reads `<!-- begin table1 -->` ... `<!-- end table1 -->`; its content is the file of that name (see `BLOCKS`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from semantiseg.errors import DataError


def _markdown(name: str) -> Callable[[Path], str]:
    return lambda root: (root / "figures" / name).read_text(encoding="utf-8").strip()


def _composition(root: Path) -> str:
    """Of `composition.md` all models on SemantiBench's core prompts, and the first of them on clinical sentences."""
    lines = _markdown("composition.md")(root).splitlines()
    core = [line for line in lines if line.startswith(("| Sentences ", "|---", "| SemantiBench core"))]
    first = next((line.split("|")[2] for line in core if line.startswith("| SemantiBench core")), "")
    clinical = [line for line in lines if line.startswith(f"| clinical sentences |{first}|")]
    return "\n".join([lines[0], "", *core, *clinical])


def _ablation(root: Path) -> str:
    """What the ablation was made with, and what it found; without its table."""
    lines = _markdown("ablation.md")(root).splitlines()
    return "\n".join([lines[0], "", *(line for line in lines if line.startswith("- "))])


def _cost(root: Path) -> str:
    """What the committed demo run took, in one sentence."""
    run = json.loads((root / "benchmarks" / "demo_run.json").read_text(encoding="utf-8"))
    if not run.get("complete", True):
        return "The committed results were made in several calls; what one whole run takes was not measured yet."
    minutes = run["seconds"] / 60
    return (
        f"Measured for the committed results: {minutes:.1f} minutes and at most {run['peak_gib']:.1f} GiB of memory "
        f"({run['cores']} cores, {run['cpu']}, no GPU), once the environment exists."
    )


BLOCKS: dict[str, Callable[[Path], str]] = {
    "table1": _markdown("table1.md"),
    "composition": _composition,
    "ablation": _ablation,
    "claims": _markdown("claims.md"),
    "cost": _cost,
}
"""Block name -> what fills it, given the repository root."""


def fill(text: str, root: Path) -> str:
    """The README text with every block filled from the files under `root`.

    Raises:
        DataError: a marker names no known block, or has no end.
    """
    begun = re.findall(r"<!-- begin (\w+) -->", text)
    for name in begun:
        if name not in BLOCKS:
            raise DataError(f"README.md: expected a block among {sorted(BLOCKS)}, got {name!r}. Correct the marker.")
        pattern = re.compile(rf"(<!-- begin {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise DataError(f"README.md: expected '<!-- end {name} -->' after its beginning, got none. Add the marker.")
        content = BLOCKS[name](root)
        text = pattern.sub(lambda match, content=content: f"{match[1]}{content}\n{match[2]}", text)
    return text
