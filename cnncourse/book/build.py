"""``build`` and ``serve``: the HTML from the committed notebooks, made without a warning and then looked at."""

import argparse
import errno
import functools
import http.server
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from cnncourse.book.check import check_html
from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError
from cnncourse.paths import course_root

__all__ = ["JUPYTER_BOOK", "BuildError", "add_parsers", "build", "html_folder"]

JUPYTER_BOOK = (sys.executable, "-c", "from jupyter_book.cli.main import main; main()")
"""The command of this very environment, also when its scripts are not on the path."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_COMPLAINT = re.compile(r"\b(WARNING|ERROR|CRITICAL|Traceback)\b")


class BuildError(NotebookError):
    """The book could not be built, or what was built has faults; the message lists them."""


def html_folder(root: Path) -> Path:
    """Return the folder that :func:`build` fills."""
    return root / "_build" / "html"


def build(root: Path, *, config: Path | None = None, out: Path | None = None) -> Path:
    """Build the HTML from scratch, with warnings as errors, and check the product.

    The exit code of ``jupyter-book build`` alone does not tell: some complaints only reach its output, and
    a page can come out empty without any.

    Args:
        root: checkout of the course.
        config: another ``_config.yml``.
        out: folder in which ``_build/html`` is made; the checkout when ``None``.

    Returns:
        The folder with ``index.html``.

    Raises:
        BuildError: if Sphinx complains or the check of the pages finds faults.
    """
    folder = html_folder(out or root)
    shutil.rmtree(folder.parent, ignore_errors=True)
    command = [*JUPYTER_BOOK, "build", str(root), "--all", "-W", "-n", "--keep-going"]
    command += ["--path-output", str(out or root)]
    command += ["--config", str(config)] if config is not None else []
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = [_ANSI.sub("", line) for line in (done.stdout + done.stderr).splitlines()]
    complaints = [line for line in said if _COMPLAINT.search(line)]
    if done.returncode or complaints:
        detail = "\n".join(complaints or said[-40:])
        raise BuildError(f"the book does not build without complaints:\n{detail}")
    faults = check_html(folder, Course(root))
    if faults:
        raise BuildError("the book was built, but its pages have faults:\n" + "\n".join(faults))
    return folder


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the address is all a reader needs."""


def _server(folder: Path, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server on localhost, on the next free port when the wanted one is taken."""
    handler = functools.partial(_QuietHandler, directory=str(folder))
    for candidate in [*range(port, port + 20), 0]:
        try:
            return http.server.ThreadingHTTPServer(("127.0.0.1", candidate), handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise OSError(f"no free port from {port} on; choose one with --port")


def _run_build(_arguments: argparse.Namespace) -> int:
    folder = build(course_root())
    print(f"The book is in {folder / 'index.html'}")
    return 0


def _run_check(_arguments: argparse.Namespace) -> int:
    faults = check_html(html_folder(course_root()), Course(course_root()))
    print("\n".join(faults) or "No faults.")
    return 1 if faults else 0


def _run_serve(arguments: argparse.Namespace) -> int:
    folder = html_folder(course_root())
    if not (folder / "index.html").is_file():
        raise BuildError("there is no book to serve yet; run `python -m cnncourse.book build` first")
    with _server(folder, arguments.port) as server:
        print(f"The book is at http://localhost:{server.server_port}/ (Ctrl-C stops)", flush=True)
        server.serve_forever()
    return 0


def add_parsers(subparsers: Any) -> None:
    """Add ``build``, ``check`` and ``serve`` to the command line."""
    builder = subparsers.add_parser("build", help="build the HTML, warnings as errors, and check every page")
    builder.set_defaults(run=_run_build)
    checker = subparsers.add_parser("check", help="check the pages built last")
    checker.set_defaults(run=_run_check)
    server = subparsers.add_parser("serve", help="serve the pages on localhost and print the address")
    server.add_argument("--port", type=int, default=8000, help="wanted port; the next free one is taken")
    server.set_defaults(run=_run_serve)
