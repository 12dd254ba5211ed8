"""One trial in a process of its own: ``python -m cnncourse.bench.trial SPECIFICATION``, JSON to JSON."""

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

from cnncourse.bench.clock import Clock, Enough
from cnncourse.bench.task import Task
from cnncourse.records import peak_memory_mib


def run_trial(specification: dict[str, Any]) -> dict[str, Any]:
    """Let one contestant do one task.

    Args:
        specification: ``function`` and ``options`` of the contestant, ``settings`` of the workload, ``seed``,
            ``device``, ``scratch``, ``packages``, ``timed`` and ``clock``: the settings of the :class:`Clock`.

    Returns:
        ``blocks``, ``units_a_step``, ``facts``, ``versions``, ``threads``, ``peak_memory_mib`` and ``seconds``
        of the whole trial.

    Raises:
        RuntimeError: if the contestant comes back without having been timed.
    """
    t_start = perf_counter()
    task = Task(
        settings=specification["settings"],
        seed=int(specification["seed"]),
        scratch=Path(specification["scratch"]),
        device=specification["device"],
    )
    clock = Clock(**specification["clock"], synchronise=_synchronise(task.device))
    module, _, name = specification["function"].partition(":")
    contestant = getattr(importlib.import_module(module), name)
    with contextlib.suppress(Enough):
        contestant(task, clock, **specification["options"])
    if specification["timed"] and not clock.blocks:
        raise RuntimeError(
            f"{specification['function']} came back before a single block was timed; it must call "
            "clock.tick() once a step until that raises Enough"
        )
    return {
        "blocks": [block.to_dict() for block in clock.blocks],
        "units_a_step": task.units_a_step,
        "versions": _versions(specification["packages"]),
        "threads": sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None,
        "peak_memory_mib": task.facts.pop("peak_memory_mib", None) or peak_memory_mib(task.device),
        "facts": task.facts,
        "seconds": round(perf_counter() - t_start, 2),
    }


def _synchronise(device: str) -> Callable[[], object] | None:
    """Return what waits for a card: its work goes on after the call that ordered it has come back."""
    if not device.startswith("cuda"):
        return None
    import torch

    return torch.cuda.synchronize


def _versions(packages: list[str]) -> dict[str, str]:
    """Return the versions of the distributions that these modules come from."""
    owners = metadata.packages_distributions() if packages else {}
    return {name: metadata.version(owners[name][0]) for name in packages if owners.get(name)}


def _end_with_parent() -> None:
    """Ask the kernel to end this process with the one that waits for it: it would disturb the next run."""
    if sys.platform == "linux":
        set_signal_at_parents_death = 1  # PR_SET_PDEATHSIG of <linux/prctl.h>
        ctypes.CDLL(None).prctl(set_signal_at_parents_death, signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Run the trial of a JSON specification and print its report as the only line on standard output.

    Args:
        arguments: the specification.

    Returns:
        0; a contestant's error ends the process with its traceback.
    """
    _end_with_parent()
    # Contestants print bars and greetings; they go to the other stream.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as report:
        os.dup2(2, 1)
        report.write(json.dumps(run_trial(json.loads(arguments[0]))) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
