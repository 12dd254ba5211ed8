"""What a result says of the machine: processor, instruction set, threads, versions, and its measured peak."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from cnncourse.records import provenance

ISA_FLAGS = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16",
    "avx512_fp16", "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimdhp", "bf16", "sve", "sve2",
)  # fmt: skip
"""Parts of an instruction set on which the speed of a network depends, in the kernel's words."""


def conditions(threads: int, packages: Sequence[str] = ("torch", "torchvision", "numpy")) -> dict[str, Any]:
    """Return the conditions of a run on this machine, without names of host, user or place.

    Args:
        threads: threads of each trial, where a workload does not say otherwise.
        packages: names of installed distributions whose versions matter.

    Returns:
        Plain dictionaries and lists, ready for JSON.
    """
    return {
        **asdict(provenance(threads=threads, packages=packages)),
        "isa": isa_flags(),
        "family": family(),
        "processors": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": threads,
        "system": platform.system(),
        "started": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def isa_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """Return which of :data:`ISA_FLAGS` the processor has.

    Args:
        cpuinfo: where the kernel tells.

    Returns:
        The flags; empty where the system does not tell.
    """
    for label, value in _described(cpuinfo):
        if label in ("flags", "Features"):
            flags = set(value.split())
            return [flag for flag in ISA_FLAGS if flag in flags]
    return []


def family(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return family and model numbers of the processor: virtual machines often hide its name.

    Args:
        cpuinfo: where the kernel tells.

    Returns:
        Such as ``AuthenticAMD family 25 model 17``; empty where the system does not tell.
    """
    found: dict[str, str] = {}
    for label, value in _described(cpuinfo):
        found.setdefault(label, value)
    if "cpu family" not in found:
        return ""
    return (
        f"{found.get('vendor_id', '')} family {found['cpu family']} model {found.get('model', '?')}".strip()
    )


def default_threads() -> int:
    """Return one thread for each processor core that this process may use."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        listed = subprocess.run(
            ["lscpu", "--parse=CORE,SOCKET"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return usable
    cores = {line for line in listed.splitlines() if line and not line.startswith("#")}
    return max(min(usable, len(cores)), 1)


def _described(cpuinfo: Path) -> list[tuple[str, str]]:
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    pairs = (line.partition(":") for line in lines if ":" in line)
    return [(label.strip(), value.strip()) for label, _, value in pairs]
