"""What a fresh interpreter takes to import something, or to run a command."""

import os
import subprocess
import sys
from collections.abc import Sequence

from cnncourse.bench.clock import Clock
from cnncourse.bench.task import Task


def start(task: Task, clock: Clock, *, arguments: Sequence[str]) -> None:
    """Start a Python process again and again, one a step.

    Args:
        task: takes the largest memory of a process, in MiB.
        clock: times them.
        arguments: the interpreter's arguments, such as ``["-c", "import torch"]``.
    """
    peaks = []

    def once() -> None:
        process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"python {' '.join(arguments)} failed with code {process.returncode}")
        peaks.append(usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10))
        task.facts["peak_memory_mib"] = round(max(peaks), 1)

    clock.repeat(once)
