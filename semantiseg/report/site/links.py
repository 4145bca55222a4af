"""Every link of the built site leads somewhere: a file of the site, and a place within it where one is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


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


def read(path: Path) -> _Page:
    """Parse one page."""
    page = _Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def broken(site: Path, *, skip: tuple[str, ...] = ()) -> list[str]:
    """What leads nowhere, as `page: link`; and what a page would load from another host.

    Args:
        site: the built site.
        skip: first folders of pages that are not looked at.

    Links to other hosts are allowed and not followed; loading from them is not, as pages must open without a network.
    """
    pages = {path: read(path) for path in sorted(site.rglob("*.html")) if path.relative_to(site).parts[0] not in skip}
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
    page = pages.get(target) or pages.get(site / target.relative_to(site.resolve())) or read(target)
    return unquote(parts.fragment) in page.places or parts.fragment.startswith("__")
