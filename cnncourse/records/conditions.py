"""What a record says of machine and code: enough to compare, nothing that names a person or a place."""

import platform
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

import cnncourse
from cnncourse.paths import course_root


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Conditions of a run."""

    device: str
    """Processor or card, and the number of threads."""
    versions: dict[str, str]
    """Versions of Python and of the packages that computed."""
    commit: str
    """Commit of the course, with ``+changes`` behind it when files that ran differed from it; ``unknown``
    without git."""
    date: str
    """Today, ISO 8601, UTC."""


def provenance(
    *, device: str = "cpu", threads: int | None = None, packages: Sequence[str] = ("torch", "numpy")
) -> Provenance:
    """Collect the conditions of a run on this machine.

    Args:
        device: PyTorch's name of the device.
        threads: threads used on the CPU; ``None`` leaves it out.
        packages: names of installed distributions whose versions matter.

    Returns:
        The conditions, without host name, user name or path.
    """
    versions = {"cnncourse": cnncourse.__version__, "python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in packages}
    return Provenance(
        device=_device(device, threads),
        versions=versions,
        commit=_commit(course_root()),
        date=datetime.now(timezone.utc).date().isoformat(),
    )


def peak_memory_mib(device: str = "cpu") -> float:
    """Return the largest memory so far: of the process, or of the tensors on a CUDA card.

    Args:
        device: PyTorch's name of the device.

    Returns:
        MiB, rounded to one decimal; 0 where the platform does not tell.
    """
    if device.startswith("cuda"):
        import torch

        return round(torch.cuda.max_memory_allocated() / 2**20, 1)
    try:
        import resource
    except ImportError:  # Windows
        return 0.0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)


def _device(device: str, threads: int | None) -> str:
    if device.startswith("cuda"):
        import torch

        return torch.cuda.get_device_name(device)
    name = "Apple GPU" if device == "mps" else processor_name()
    return name if threads is None else f"{name}, {threads} thread{'s' * (threads != 1)}"


def processor_name() -> str:
    """Return the name of the processor as the operating system gives it.

    Returns:
        Such as ``AMD EPYC 9575F 64-Core Processor``.
    """
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    return platform.processor() or platform.machine()


def _loaded_files() -> list[str]:
    """Return the files of the library that this process runs: a change elsewhere did not touch the result."""
    loaded = [module for name, module in sys.modules.items() if name.split(".")[0] == "cnncourse"]
    return sorted(str(module.__file__) for module in loaded if getattr(module, "__file__", None))


def _commit(root: Path) -> str:
    """Return the commit of a checkout, marked when the library differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True, timeout=20
        ).stdout.strip()

    try:
        # An installed package may lie inside somebody else's repository, whose commit says nothing about us.
        if Path(git("rev-parse", "--show-toplevel")).resolve() != root.resolve():
            return "unknown"
        changed = git("status", "--porcelain", "--", *_loaded_files())
        return git("rev-parse", "HEAD") + ("+changes" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return "unknown"
