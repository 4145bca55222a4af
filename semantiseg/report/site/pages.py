"""The pages of the site as a folder of sources: the README as its start, docs, rendered notebooks, one page a package.

The folder keeps the repository's layout, so that a relative link that works on a code host works on the site.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from semantiseg import notebook

COPIED = ("docs", "figures", "notebooks/rendered")
"""Folders that become pages, or are linked from pages."""

LINKED = ("LICENSE", "CITATION.cff", "claims.yaml", "params.yaml", "dvc.yaml", "CONTRIBUTING.md", "CHANGELOG.md")
"""Files that pages link to, copied where they exist."""

PACKAGES = {
    "data": "Volumes, their readers and the phantom cohort",
    "bench": "Prompts: ontology, programs, grammar, reader, verifier",
    "models": "The model, its gates, and the baselines",
    "training": "Training and its objective",
    "evaluation": "Metrics, sensitivity, uncertainty, the scorer",
    "report": "Tables, figures, claims, this site",
}
"""Packages of the reference, in the direction of the data."""

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


def gather(root: Path, folder: Path) -> list[str]:
    """Write the sources of every page into `folder`.

    Args:
        root: the repository; only files that Git keeps are read, so that a bare clone has the same site.
        folder: an empty folder.

    Returns:
        The rendered notebooks as paths within the folder, in reading order.
    """
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, folder / name)
    for name in LINKED:
        if (root / name).is_file():
            shutil.copyfile(root / name, folder / name)
    readme = (root / "README.md").read_text(encoding="utf-8").replace("](notebooks/rendered)", "](notebooks/index.md)")
    (folder / "index.md").write_text(readme, encoding="utf-8")
    notebooks = sorted(path.relative_to(folder).as_posix() for path in (folder / "notebooks/rendered").glob("*.ipynb"))
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "notebooks/index.md").write_text(_notebook_list(folder, notebooks), encoding="utf-8")
    _references(root, folder / "reference")
    return notebooks


def _notebook_list(folder: Path, notebooks: list[str]) -> str:
    lines = ["# Notebooks", "", "Executed by the pipeline, shown as they were executed; each asks one question.", ""]
    for path in notebooks:
        question = _TITLE.search(notebook.read(folder / path).cells[0].source)
        stem = Path(path).stem
        lines.append(f"- [{question[1] if question else stem}](rendered/{stem}.ipynb) (`{stem}`)")
    return "\n".join(lines) + "\n"


def modules(root: Path, package: str) -> list[str]:
    """Dotted names of a package's modules, sorted; folders of static files have none."""
    paths = sorted((root / "semantiseg" / package).rglob("*.py"))
    names = [path.relative_to(root).with_suffix("").as_posix().replace("/", ".") for path in paths]
    return [name for name in names if not name.endswith(".__init__")]


def _references(root: Path, folder: Path) -> None:
    """One page a package, filled from its docstrings by mkdocstrings, and the list of them."""
    folder.mkdir()
    index = ["# Reference", "", "From the docstrings: shapes, axis order, units, errors and sources.", ""]
    for package, words in PACKAGES.items():
        index.append(f"- [`semantiseg.{package}`]({package}.md): {words}")
        body = [f"# semantiseg.{package}", "", words + ".", ""]
        body += [f"::: {name}\n" for name in modules(root, package)]
        (folder / f"{package}.md").write_text("\n".join(body), encoding="utf-8")
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")
