"""Run a notebook in a kernel of its own, with one thread, and measure what it took."""

import copy
import os
import time
from dataclasses import dataclass
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

__all__ = ["Execution", "NotebookError", "execute", "kernel_environment", "longest_first"]

# Two kernels with a thread a core each are slower than one after the other.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# The high-water mark of the process itself; ru_maxrss would start from that of the process that forked it.
_PEAK = """
def _peak_bytes():
    import pathlib, sys
    try:
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
print(_peak_bytes())
"""


class NotebookError(Exception):
    """A notebook cannot be brought into the book; the message names notebook, cell and reason."""


@dataclass(frozen=True)
class Execution:
    """A notebook that ran from top to bottom."""

    notebook: NotebookNode
    """With the outputs of this run."""
    seconds: float
    """From starting the kernel to the end of the last cell."""
    peak_bytes: int
    """Most memory the kernel held at once; 0 where the system does not tell."""


def kernel_environment(budget: str = "book") -> dict[str, str]:
    """Return the environment in which the book's notebooks run: one thread, no GPU, no progress bars.

    Args:
        budget: what ``BUDGET = "auto"`` stands for.

    Returns:
        A copy of this process's environment with a few variables set.
    """
    fixed = dict.fromkeys(_THREADS, "1")
    fixed |= {
        "CNNCOURSE_BUDGET": budget,
        "CUDA_VISIBLE_DEVICES": "",
        "TQDM_DISABLE": "1",
        "PYTHONHASHSEED": "0",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }
    return {**os.environ, **fixed}


def longest_first(seconds: dict[str, float | None]) -> list[str]:
    """Return the order in which two kernels finish soonest: unknown first, then by falling time.

    Args:
        seconds: notebook to the time it took last, ``None`` if it never ran.

    Returns:
        The notebooks' names; those alike stay in the order given.
    """
    known = {name: float("inf") if value is None else value for name, value in seconds.items()}
    return sorted(known, key=lambda name: -known[name])


def describe_cell(notebook: NotebookNode, index: int) -> str:
    """Return how messages name a cell: its place, counted from 1 over all cells, and its first line."""
    lines = notebook.cells[index].source.strip().splitlines() or [""]
    return f"cell {index + 1} (`{lines[0][:60]}`)"


def execute(notebook: NotebookNode, *, slug: str, folder: Path, timeout: int = 600) -> Execution:
    """Run all cells in a new kernel at budget ``book``.

    Args:
        notebook: stays as it is.
        slug: the chapter's name, for messages.
        folder: working directory of the kernel.
        timeout: seconds one cell may take.

    Returns:
        A copy with outputs, and what it took.

    Raises:
        NotebookError: if a cell raises, runs for too long or kills the kernel.
    """
    fresh = copy.deepcopy(notebook)
    running = {"cell": 0}
    client = NotebookClient(
        fresh,
        timeout=timeout,
        kernel_name="python3",
        store_widget_state=False,
        record_timing=False,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"],
        on_cell_start=lambda cell, cell_index: running.update(cell=cell_index),
    )
    started = time.perf_counter()
    try:
        with client.setup_kernel(env=kernel_environment()):
            for index, cell in enumerate(fresh.cells):
                client.execute_cell(cell, index)
            seconds = time.perf_counter() - started
            probe = NotebookNode(cell_type="code", source=_PEAK, metadata={}, outputs=[])
            fresh.cells.append(probe)
            client.execute_cell(probe, len(fresh.cells) - 1, store_history=False)
            fresh.cells.pop()
    except CellExecutionError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: did not end within {timeout} s") from error
    except DeadKernelError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: the kernel died, perhaps for want of memory") from error
    return Execution(fresh, seconds, int(probe.outputs[0].text))
