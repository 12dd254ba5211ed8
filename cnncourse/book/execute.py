"""Run a notebook in a kernel of its own, with one thread, and measure what it took."""

import asyncio
import copy
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

__all__ = ["Execution", "NotebookError", "execute", "kernel_environment", "longest_first", "stop_kernels"]

# Two kernels with a thread a core each are slower than one after the other.
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")

# The high-water mark of the process itself; ru_maxrss would start from that of the process that forked it.
_PROBE = """
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
import os
print(sum(os.times()[:4]), _peak_bytes())
"""

_clients: set[NotebookClient] = set()


class NotebookError(Exception):
    """A notebook cannot be brought into the book; the message names notebook, cell and reason."""


@dataclass(frozen=True)
class Execution:
    """A notebook that ran from top to bottom."""

    notebook: NotebookNode
    """With the outputs of this run."""
    seconds: float
    """Processor time of the kernel. With its one thread, this is what the chapter takes on a core of its own,
    whatever else the machine is busy with."""
    wall_seconds: float
    """From starting the kernel to the end of the last cell, by the clock."""
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


def stop_kernels() -> None:
    """Kill the kernels of all runs in progress, which then fail (after Ctrl-C, say)."""
    for client in list(_clients):
        process = getattr(getattr(client.km, "provisioner", None), "pid", None)
        if process:
            os.kill(process, getattr(signal, "SIGKILL", signal.SIGTERM))


def execute(
    notebook: NotebookNode,
    *,
    slug: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    timeout: int = 600,
    allowed: Sequence[str] = (),
) -> Execution:
    """Run all cells in a new kernel.

    Args:
        notebook: stays as it is.
        slug: the chapter's name, for messages.
        folder: working directory of the kernel.
        environment: of the kernel; :func:`kernel_environment` when ``None``.
        timeout: seconds one cell may take.
        allowed: names of errors that end their cell only, such as ``ClaimError``; they stand in its outputs.

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
        shutdown_kernel="immediate",
        allow_error_names=list(allowed),
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--HistoryManager.enabled=False", "--IPKernelApp.log_level=ERROR"],
        on_cell_start=lambda cell, cell_index: running.update(cell=cell_index),
    )
    try:
        chosen = kernel_environment() if environment is None else environment
        return asyncio.run(
            _run_cells(client, dict(chosen))
        )  # which closes its event loop, unlike nbclient's own
    except CellExecutionError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: {error.ename}: {error.evalue}") from error
    except CellTimeoutError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: did not end within {timeout} s") from error
    except DeadKernelError as error:
        place = describe_cell(fresh, running["cell"])
        raise NotebookError(f"{slug}, {place}: the kernel died, perhaps for want of memory") from error
    finally:
        _clients.discard(client)


async def _run_cells(client: NotebookClient, environment: dict[str, str]) -> Execution:
    notebook = client.nb
    started = time.perf_counter()
    async with client.async_setup_kernel(env=environment):
        _clients.add(client)
        for index, cell in enumerate(notebook.cells):
            await client.async_execute_cell(cell, index)
        wall_seconds = time.perf_counter() - started
        probe = NotebookNode(cell_type="code", source=_PROBE, metadata={}, outputs=[])
        notebook.cells.append(probe)
        await client.async_execute_cell(probe, len(notebook.cells) - 1, store_history=False)
        notebook.cells.pop()
    seconds, peak = probe.outputs[0].text.split()
    return Execution(notebook, float(seconds), wall_seconds, int(peak))
