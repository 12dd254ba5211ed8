"""The processor's peak, measured: what a rate of arithmetic is held against.

A small C program keeps every number in registers, where a compiler is at hand. The product of large matrices
is the wrong yardstick on some processors: libraries leave half of the fp32 units idle there.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

from cnncourse.bench.task import Task

SOURCE = Path(__file__).with_name("peak.c")
COMPILERS = ("cc", "gcc", "clang", "g++")


def register_peak(threads: int, seconds: float = 0.15, times: int = 5) -> dict[str, float]:
    """Return the rate of fused multiply-adds in registers, by a compiled program.

    Args:
        threads: how many threads compute.
        seconds: how long, for each precision.
        times: how often; the best counts, since others' work can only make it worse.

    Returns:
        GFLOP/s by ``fp32`` and, where the processor has such instructions, ``bf16``; empty without a compiler.
    """
    compiler = next(filter(shutil.which, COMPILERS), None)
    if compiler is None:
        return {}
    rates: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder) / "peak")
        language = ["-x", "c"] if compiler != "g++" else ["-x", "c++", "-fpermissive"]
        build = [compiler, "-O2", "-march=native", *language, str(SOURCE), "-o", program, "-lpthread"]
        try:
            subprocess.run(build, check=True, capture_output=True, timeout=60)
            for _ in range(times):
                printed = subprocess.run(
                    [program, str(threads), str(seconds)],
                    check=True,
                    capture_output=True,
                    text=True,
                    timeout=60 + 4 * seconds,
                ).stdout
                for name, rate in (line.split() for line in printed.splitlines()):
                    rates[name] = max(rates.get(name, 0.0), float(rate))
        except (OSError, subprocess.SubprocessError):
            return {}
    return rates


def library_peak(seconds: float = 0.7) -> dict[str, float]:
    """Return the best rate of PyTorch's matrix product and convolution.

    Args:
        seconds: how long, for each of them.

    Returns:
        GFLOP/s by ``fp32`` and ``bf16``, with this process's threads.
    """
    import torch
    from torch.nn import functional
    from torch.utils.benchmark import Timer

    rates: dict[str, float] = {}
    with torch.inference_mode():
        for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
            a = torch.randn(2048, 2048).to(dtype)
            maps = torch.randn(64, 64, 32, 32).to(dtype, memory_format=torch.channels_last)
            kernels = torch.randn(64, 64, 3, 3).to(dtype, memory_format=torch.channels_last)
            tasks = {
                "torch.mm(a, a)": 2.0 * 2048**3,
                "conv2d(maps, kernels, padding=1)": 2.0 * 64 * 64 * 9 * maps[:, 0].numel(),
            }
            known = {"torch": torch, "conv2d": functional.conv2d, "a": a, "maps": maps, "kernels": kernels}
            threads = torch.get_num_threads()
            times = {
                statement: min(
                    Timer(statement, globals=known, num_threads=threads)
                    .blocked_autorange(min_run_time=seconds)
                    .times
                )
                for statement in tasks
            }
            rates[name] = max(flop / times[statement] / 1e9 for statement, flop in tasks.items())
    return rates


def measure(task: Task, clock: object, *, threads: int) -> None:
    """Measure both peaks, as a trial of its own.

    Args:
        task: takes the rates as facts ``registers`` and ``library``.
        clock: not needed; a peak is the best of many short blocks.
        threads: how many threads compute.
    """
    task.facts["registers"] = register_peak(threads)
    task.facts["library"] = library_peak()
