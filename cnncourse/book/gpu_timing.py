"""``time-gpu``: how long a chapter takes at full scale on a GPU, measured there and told in its run line."""

import argparse
import os
from pathlib import Path
from typing import Any

from cnncourse.book.course import Course
from cnncourse.book.execute import NotebookError, execute
from cnncourse.book.normalise import normalise
from cnncourse.book.refresh import tagged
from cnncourse.book.run_line import run_line, two_digits
from cnncourse.book.storage import read_notebook, serialise, write_atomically
from cnncourse.paths import course_root

__all__ = ["add_parsers", "gpu_name", "time_on_gpu"]


def gpu_name() -> str:
    """Return the name of the first CUDA device.

    Returns:
        As the driver tells it, for example ``NVIDIA T4``.

    Raises:
        ValueError: if there is none.
    """
    import torch

    if not torch.cuda.is_available():
        raise ValueError("time-gpu needs a CUDA device and this machine has none; run it where there is one")
    return torch.cuda.get_device_name(0)


def time_on_gpu(path: Path, *, gpu: str, timeout: int = 4 * 3600) -> float:
    """Run a chapter at budget ``full`` and store only the time it took; its outputs stay those of ``book``.

    Args:
        path: a refreshed ``.ipynb`` file.
        gpu: name of the device, for the run line.
        timeout: seconds one cell may take.

    Returns:
        Seconds from starting the kernel to the end of the last cell.

    Raises:
        NotebookError: if a cell fails, or the notebook was never refreshed; the file then stays as it is.
    """
    slug = path.stem
    notebook = read_notebook(path)
    record = notebook.metadata.get("cnncourse", {})
    if "seconds" not in record:
        raise NotebookError(f"{slug}: refresh it first, so that there is a run line to add the time to")
    environment = {**os.environ, "CNNCOURSE_BUDGET": "full"}
    execution = execute(notebook, slug=slug, folder=path.parent, environment=environment, timeout=timeout)
    record["gpu"], record["gpu_seconds"] = gpu, two_digits(execution.wall_seconds)
    for cell in tagged(notebook, "run-line"):
        cell.source = run_line(record, slug=slug)
    write_atomically(path, serialise(normalise(notebook)))
    return execution.wall_seconds


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    parser = subparsers.add_parser(
        "time-gpu",
        help="time chapters at full scale on this machine's GPU, for their run lines",
        description="Run chapters at budget full, one after the other, and store the time each took. "
        "Their stored outputs stay those of budget book.",
        epilog="example:  time-gpu pooling_lenet",
    )
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="chapters, by name (default: all)")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    course = Course(course_root())
    paths = [course.notebook(slug) for slug in dict.fromkeys(arguments.slugs) or course.notebooks]
    gpu = gpu_name()
    for path in paths:
        print(f"{path.stem}: {time_on_gpu(path, gpu=gpu):.0f} s at full scale on {gpu}", flush=True)
    return 0
