"""``weigh``: what a chapter's page ships, against Jupyter Book's default build of the same page."""

import argparse
import gzip
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from bs4 import BeautifulSoup

from cnncourse.book.build import JUPYTER_BOOK, build
from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError
from cnncourse.paths import course_root

__all__ = ["PageWeight", "add_parsers", "default_build", "default_config", "page_weight"]

_SVG = re.compile(r"<svg.*?</svg>", re.DOTALL)
_IMPORT = re.compile(r"@import (?:url\()?[\"']?([^\"')]+)")
_MATHJAX = re.compile(r"mathjax", re.IGNORECASE)


@dataclass(frozen=True)
class PageWeight:
    """Bytes of one page, each file compressed with gzip on its own, as a server sends them."""

    files: int
    """Style sheets and scripts of the page itself."""
    text: int
    """HTML without figures, plus those files; without MathJax."""
    figures: int
    """The figures inside the HTML, uncompressed."""


def _zipped(content: bytes) -> int:
    return len(gzip.compress(content, 9, mtime=0))


def page_weight(page: Path) -> PageWeight:
    """Return what a built page ships: its HTML and the local style sheets and scripts it names.

    MathJax is left out: one build has it beside its pages, the other on another host.

    Args:
        page: a built ``.html`` file.

    Returns:
        The weights.
    """
    html = page.read_text(encoding="utf-8")
    bare = _SVG.sub("", html)
    soup = BeautifulSoup(bare, "html.parser")
    names = [str(tag["src"]) for tag in soup.find_all("script", src=True)]
    names += [str(tag["href"]) for tag in soup.find_all("link", rel="stylesheet", href=True)]
    waiting = [page.parent / unquote(urlsplit(name).path) for name in names if not urlsplit(name).netloc]
    seen: set[Path] = set()
    total = _zipped(bare.encode())
    while waiting:
        path = waiting.pop().resolve()
        if path in seen or not path.is_file() or _MATHJAX.search(path.as_posix()):
            continue
        seen.add(path)
        content = path.read_bytes()
        total += _zipped(content)
        if path.suffix == ".css":
            imports = _IMPORT.findall(content.decode(errors="replace"))
            waiting += [
                path.parent / unquote(urlsplit(name).path) for name in imports if not urlsplit(name).netloc
            ]
    return PageWeight(len(seen), total, len(html.encode()) - len(bare.encode()))


def default_config(course: Course) -> dict[str, Any]:
    """Return the ``_config.yml`` a newcomer would write: Jupyter Book's defaults and the extensions the text needs."""
    own = yaml.safe_load((course.root / "_config.yml").read_text(encoding="utf-8"))
    kept = (
        "title",
        "author",
        "only_build_toc_files",
        "execute",
        "repository",
        "launch_buttons",
        "exclude_patterns",
    )
    return {
        **{key: own[key] for key in kept if key in own},
        "bibtex_bibfiles": own["bibtex_bibfiles"],
        "html": {"use_repository_button": True},
        "sphinx": {"extra_extensions": ["sphinx_proof", "sphinx_exercise"]},
    }


def default_build(course: Course, folder: Path) -> Path:
    """Build the book in ``folder`` with :func:`default_config`, whatever it complains of; return its HTML folder."""
    config = folder / "_config.yml"
    config.write_text(yaml.safe_dump(default_config(course)), encoding="utf-8")
    command = [*JUPYTER_BOOK, "build", str(course.root), "--all", "--keep-going"]
    command += ["--path-output", str(folder), "--config", str(config)]
    subprocess.run(command, capture_output=True, check=False)
    return folder / "_build" / "html"


def _run(arguments: argparse.Namespace) -> int:
    course = Course(course_root())
    slugs = arguments.slugs or list(course.notebooks)
    rows = []
    with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
        built = build(course.root, out=Path(ours))
        default = default_build(course, Path(theirs))
        for slug in slugs:
            relative = course.notebook(slug).relative_to(course.root).with_suffix(".html")
            if not (default / relative).is_file():
                raise NotebookError(f"Jupyter Book's default build gave no page {relative}")
            own, other = page_weight(built / relative), page_weight(default / relative)
            rows.append(
                {
                    "page": slug,
                    "bytes": own.text,
                    "files": own.files,
                    "default_bytes": other.text,
                    "default_files": other.files,
                    "ratio": round(own.text / other.text, 3),
                    "figure_bytes": own.figures,
                }
            )
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(
        "HTML, CSS and JS of a page, gzip, without figures and MathJax; Jupyter Book's default build beside it"
    )
    for row in rows:
        print(
            f"{row['page']}: {row['bytes'] / 1024:,.0f} KB in {row['files']} files, default "
            f"{row['default_bytes'] / 1024:,.0f} KB in {row['default_files']}: {row['ratio']:.2f} times; "
            f"figures {row['figure_bytes'] / 1024:,.0f} KB"
        )
    return 0


def add_parsers(subparsers: Any) -> None:
    """Add ``weigh`` to the command line."""
    parser = subparsers.add_parser("weigh", help="compare a page's weight with Jupyter Book's default build")
    parser.add_argument("slugs", nargs="*", help="chapters; all when none is named")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=_run)
