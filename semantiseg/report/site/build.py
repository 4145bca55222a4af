"""Build the site: pages from what Git keeps, and the case explorer where the data are."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from semantiseg import output
from semantiseg.errors import DataError
from semantiseg.report.explorer import build as explorer
from semantiseg.report.site import links, pages

EXPLORER = "explorer"


def build(root: Path, folder: Path) -> list[str]:
    """Write the site into `folder`, which it replaces if it made it.

    Args:
        root: the repository. Without data (a bare clone) the site has no case explorer, and says how to get it.
        folder: where `index.html` will lie; readable from disk and from a server.

    Returns:
        What there is to know, one line each.

    Raises:
        OutputError: the folder holds anything else, or the repository.
        DataError: a page does not build, or a link leads nowhere; all are named.
    """
    output.check_folder(folder, verb="site", inputs=[root])
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        notebooks = pages.gather(root, source)
        missing = explorer.absent(root)
        (source / "cases.md").write_text(_cases(missing), encoding="utf-8")
        output.renew(folder, verb="site", inputs=[root])
        _mkdocs(root, source, folder, notebooks)
        # A server's page for wrong addresses; its links start at the server's root, which a folder on disk has not.
        (folder / "404.html").unlink()
    said = [f"{folder / 'index.html'}: {len(notebooks)} notebooks, {len(list(folder.rglob('*.html')))} pages"]
    if missing:
        said.append(f"no case explorer: {', '.join(missing)} not here (`dvc pull` or `make reproduce` brings them)")
    else:
        said.append(str(explorer.build(root, folder / EXPLORER)))
    if found := links.broken(folder, skip=(EXPLORER,)):
        raise DataError(f"{folder}: expected links that lead somewhere, got {len(found)} that do not: {found[:10]}.")
    return said


def _cases(missing: list[str]) -> str:
    """The page that leads to the explorer, or says why it is not there."""
    if missing:
        return (
            "# Cases\n\nThe case explorer shows every test prompt on its slice. It needs the volumes and results, "
            "which Git does not keep: run `dvc pull` or `make reproduce`, then `make site` again.\n"
        )
    return (
        f"# Cases\n\n[Open the case explorer]({EXPLORER}/index.html){{ .md-button }}\n\nEvery test prompt on its "
        "slice, with its truth, its program and evidence clause by clause, and the answers of two models side by "
        "side.\n"
    )


def _mkdocs(root: Path, source: Path, folder: Path, notebooks: list[str]) -> None:
    """Run MkDocs on the sources with the settings of `mkdocs.yml`."""
    from mkdocs.commands.build import build as run
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    logging.getLogger("mkdocs").setLevel(logging.ERROR)
    try:
        config = load_config(
            str(root / "mkdocs.yml"), docs_dir=str(source), site_dir=str(folder.resolve()), nav=_nav(source, notebooks)
        )
        run(config)
    except MkDocsException as error:
        raise DataError(f"the site: expected pages that build, got: {error}. Correct the page or mkdocs.yml.") from None


def _nav(source: Path, notebooks: list[str]) -> list[dict[str, Any]]:
    """Start, cases, notebooks, how-to pages and reference, in the order in which they are read."""
    guides = sorted(path.relative_to(source).as_posix() for path in (source / "docs").rglob("*.md"))
    first = ["docs/architecture.md", "docs/decisions.md"]
    return [
        {"Start": "index.md"},
        {"Cases": "cases.md"},
        {"Notebooks": ["notebooks/index.md", *({Path(path).stem: path} for path in notebooks)]},
        {"How to": [path for path in guides if path not in first]},
        {"Design": [path for path in first if path in guides]},
        {"Reference": ["reference/index.md", *(f"reference/{name}.md" for name in pages.PACKAGES)]},
    ]
