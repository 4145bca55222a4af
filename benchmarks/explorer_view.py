"""How long the case explorer takes to show its first case from disk, in Chromium, and how much it reads for that."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from semantiseg.errors import StageError
from semantiseg.explorer.build import write_explorer

SECONDS, KIB = 2.0, 1024
REPEATS = 5
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")


def first_view(root: Path) -> Iterator[dict[str, Any]]:
    """Median of several openings, each in a new context of one browser, and KiB of all files that an opening reads.

    Raises:
        StageError: no Chromium here.
    """
    from playwright.sync_api import sync_playwright

    browser_path = shutil.which("chromium")
    if browser_path is None:
        raise StageError("benchmark explorer_view: expected Debian's chromium, got none. Install it: apt-get install.")
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as play:
        page_path = write_explorer(root, Path(scratch) / "explorer")
        browser = play.chromium.launch(executable_path=browser_path, args=list(ARGUMENTS))
        for _ in range(1 + REPEATS):
            read: set[Path] = set()
            context = browser.new_context(viewport={"width": 1280, "height": 900})
            page = context.new_page()
            page.on("request", lambda request, read=read: read.add(Path(unquote(urlsplit(request.url).path))))
            started = time.perf_counter()
            page.goto(page_path.as_uri())
            page.wait_for_selector("html[data-ready]")
            seconds.append(time.perf_counter() - started)
            context.close()
        browser.close()
        kib = sum(path.stat().st_size for path in read if path.is_file()) / 1024
    value = round(statistics.median(seconds[1:]), 2)
    yield {"name": "explorer_first_view_seconds", "value": value, "unit": "s", "target": SECONDS}
    yield {"name": "explorer_first_view_kib", "value": round(kib), "unit": "KiB", "target": KIB}


BENCHMARKS = (first_view,)
