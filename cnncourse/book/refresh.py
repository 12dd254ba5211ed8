"""``refresh``: run the chapters, and store what they show in one form that changes only when they do."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

import cnncourse
from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError, execute, longest_first, stop_kernels
from cnncourse.book.normalise import figure_bytes, normalise, refuse_litter
from cnncourse.book.run_line import data_used, run_line, settle_timing
from cnncourse.book.setup_cell import SETUP_TAGS, setup_cell
from cnncourse.book.storage import read_notebook, serialise, write_atomically
from cnncourse.paths import course_root

__all__ = ["MAX_FIGURE_BYTES", "MAX_NOTEBOOK_BYTES", "add_parsers", "refresh", "refresh_notebook"]

MAX_NOTEBOOK_BYTES = 1_500_000
MAX_FIGURE_BYTES = 400_000
PARAMETERS = 'BUDGET = "auto"'


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """Return the cells of a notebook that carry a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


def _prepare(notebook: NotebookNode, *, slug: str, repository: str) -> None:
    for cell in tagged(notebook, "parameters"):
        if cell.source.strip() != PARAMETERS:
            raise NotebookError(
                f"{slug}: the cell tagged parameters holds {PARAMETERS} and no more, got {cell.source!r}"
            )
    if tagged(notebook, "run-line"):
        data_used(notebook.metadata.get("cnncourse", {}), slug=slug)
    for cell in tagged(notebook, "setup"):
        cell.source = setup_cell(slug, repository=repository, version=cnncourse.__version__)
        cell.metadata["tags"] = list(dict.fromkeys([*SETUP_TAGS, *cell.metadata["tags"]]))


def refresh_notebook(path: Path, *, repository: str, write: bool = True) -> str:
    """Run one notebook and store it anew; a notebook that fails stays as it is, to the byte.

    Args:
        path: an ``.ipynb`` file; its name without ending is the chapter's slug.
        repository: address of the git repository that the set-up cell installs from.
        write: whether to store the result.

    Returns:
        What happened, in one line.

    Raises:
        NotebookError: if a cell fails, warns or litters, or the notebook or its figures are too large.
    """
    slug = path.stem
    notebook = read_notebook(path)
    before = path.read_bytes()
    _prepare(notebook, slug=slug, repository=repository)
    execution = execute(notebook, slug=slug, folder=path.parent)
    fresh = execution.notebook
    record = settle_timing(
        fresh.metadata.get("cnncourse", {}), seconds=execution.seconds, peak_bytes=execution.peak_bytes
    )
    fresh.metadata["cnncourse"] = record
    for cell in tagged(fresh, "run-line"):
        cell.source = run_line(record, slug=slug)
    normal = normalise(fresh)
    refuse_litter(normal, slug=slug)
    content = serialise(normal)
    figures = figure_bytes(normal)
    for size, limit, what in (
        (figures, MAX_FIGURE_BYTES, "figures"),
        (len(content), MAX_NOTEBOOK_BYTES, "the notebook"),
    ):
        if size > limit:
            raise NotebookError(
                f"{slug}: {what} would take {size / 1e3:,.0f} kB, more than {limit / 1e3:,.0f} kB; draw fewer "
                "points, show fewer slider positions, or keep pictures small"
            )
    changed = content != before
    if changed and write:
        write_atomically(path, content)
    return (
        f"{slug}: {execution.seconds:.1f} s, {execution.peak_bytes / 1e6:.0f} MB of memory, "
        f"{len(content) / 1e3:.0f} kB, figures {figures / 1e3:.0f} kB, "
        + ("unchanged" if not changed else "written" if write else "would change")
    )


def _stored_seconds(path: Path) -> float | None:
    try:
        seconds = read_notebook(path).metadata.get("cnncourse", {}).get("seconds")
    except NotebookError:
        return None  # the run itself will say what is wrong
    return seconds if isinstance(seconds, int | float) else None


def refresh(
    paths: Sequence[Path],
    *,
    repository: str,
    write: bool = True,
    kernels: int = 2,
    report: Callable[[str], None] = print,
) -> list[str]:
    """Run notebooks, several at a time, the longest first.

    Args:
        paths: the notebooks, with different names.
        repository: address of the git repository that the set-up cells install from.
        write: whether to store the results.
        kernels: how many run at once, each with one thread.
        report: told one line a notebook, as soon as it is done.

    Returns:
        What failed, one message a notebook; empty if all went well. Without ``write``, a notebook that
        would change has failed.
    """
    by_slug = {path.stem: path for path in paths}
    order = longest_first({slug: _stored_seconds(path) for slug, path in by_slug.items()})
    failures = []
    with ThreadPoolExecutor(max_workers=kernels) as pool:
        futures = [
            pool.submit(refresh_notebook, by_slug[slug], repository=repository, write=write) for slug in order
        ]
        try:
            for future in as_completed(futures):
                try:
                    line = future.result()
                except NotebookError as error:
                    failures.append(str(error))
                    continue
                if line.endswith("would change"):
                    failures.append(line)
                else:
                    report(line)
        except BaseException:  # Ctrl-C must not wait for what still runs
            pool.shutdown(wait=False, cancel_futures=True)
            stop_kernels()
            raise
    return failures


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = subparsers.add_parser(
        "refresh",
        help="run chapters and store their outputs in one form",
        description="Run chapters at budget book, two at a time, and store what they show in one form. "
        "A chapter that fails stays as it is. A second run changes nothing.",
        epilog="examples:  refresh   ·   refresh depth_separation   ·   refresh --check",
    )
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="chapters, by name (default: all)")
    parser.add_argument(
        "--check", action="store_true", help="run, write nothing, and fail if a chapter would change"
    )
    parser.add_argument(
        "--kernels", type=int, default=2, metavar="N", help="chapters to run at once (default: 2)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    if arguments.kernels < 1:
        raise ValueError(f"--kernels must be at least 1, got {arguments.kernels}")
    course = Course(course_root())
    slugs = dict.fromkeys(arguments.slugs) or course.notebooks
    paths = [course.notebook(slug) for slug in slugs]
    started = time.perf_counter()
    failures = refresh(
        paths,
        repository=course.repository,
        write=not arguments.check,
        kernels=arguments.kernels,
        report=lambda line: print(line, flush=True),
    )
    print(f"{len(paths) - len(failures)} of {len(paths)} in {time.perf_counter() - started:.0f} s")
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0
