"""The site: every page from what Git keeps, every link leads somewhere, and it opens from disk without a network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from semantiseg import site as build
from semantiseg import site as links
from semantiseg import site as pages
from semantiseg.errors import DataError
from semantiseg.pipeline import notebook

pytest.importorskip("mkdocs", reason="the extra `site` is not installed")

ROOT = Path(__file__).parents[2]
SHOWN = ("07_table1", "08_teaser")


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bare clone with two of the notebooks and one module a package: no data, no results."""
    root = tmp_path_factory.mktemp("clone")
    for name in ("README.md", "mkdocs.yml", *pages.LINKED):
        shutil.copyfile(ROOT / name, root / name)
    for name in ("docs", "figures"):
        shutil.copytree(ROOT / name, root / name)
    (root / "notebooks/rendered").mkdir(parents=True)
    kept = "\n".join(
        line
        for line in (root / "README.md").read_text(encoding="utf-8").splitlines()
        if "notebooks/rendered/" not in line or all(f"rendered/{stem}" in line for stem in SHOWN)
    )
    (root / "README.md").write_text(kept, encoding="utf-8")
    for stem in SHOWN:
        shutil.copyfile(ROOT / f"notebooks/rendered/{stem}.ipynb", root / f"notebooks/rendered/{stem}.ipynb")
    for package in pages.PACKAGES:
        (root / "semantiseg" / package).mkdir(parents=True)
    shutil.copyfile(ROOT / "semantiseg/evaluation/bootstrap.py", root / "semantiseg/evaluation/bootstrap.py")
    return root


@pytest.fixture(scope="module")
def site(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "site"
    said = build.build_site(clone, folder)
    assert "no case explorer" in said[1] and "dvc pull" in said[1]
    return folder


def test_the_start_page_shows_patients_first_then_phantoms_and_the_claims(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    claims = (ROOT / "figures/claims.md").read_text(encoding="utf-8")
    assert 'src="figures/patients_fig1.png"' in page and claims.splitlines()[0] in page
    assert page.index("Results on patients") < page.index("Results on phantoms") < page.index("Does the paper hold?")


def test_notebooks_are_shown_as_they_were_executed(site: Path) -> None:
    source = notebook.read(ROOT / "notebooks/rendered/07_table1.ipynb")
    page = (site / "notebooks/rendered/07_table1.html").read_text(encoding="utf-8")
    shown = json.dumps([cell.get("outputs") for cell in source.cells])
    assert "image/png" not in shown or "data:image/png;base64" in page
    assert "SemantiSeg, token gate" in page


def test_the_list_of_notebooks_asks_their_questions(site: Path) -> None:
    page = (site / "notebooks/index.html").read_text(encoding="utf-8")
    for stem in SHOWN:
        question = notebook.read(ROOT / f"notebooks/rendered/{stem}.ipynb").cells[0].source.splitlines()[0]
        assert question.removeprefix("# ") in page


def test_the_reference_is_made_from_the_docstrings(site: Path) -> None:
    page = (site / "reference/evaluation.html").read_text(encoding="utf-8")
    assert 'id="semantiseg.evaluation.bootstrap.PatientBootstrap"' in page


def test_every_link_leads_somewhere_and_no_page_loads_from_another_host(site: Path) -> None:
    assert links.broken_links(site) == []


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ('<a href="gone.html">x</a>', ["page.html: gone.html"]),
        ('<a href="page.html#gone">x</a>', ["page.html: page.html#gone"]),
        ('<a href="#here">x</a><p id="here"></p>', []),
        ('<a href="../outside.html">x</a>', ["page.html: ../outside.html"]),
        ('<script src="https://example.org/x.js"></script>', ["page.html: https://example.org/x.js"]),
        ('<img src="data:image/png;base64,AA"><a href="https://example.org">x</a>', []),
        ('<img src="gone.png">', ["page.html: gone.png"]),
    ],
)
def test_a_link_that_leads_nowhere_is_found(content: str, found: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    (tmp_path / "outside.html").write_text("outside")
    (folder / "page.html").write_text(f"<html><body>{content}</body></html>")
    assert links.broken_links(folder) == found


def test_a_broken_link_in_a_guide_stops_the_build(clone: Path, tmp_path: Path) -> None:
    root = tmp_path / "clone"
    shutil.copytree(clone, root)
    (root / "docs/broken.md").write_text("# Broken\n\n[to nowhere](nowhere.md)\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"nowhere\.md|strict mode"):
        build.build_site(root, tmp_path / "site")


def test_it_opens_from_disk_without_a_complaint(site: Path, browser) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "index.html").as_uri())
    assert page.locator("img[src='figures/patients_fig1.png']").evaluate("image => image.naturalWidth") > 500
    page.get_by_role("link", name="Notebooks").first.click()
    page.locator("article li a").first.click()
    assert page.locator("article h1").first.inner_text().rstrip("¶").strip().endswith("?")
    page.close()
    assert said == []
