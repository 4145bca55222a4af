"""Every link of the built site leads somewhere: a file of the site, and a place within it where one is named.

The pages of the site as a folder of sources: the README as its start, docs, rendered notebooks, one page a package.

The folder keeps the repository's layout, so that a relative link that works on a code host works on the site.

Build the site: pages from what Git keeps, and the case explorer where the data are.
"""

from __future__ import annotations

import ast
import logging
import re
import shutil
import tempfile
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from semantiseg import files
from semantiseg.artifact.release import TEMPLATE, model_card
from semantiseg.errors import DataError
from semantiseg.explorer.build import missing_inputs, write_explorer
from semantiseg.pipeline import notebook


@dataclass
class _Page(HTMLParser):
    """Links out of a page, what it loads while it opens, and the places within it."""

    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        self.places.update(values[name] for name in ("id", "name") if name in values)
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        elif tag == "link" and values.get("rel") in ("stylesheet", "icon", "preload") and "href" in values:
            self.loads.append(values["href"])
        elif "src" in values:
            self.loads.append(values["src"])


def read_page(path: Path) -> _Page:
    """Parse one page."""
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken_links(site: Path, *, skip: tuple[str, ...] = ()) -> list[str]:
    """What leads nowhere, as `page: link`; and what a page would load from another host.

    Args:
        site: the built site.
        skip: first folders of pages that are not looked at.

    Links to other hosts are allowed and not followed; loading from them is not, as pages must open without a network.
    """
    pages = {
        path: read_page(path) for path in sorted(site.rglob("*.html")) if path.relative_to(site).parts[0] not in skip
    }
    found = []
    for path, page in pages.items():
        name = path.relative_to(site).as_posix()
        found += [f"{name}: {link}" for link in page.links if not _leads(path, link, site, pages)]
        found += [f"{name}: {link}" for link in page.loads if not _loads(path, link)]
    return found


def _loads(path: Path, link: str) -> bool:
    parts = urlsplit(link)
    if parts.scheme == "data" or not link:  # an empty source loads nothing
        return True
    return not parts.scheme and not parts.netloc and (path.parent / unquote(parts.path)).is_file()


def _leads(path: Path, link: str, site: Path, pages: dict[Path, _Page]) -> bool:
    parts = urlsplit(link)
    if parts.scheme in ("http", "https", "mailto"):
        return True
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if parts.path in (".", "./") or target.is_dir():
        target = target / "index.html"
    if not target.is_file() or not target.is_relative_to(site.resolve()) and target != path:
        return False
    if not parts.fragment or target.suffix != ".html":
        return True
    page = pages.get(target) or pages.get(site / target.relative_to(site.resolve())) or read_page(target)
    return unquote(parts.fragment) in page.places or parts.fragment.startswith("__")


COPIED = ("docs", "figures", "notebooks/rendered")
"""Folders that become pages, or are linked from pages."""

LINKED = ("LICENSE", "CITATION.cff", "claims.yaml", "params.yaml", "dvc.yaml", "CONTRIBUTING.md", "CHANGELOG.md")
"""Files that pages link to, copied where they exist."""

QUESTIONS: dict[str, dict[str, str]] = {
    "What was found?": {
        "figures/patients.md": "What happens on patients?",
        "figures/table1.md": "How do the models compare?",
        "figures/table2.md": "Where do they fail?",
        "figures/composition.md": "Does it help to read the sentence first?",
        "figures/ablation.md": "What makes the difference?",
        "figures/claims.md": "Does the paper hold?",
        "docs/model_card.md": "What can the model do, and what not?",
    },
    "How do I ...?": {
        "docs/segment_with_a_sentence.md": "How do I segment with a sentence?",
        "docs/bring_your_data.md": "How do I use my own images?",
        "docs/score_your_model.md": "How good is my model?",
        "docs/bring_a_model.md": "How do I bring my own model?",
        "docs/baselines.md": "How do I run the paper's baselines?",
        "docs/biomedparse.md": "Is BiomedParse here the official one?",
        "docs/train_on_gpus.md": "How do I train on GPUs?",
        "docs/starts.md": "Where does a training begin?",
        "docs/language_model_server.md": "How do I use a language model?",
        "docs/collections.md": "How do I get the official images?",
        "docs/dataset_release.md": "How do I publish or join the benchmark?",
        "docs/publish_artifacts.md": "How do I check and share results?",
    },
    "How is it built?": {
        "docs/architecture.md": "Where does an image go?",
        "docs/decisions.md": "Why is it so?",
        "docs/faults.md": "What goes wrong, and what then?",
        "docs/extend.md": "How do I extend it?",
        "CONTRIBUTING.md": "How do I contribute?",
        "CHANGELOG.md": "What has changed?",
    },
}
"""Section of the navigation -> page -> the question that it answers; pages of none stand under "How do I ...?"."""

ROOMS = {
    "": "the doors and the ground: modules that know nothing of the rooms",
    "language": "ontology, programs, the grammar that writes and the reader that understands",
    "data": "files, grids, volumes, patients; layouts, official collections, phantoms",
    "bench": "measures, questions, verifier, records and releases of the benchmark",
    "llm": "language models that word prompts anew or read them",
    "models": "the segmenter of the paper: text, streams, gate, decoder",
    "composition": "a model that is asked the nouns of a sentence and combines their masks",
    "baselines": "networks of others under their official names",
    "training": "batches, steps, loops, what a training costs",
    "evaluation": "asking models, scores, intervals, comparisons",
    "paper": "tables and figures, and the claims of the paper, executed",
    "scoring": "masks of anybody scored",
    "explorer": "pages of cases",
    "pipeline": "the stages' runner",
    "artifact": "what reviewers ask",
    "commands": "verbs of the command line",
}
"""Room of the package (docs/architecture.md) -> what it holds, from the ground up."""

_TITLE = re.compile(r"^# +(.+)$", re.MULTILINE)


def write_sources(root: Path, folder: Path) -> list[str]:
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
    (folder / TEMPLATE).write_text(model_card(root), encoding="utf-8")
    for page, question in (item for pages in QUESTIONS.values() for item in pages.items()):
        path = folder / page
        if path.is_file() and not _TITLE.search(text := path.read_text(encoding="utf-8")):
            path.write_text(f"# {question}\n\n{text}", encoding="utf-8")
    notebooks = sorted(path.relative_to(folder).as_posix() for path in (folder / "notebooks/rendered").glob("*.ipynb"))
    (folder / "notebooks").mkdir(exist_ok=True)
    (folder / "notebooks/index.md").write_text(_notebook_list(folder, notebooks), encoding="utf-8")
    _references(root, folder / "reference")
    return notebooks


def _notebook_list(folder: Path, notebooks: list[str]) -> str:
    lines = ["# What was run?", "", "Each notebook asks one question; shown as the pipeline executed it.", ""]
    lines += [f"- [{asked(folder / path)}](rendered/{Path(path).name}) (`{Path(path).stem}`)" for path in notebooks]
    return "\n".join(lines) + "\n"


def asked(path: Path) -> str:
    """The question of a rendered notebook, and the model where one source is executed for several."""
    title = _TITLE.search(notebook.read(path).cells[0].source)
    stage, _, model = path.stem.partition("-")
    return (title[1] if title else stage) + (f" ({model})" if model else "")


def package_modules(root: Path, package: str) -> list[str]:
    """Dotted names of a room's modules, sorted; of the package itself those that lie in no room."""
    folder = root / "semantiseg" / package
    paths = sorted(folder.rglob("*.py") if package else folder.glob("*.py"))
    names = [path.relative_to(root).with_suffix("").as_posix().replace("/", ".") for path in paths]
    return [name for name in names if not name.endswith(".__init__")]


def _room(module: str) -> str:
    """The room in which a module of a dotted name lies."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 else ""


def _references(root: Path, folder: Path) -> None:
    """One page a module, filled from its docstrings by mkdocstrings, and the list of them by room."""
    folder.mkdir()
    index = ["# Where is a function?", "", "From the docstrings: shapes, axis order, units, errors and sources.", ""]
    for package, words in ROOMS.items():
        names = package_modules(root, package)
        index += ["", f"## {package or 'semantiseg'}: {words}", ""] if names else []
        for name in names:
            source = (root / name.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
            said = (ast.get_docstring(ast.parse(source)) or "").partition("\n\n")[0]
            index.append(f"- [`{name.removeprefix('semantiseg.')}`]({name}.md): {' '.join(said.split())}")
            (folder / f"{name}.md").write_text(f"::: {name}\n", encoding="utf-8")
    (folder / "index.md").write_text("\n".join(index) + "\n", encoding="utf-8")


EXPLORER = "explorer"


def build_site(root: Path, folder: Path) -> list[str]:
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
    files.check_folder(folder, verb="site", inputs=[root])
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "source"
        source.mkdir()
        notebooks = write_sources(root, source)
        missing = missing_inputs(root)
        (source / "cases.md").write_text(_cases(missing), encoding="utf-8")
        files.renew(folder, verb="site", inputs=[root])
        _mkdocs(root, source, folder, notebooks)
        # A server's page for wrong addresses; its links start at the server's root, which a folder on disk has not.
        (folder / "404.html").unlink()
    said = [f"{folder / 'index.html'}: {len(notebooks)} notebooks, {len(list(folder.rglob('*.html')))} pages"]
    if missing:
        said.append(f"no case explorer: {', '.join(missing)} not here (`make reproduce` brings them)")
    else:
        said.append(str(write_explorer(root, folder / EXPLORER)))
    if found := broken_links(folder, skip=(EXPLORER,)):
        raise DataError(f"{folder}: expected links that lead somewhere, got {len(found)} that do not: {found[:10]}.")
    return said


def _cases(missing: list[str]) -> str:
    """The page that leads to the explorer, or says why it is not there."""
    if missing:
        return (
            "# What happens on a case?\n\nThe case explorer shows every test prompt on its slice. It needs the volumes "
            "and results, which Git does not keep: run `make reproduce` (an hour on two cores), or take them from a "
            "bundle ([how](docs/publish_artifacts.md)), then `make site` again.\n"
        )
    return (
        f"# What happens on a case?\n\n[Open the case explorer]({EXPLORER}/index.html){{ .md-button }}\n\n"
        "Every test prompt on its slice, with its truth, its program and evidence clause by clause, and the answers of "
        "two models side by side.\n"
    )


def _mkdocs(root: Path, source: Path, folder: Path, notebooks: list[str]) -> None:
    """Run MkDocs on the sources with the settings of `mkdocs.yml`."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config
    from mkdocs.exceptions import MkDocsException

    logging.getLogger("mkdocs").setLevel(logging.ERROR)
    try:
        config = load_config(
            str(root / "mkdocs.yml"), docs_dir=str(source), site_dir=str(folder.resolve()), nav=_nav(source, notebooks)
        )
        build(config)
    except MkDocsException as error:
        raise DataError(f"the site: expected pages that build, got: {error}. Correct the page or mkdocs.yml.") from None


def _nav(source: Path, notebooks: list[str]) -> list[dict[str, Any]]:
    """Every page under the question that it answers, in the order in which they are asked."""
    asks, answers, builds = QUESTIONS
    sections: dict[str, list[str | dict[str, str]]] = {
        section: [{question: page} for page, question in pages.items() if (source / page).is_file()]
        for section, pages in QUESTIONS.items()
    }
    named = {page for pages in QUESTIONS.values() for page in pages}
    guides = sorted(path.relative_to(source).as_posix() for path in (source / "docs").rglob("*.md"))
    sections[answers] += [page for page in guides if page not in named]
    run: list[str | dict[str, str]] = [{asked(source / path): path} for path in notebooks]
    modules = sorted(path.stem for path in (source / "reference").glob("semantiseg.*.md"))
    reference = [
        {package or "semantiseg": [{name.split(".", depth)[-1]: f"reference/{name}.md"} for name in names]}
        for package in ROOMS
        for depth in [2 if package else 1]
        if (names := [name for name in modules if _room(name) == package])
    ]
    return [
        {"Start": "index.md"},
        {asks: sections[asks]},
        {"What happens on a case?": "cases.md"},
        {answers: sections[answers]},
        {"What was run?": ["notebooks/index.md", *run]},
        {builds: sections[builds]},
        {"Where is a function?": ["reference/index.md", *reference]},
    ]
