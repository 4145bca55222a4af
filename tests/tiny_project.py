"""Throw-away pipelines of one tiny notebook, for tests of the machinery that runs the real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat

from semantiseg.params import profile_text
from semantiseg.pipeline.notebook import METADATA, write_text

ROOT = Path(__file__).resolve().parents[1]

TINY_STAGES = """
stages:
  make:
    cmd: python -m semantiseg.pipeline.stage make
    deps: [notebooks/01_make.ipynb, words.txt]
    params: [seed, encode]
    outs: [data/made, data/number.txt, data/rendered/01_make.ipynb]
"""

TINY_PARAMETERS = 'seed = 1\ntext_encoder = "none"\nstaging = "."'

TINY_CODE = """from pathlib import Path
import sys
out = Path(staging) / "data" / "made"
out.mkdir(parents=True)
words = Path("words.txt").read_text().split()
for word in words:
    (out / f"{word}.txt").write_text(word * (seed + 1))
print("made", len(words)); print("warned", file=sys.stderr); print("again")"""

TINY_END = '(Path(staging) / "data" / "number.txt").write_text(str(seed))\n2 ** 7'


def tiny_notebook(*cells: str, parameters: str | None = TINY_PARAMETERS) -> nbformat.NotebookNode:
    """A notebook of prose, a parameters cell (unless None) and the given code cells."""
    made = [nbformat.v4.new_markdown_cell("# Does it run?")]
    if parameters is not None:
        made.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
    made += [nbformat.v4.new_code_cell(cell) for cell in cells]
    for number, cell in enumerate(made):
        cell.id = f"cell-{number:02d}"
    return nbformat.v4.new_notebook(cells=made, metadata=METADATA)


def build(folder: Path, *cells: str, parameters: str | None = TINY_PARAMETERS, stages: str = TINY_STAGES) -> Path:
    """A one-stage project `make` in an empty folder."""
    for name in (".dvc", "notebooks"):
        (folder / name).mkdir()
    (folder / ".dvc/config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    (folder / "dvc.yaml").write_text(stages)
    (folder / "params.yaml").write_text(profile_text("smoke"))
    (folder / "words.txt").write_text("liver kidney\n")
    text = write_text(tiny_notebook(*(cells or (TINY_CODE, TINY_END)), parameters=parameters))
    (folder / "notebooks/01_make.ipynb").write_text(text)
    return folder


def surroundings() -> dict[str, str]:
    """Environment of commands under test: the package comes from this checkout."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return os.environ | {"PYTHONPATH": str(ROOT), "PATH": path}


def run(*arguments: str, cwd: Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`python ARGUMENTS` in a folder, with the package of this checkout."""
    return subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=surroundings(), text=True, capture_output=True, timeout=timeout
    )
