"""``doctor`` looks at the machine: what is there, what is wrong, how to mend it."""

import argparse
import importlib
import json
import os
import platform
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cnncourse
from cnncourse.cli.options import add_command, add_json

PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "matplotlib",
    "scikit-learn",
    "scikit-image",
    "safetensors",
    "ipywidgets",
)
"""What the library needs."""
FREE_GB = 5.0
"""Free disk below which downloads and checkpoints of large networks get tight."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    """Its name."""
    value: str
    """How it is."""
    remedy: str = ""
    """What to do about it; empty if it is fine."""


def add_parsers(subparsers: Any) -> None:
    """Add the command.

    Args:
        subparsers: what ``ArgumentParser.add_subparsers`` returned.
    """
    doctor = add_command(
        subparsers,
        "doctor",
        help="look for what is wrong with this machine, and say how to mend it",
        description="Show versions, device, cache and disk.",
        examples="examples:\n  cnncourse doctor\n  cnncourse doctor --json\n\n"
        "exit codes: 0 all is well, 1 something needs mending",
    )
    add_json(doctor)
    doctor.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    findings = examine()
    if arguments.json:
        print(json.dumps([vars(finding) for finding in findings]))
    else:
        width = max(len(finding.what) for finding in findings)
        for finding in findings:
            mark = "!" if finding.remedy else " "
            print(f"{mark} {finding.what:<{width}}  {finding.value}")
            if finding.remedy:
                print(f"  {'':<{width}}  mend it: {finding.remedy}")
    return 1 if any(finding.remedy for finding in findings) else 0


def examine() -> list[Finding]:
    """Look at versions, processor, cards, cache and disk.

    Returns:
        What was found, in the order of the questions people ask.
    """
    software, broken = _software(), _imports()
    # Without PyTorch the rest of the library cannot be asked anything.
    return [*software, *broken] if broken else [*software, *_hardware(), *_storage()]


def _software() -> list[Finding]:
    python = platform.python_version()
    old = "" if sys.version_info >= (3, 10) else "cnncourse needs Python 3.10 or newer"
    findings = [Finding("cnncourse", cnncourse.__version__), Finding("Python", python, old)]
    for package in PACKAGES:
        try:
            findings.append(Finding(package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            findings.append(Finding(package, "missing", f"pip install {package}"))
    return findings


def _imports() -> list[Finding]:
    """Return what is installed and does not import: most often a torchvision made for another PyTorch."""
    findings = []
    for package in ("torch", "torchvision"):
        try:
            importlib.import_module(package)
        except Exception as error:  # anything can go wrong in a broken package
            remedy = "pip install --force-reinstall torch torchvision"
            findings.append(Finding(f"import {package}", f"fails: {error}", remedy))
    return findings


def _hardware() -> list[Finding]:
    import torch

    from cnncourse.records.conditions import processor_name
    from cnncourse.training.precision import cpu_has_bf16

    fast = "bf16 units" if cpu_has_bf16() else "no bf16 units: training uses fp32"
    findings = [Finding("processor", f"{processor_name()}, {fast}")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = torch.get_num_threads()
    too_many = (
        f"set OMP_NUM_THREADS={cores}: more threads than cores wait for each other" if threads > cores else ""
    )
    findings.append(Finding("threads", f"{threads} on {cores} cores", too_many))
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            card = torch.cuda.get_device_properties(index)
            findings.append(Finding(f"cuda:{index}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"))
    elif shutil.which("nvidia-smi"):
        remedy = "install a PyTorch built for the driver: https://pytorch.org/get-started/locally/"
        findings.append(Finding("cuda", "a driver is there, but PyTorch cannot use it", remedy))
    else:
        findings.append(Finding("cuda", "no card"))
    if torch.backends.mps.is_available():
        findings.append(Finding("mps", "Apple's GPU"))
    return findings


def _storage() -> list[Finding]:
    from cnncourse.datasets import cache_folder

    cache = cache_folder()
    existing = next(path for path in (cache, *cache.parents) if path.exists())
    fine = os.access(existing, os.W_OK) and existing.is_dir()
    closed = "" if fine else f"{existing} cannot be written; set CNNCOURSE_HOME to a folder that can"
    free = shutil.disk_usage(existing).free / 1e9
    tight = (
        ""
        if free >= FREE_GB
        else f"free {FREE_GB:.0f} GB, or set CNNCOURSE_HOME to a folder on a larger disk"
    )
    held = (
        sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
        if cache.is_dir()
        else 0.0
    )
    return [
        Finding("cache", f"{_short(cache)}, {held:,.0f} MB", closed),
        Finding("free disk", f"{free:,.0f} GB", tight),
    ]


def _short(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
