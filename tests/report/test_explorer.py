"""The case explorer: its data agree with the results, and it works in a real browser, from disk and from a server."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.conventions import radiological
from semantiseg.errors import DataError
from semantiseg.evaluation import runs
from semantiseg.explorer import build
from semantiseg.explorer import case as phrases
from semantiseg.explorer import case as picture
from semantiseg.language.clause import Clause
from semantiseg.language.program import parse
from semantiseg.models.text import write_features

PAGE = "index.html"


@pytest.fixture(scope="module")
def explorer(tmp_path_factory: pytest.TempPathFactory, cohort, save_tiny_model) -> Path:
    root = tmp_path_factory.mktemp("cohort")
    cohort.write(root, {"token": "truth", "scalar": "collapses"})
    save_tiny_model(root / "data" / "models" / "token")
    write_features(root / "data" / "text" / "features.h5", list(cohort.prompts["text"]))
    return build.write_explorer(root, root / "site" / "explorer").parent


def received(path: Path):
    """What a data script passes to `SemantiSeg.receive`."""
    text = path.read_text(encoding="utf-8")
    return json.loads("[" + re.fullmatch(r"SemantiSeg\.receive\((.*)\);\n", text, re.DOTALL)[1] + "]")[2]


# Data


def test_every_prompt_keeps_its_target_and_its_answers_as_displayed(explorer, cohort):
    answers = cohort.answers("collapses")
    case = received(explorer / "data" / "case01_CT.js")
    prompts = cohort.prompts.set_index("prompt_id")
    assert {item["prompt_id"] for item in case["prompts"]} == set(prompts[prompts["case_id"] == "case01"].index)
    for item in case["prompts"]:
        target = runs.decode(case["masks"][item["target"]], height=40, width=48)
        answer = runs.decode(case["masks"][item["answers"]["scalar"]["mask"]], height=40, width=48)
        assert target.sum() == prompts.loc[item["prompt_id"], "target_pixels"]
        assert np.array_equal(answer, radiological(answers[item["prompt_id"]]))


def test_label_runs_give_the_displayed_labels_back():
    labels = np.random.default_rng(0).integers(0, 3, (7, 5)).astype(np.uint8)
    pairs = np.reshape(picture.label_runs(labels), (-1, 2))
    assert np.array_equal(np.repeat(pairs[:, 0], pairs[:, 1]).reshape(7, 5), radiological(labels))


def test_the_sheet_holds_slice_after_slice_in_radiological_convention():
    image = np.linspace(0, 1, 3 * 4 * 5).reshape(3, 4, 5)
    sheet = picture.sheet(image)
    assert sheet.shape == (8, 10)
    assert sheet[0, 0] == round(image[0, -1, -1] * 255) and sheet[4, 0] == round(image[2, -1, -1] * 255)


def test_phrases_tell_which_words_say_which_part():
    text = "hypodense mass in the right kidney, excluding the renal cyst"
    program = parse("minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))")
    said = {text[a:b]: role for a, b, role in phrases.spans(text, program, [Clause("density", "hypodense")])}
    assert said["hypodense"] == "clause:0" and said["excluding"] == "operation:minus"
    assert said["mass"] == "structure:kidney_tumour" and said["in"] == "operation:within"


def test_a_gate_map_holds_the_means_of_its_parts_as_displayed():
    gate = np.random.default_rng(0).random((10, 8)).astype(np.float32)
    found = build.encoded(gate)
    values = np.frombuffer(base64.b64decode(found["values"]), np.uint8).reshape(found["height"], found["width"])
    assert values.shape == (2, 2)
    assert values[0, 1] == round(float(radiological(gate)[:5, 4:].mean()) * 255)


def test_every_prompt_of_a_gated_model_has_its_map_and_others_have_none(explorer):
    for item in received(explorer / "data" / "case01_CT.js")["prompts"]:
        assert (item["answers"]["token"]["gate"]["height"], item["answers"]["token"]["gate"]["width"]) == (10, 12)
        assert "gate" not in item["answers"]["scalar"]  # its results are here, its model is not


def test_two_builds_give_the_same_bytes(explorer):
    root = explorer.parents[1]
    again = build.write_explorer(root, root / "again").parent
    names = sorted(path.relative_to(explorer) for path in explorer.rglob("*") if path.is_file())
    assert all((explorer / name).read_bytes() == (again / name).read_bytes() for name in names)


def test_without_results_it_says_how_to_get_them(tmp_path):
    with pytest.raises(DataError, match="semantiseg reproduce"):
        build.write_explorer(tmp_path, tmp_path / "site")


def test_pages_name_no_other_host(explorer):
    texts = [path.read_text() for path in explorer.glob("*") if path.suffix in (".html", ".css", ".js")]
    assert texts and not any("://" in text or 'src="//' in text for text in texts)


# In a browser


class _Silent(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(params=["disk", "server"])
def address(request: pytest.FixtureRequest, explorer: Path) -> Iterator[str]:
    if request.param == "disk":
        yield (explorer / PAGE).as_uri()
        return
    handler = functools.partial(_Silent, directory=str(explorer))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{PAGE}"
        server.shutdown()


def opened(browser, address: str, *, width: int = 1280, complaints: list[str] | None = None):
    page = browser.new_page(viewport={"width": width, "height": 900})
    if complaints is not None:
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    page.wait_for_selector("html[data-ready]")
    return page


def pixels(page, side: str = "a") -> bytes:
    return page.locator(f"#canvas-{side}").screenshot()


def test_choosing_scrolling_switching_and_a_link_that_restores_the_view(browser, address):
    complaints: list[str] = []
    page = opened(browser, address, complaints=complaints)
    page.select_option("#level", "3")
    page.select_option("#case", "case02:CT")
    page.wait_for_selector("html[data-ready='case02:CT']")
    metas = page.locator("#prompts li .meta").all_inner_texts()
    assert metas and all(text.startswith("L3") for text in metas)
    page.locator("#prompts li", has_text="renal parenchyma sparing the mass").click()
    assert page.locator("#scores-a tbody tr").first.inner_text().split() == ["Dice", "1.00"]
    assert page.locator("#scores-b caption").inner_text().endswith("Collapsed onto the parent")
    shown = pixels(page)
    page.locator("#show-truth").uncheck()
    page.locator("#show-answer").uncheck()
    assert pixels(page) != shown
    page.keyboard.press("t")
    page.keyboard.press("a")
    assert pixels(page) == shown
    page.locator("h1").click()
    page.keyboard.press("ArrowRight")
    assert page.locator("#slice-number").inner_text() == "3 / 3"
    page.locator("#canvas-a").hover()
    page.mouse.wheel(0, -100)
    assert page.locator("#slice-number").inner_text() == "2 / 3, asked"
    page.select_option("#model-b", "token")
    page.locator("#opacity-answer").fill("80")
    page.wait_for_function("location.hash.includes('answer=80')")
    link, text, picture_b = page.url, page.locator("#prompt-text").inner_text(), pixels(page, "b")
    again = opened(browser, link, complaints=complaints)
    assert again.locator("#prompt-text").inner_text() == text and pixels(again, "b") == picture_b
    assert again.locator("#level").input_value() == "3" and again.locator("#model-b").input_value() == "token"
    assert complaints == []


def test_the_gate_map_is_shown_for_the_model_that_has_one(browser, explorer):
    page = opened(browser, (explorer / PAGE).as_uri() + "#a=token&b=scalar")
    before = pixels(page, "a"), pixels(page, "b")
    page.locator("h1").click()
    page.keyboard.press("g")
    assert page.locator("#show-gate").is_checked()
    assert pixels(page, "a") != before[0] and pixels(page, "b") == before[1]


def test_the_list_is_walked_with_arrow_keys(browser, explorer):
    page = opened(browser, (explorer / PAGE).as_uri())
    page.locator("#prompts li").first.click()
    page.keyboard.press("ArrowDown")
    selected = page.locator("#prompts li[aria-selected='true']")
    assert selected.count() == 1 and selected.get_attribute("id") == page.evaluate("document.activeElement.id")
    assert page.locator("#prompts li").nth(1).get_attribute("aria-selected") == "true"


def test_an_address_with_unknown_names_opens_what_there_is(browser, explorer):
    complaints: list[str] = []
    unknown = "#case=nobody&prompt=none&a=unheard&b=of&structure=tail&slice=900"
    page = opened(browser, (explorer / PAGE).as_uri() + unknown, complaints=complaints)
    assert page.locator("#prompts li").count() > 0 and complaints == []


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_and_the_page_does_not_overflow(browser, explorer, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(browser, (explorer / PAGE).as_uri(), width=width)
    results = axe.Axe().run(page)
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_thousand_prompts_are_walked_without_lag(browser, explorer, tmp_path):
    folder = shutil.copytree(explorer, tmp_path / "many")
    script = folder / "data" / "case00_CT.js"
    case = received(script)
    first = case["prompts"]
    case["prompts"] = [first[i % len(first)] | {"prompt_id": f"many-{i}"} for i in range(1000)]
    build._script(script, "case", "case00:CT", case)
    page = opened(browser, (folder / PAGE).as_uri() + "#case=case00:CT")
    assert page.locator("#prompts li").count() == 1000
    page.locator("#prompts li").first.click()
    started = time.perf_counter()
    for _ in range(20):
        page.keyboard.press("ArrowDown")
    page.evaluate("new Promise(requestAnimationFrame)")
    assert page.locator("#prompts li").nth(20).get_attribute("aria-selected") == "true"
    # Generous, since a test machine may be busy; a step takes some ten milliseconds on a quiet one.
    assert (time.perf_counter() - started) / 20 < 0.25


def test_results_of_another_run_are_refused(tmp_path, cohort):
    cohort.write(tmp_path, {"token": "truth"})
    path = tmp_path / "data/results/token/masks.parquet"
    masks = pd.read_parquet(path)
    pd.concat([masks, masks.iloc[:1]]).to_parquet(path)
    with pytest.raises(DataError, match="one mask for each"):
        build.write_explorer(tmp_path, tmp_path / "site")
