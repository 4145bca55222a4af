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
    (root / "benchmarks").mkdir()
    for name in ("README.md", "mkdocs.yml", "dvc.lock", "benchmarks/demo_run.json", *pages.LINKED):
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
    (root / "semantiseg/evaluation").mkdir(parents=True)
    shutil.copyfile(ROOT / "semantiseg/evaluation/bootstrap.py", root / "semantiseg/evaluation/bootstrap.py")
    return root


@pytest.fixture(scope="module")
def site(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published") / "site"
    said = build.build_site(clone, folder)
    assert "no case explorer" in said[1] and "make reproduce" in said[1]
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


def test_the_reference_has_a_page_a_module_made_from_its_docstrings(site: Path) -> None:
    assert {path.stem for path in (site / "reference").iterdir()} == {"index", "semantiseg.evaluation.bootstrap"}
    page = (site / "reference/semantiseg.evaluation.bootstrap.html").read_text(encoding="utf-8")
    assert 'id="semantiseg.evaluation.bootstrap.PatientBootstrap"' in page and page.count("<h1") == 1
    assert "Intervals by a bootstrap over patients" in (site / "reference/index.html").read_text(encoding="utf-8")


def test_every_module_has_a_room_in_the_reference() -> None:
    modules = {
        path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
        for path in (ROOT / "semantiseg").rglob("*.py") if path.stem != "__init__"
    }  # fmt: skip
    listed = [name for room in pages.ROOMS for name in pages.package_modules(ROOT, room)]
    assert sorted(listed) == sorted(modules)


def test_every_guide_stands_under_a_question() -> None:
    named = {page: question for section in pages.QUESTIONS.values() for page, question in section.items()}
    guides = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert guides - set(named) == set()
    assert all(question.endswith("?") for question in (*named.values(), *pages.QUESTIONS))


def test_the_model_card_is_filled_and_a_table_has_its_question_as_title(site: Path) -> None:
    card = (site / "docs/model_card.html").read_text(encoding="utf-8")
    assert "Model card: SemantiSeg" in card and "$" not in card.partition("<article")[2].partition("</article")[0]
    claims = (site / "figures/claims.html").read_text(encoding="utf-8")
    assert "Does the paper hold?" in claims.partition("<h1")[2][:200]


def test_site_and_explorer_lead_to_each_other() -> None:
    static = (ROOT / "semantiseg/explorer/static/index.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' in static and f"({pages.EXPLORER}/index.html)" in pages._cases([])


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


@pytest.mark.parametrize(("width", "pages"), [(390, "**/*.html"), (1280, "figures/*.html"), (1280, "index.html")])
def test_no_page_scrolls_sideways(site: Path, browser, width: int, pages: str) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults = []
    for path in sorted(site.glob(pages)):
        page.goto(path.as_uri(), wait_until="load")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{path.relative_to(site)}: {wide} px beyond the page"] if wide > 0 else []
    page.close()
    assert faults == []


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("index", 1280), ("index", 390), ("docs/score_your_model", 390), ("figures/claims", 390),
        ("notebooks/rendered/07_table1", 390), ("reference/semantiseg.evaluation.bootstrap", 390),
    ],
)  # fmt: skip
def test_axe_finds_no_fault_in_a_page_of_each_kind(site: Path, browser, name: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is a test dependency").Axe()
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto((site / f"{name}.html").as_uri(), wait_until="load")
    found = axe.run(page).response["violations"]
    page.close()
    assert [(item["id"], item["nodes"][0]["target"]) for item in found] == []


def test_the_search_works_from_disk_and_asks_no_other_host(site: Path, browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "docs/score_your_model.html").as_uri())
    page.locator("input[name=query]").fill("PatientBootstrap")
    found = page.locator(".md-search-result__item a").first
    found.wait_for(timeout=15000)
    assert "reference/semantiseg.evaluation.bootstrap.html" in found.get_attribute("href")
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]
    page.close()


def test_it_opens_from_disk_without_a_complaint(site: Path, browser) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto((site / "index.html").as_uri())
    assert page.locator("img[src='figures/patients_fig1.png']").evaluate("image => image.naturalWidth") > 500
    page.get_by_role("link", name="What was run?").first.click()
    page.locator("article li a").first.click()
    assert page.locator("article h1").first.inner_text().rstrip("¶").strip().endswith("?")
    page.close()
    assert said == []
