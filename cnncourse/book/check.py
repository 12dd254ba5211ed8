"""What a reader would find wrong in the built pages: empty ones, tracebacks, dead links, foreign hosts."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup, Tag

from cnncourse.book.course import Course

__all__ = ["check_html"]

LEAST_TEXT = 150
"""Characters below which a page counts as empty."""

_TRACEBACK = re.compile(r"Traceback \(most recent call last\)")


class _Page:
    """One built page: its links, anchors and text, read once."""

    def __init__(self, path: Path) -> None:
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        article = soup.find("article") or soup.find("main")
        self.title = article.find("h1") if isinstance(article, Tag) else None
        self.text = article.get_text(" ", strip=True) if isinstance(article, Tag) else ""
        outputs = soup.select(".cell_output, .output")
        self.tracebacks = bool(soup.select(".output.traceback, .traceback")) or any(
            _TRACEBACK.search(output.get_text()) for output in outputs
        )
        self.anchors = {str(tag["id"]) for tag in soup.find_all(id=True)}
        self.anchors |= {str(tag["name"]) for tag in soup.find_all("a", attrs={"name": True})}
        self.links = [str(tag["href"]) for tag in soup.find_all("a", href=True)]
        self.assets = [
            str(tag["src"]) for tag in soup.find_all(["script", "img", "iframe", "source"], src=True)
        ]
        self.assets += [
            str(tag["href"])
            for tag in soup.find_all("link", href=True)
            if {"stylesheet", "preload", "icon"} & set(tag.get("rel") or [])
        ]


def check_html(folder: Path, course: Course) -> list[str]:
    """Return the faults of a built book, one line each; none when all is well.

    Args:
        folder: built HTML.
        course: the checkout it was built from.

    Returns:
        Faults: missing or empty pages, tracebacks, links and anchors that lead nowhere, files that are not there or
        lie on another host, Colab links to notebooks that do not exist.
    """
    pages = {path: _Page(path) for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts}
    faults = []
    for name in course.pages:
        page = pages.get(folder / f"{name}.html")
        if page is None:
            faults.append(f"{name}: the page is missing")
        elif page.title is None or len(page.text) < LEAST_TEXT:
            faults.append(f"{name}: the page is empty ({len(page.text)} characters)")
    for path, page in pages.items():
        name = path.relative_to(folder).with_suffix("").as_posix()
        if page.tracebacks:
            faults.append(f"{name}: an output shows a traceback")
        faults += [
            f"{name}: {fault}" for link in page.links if (fault := _link_fault(link, path, pages, course))
        ]
        faults += [f"{name}: {fault}" for asset in page.assets if (fault := _asset_fault(asset, path))]
    return faults


def _link_fault(link: str, page: Path, pages: dict[Path, _Page], course: Course) -> str:
    parts = urlsplit(link)
    if parts.netloc == "colab.research.google.com":
        place = f"/{course.branch}/"
        notebook = parts.path.partition(place)[2]
        return "" if (course.root / notebook).is_file() else f"the Colab link {link} names no notebook"
    if parts.scheme or parts.netloc:
        return ""
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return f"the link {link} leads nowhere"
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return f"the link {link} leads to an anchor that is not there"
    return ""


def _asset_fault(asset: str, page: Path) -> str:
    parts = urlsplit(asset)
    if parts.scheme == "data":
        return ""
    if parts.scheme or parts.netloc:
        return f"{asset} would be loaded from another host"
    return "" if (page.parent / unquote(parts.path)).is_file() else f"the file {asset} is not there"
