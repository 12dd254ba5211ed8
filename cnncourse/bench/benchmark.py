"""What a benchmark consists of."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Contestant:
    """One way to do the task."""

    name: str
    """Short name, in tables and on the command line: ``lightning-tuned``."""
    description: str
    """What it does, in one line."""
    function: str
    """``module:function``, imported only in the trial's process; takes a task and a clock."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the function."""
    packages: tuple[str, ...] = ()
    """Modules it needs beyond the course's own requirements."""
    workloads: tuple[str, ...] | None = None
    """Workloads it takes part in; ``None`` is all."""

    def missing(self) -> tuple[str, ...]:
        """Return the packages that are not installed, without importing any."""
        return tuple(name for name in self.packages if importlib.util.find_spec(name) is None)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What all contestants have to do."""

    name: str
    """Short name: ``resnet20``."""
    description: str
    """What is done, in one line."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the contestants read, by name."""
    threads: int | None = None
    """Threads of each trial; ``None`` is one for each processor."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Workloads, and the contestants that do them."""

    name: str
    """Name on the command line: ``train``."""
    description: str
    """What is measured, in one line."""
    unit: str
    """Unit of the figures: ``images/s``, ``µs a step``, ``s``."""
    higher_is_better: bool
    """Whether a larger figure is a better one."""
    reference: str
    """Contestant whose figure is 1; in each workload where it takes no part, the first one that does."""
    workloads: tuple[Workload, ...]
    """What is done."""
    contestants: tuple[Contestant, ...]
    """Who does it."""
    flops_a_multiply_add: int = 0
    """Operations counted for each multiply-add of the forward pass: 6 in training (forward pass, gradients of
    inputs, gradients of weights), 2 in prediction, 0 where there is no rate to speak of."""

    def __post_init__(self) -> None:
        for kind, names in (
            ("workloads", [workload.name for workload in self.workloads]),
            ("contestants", [contestant.name for contestant in self.contestants]),
        ):
            if not names or len(set(names)) < len(names):
                raise ValueError(f"{self.name} must have {kind} of different names, got {names}")
        if self.reference not in {contestant.name for contestant in self.contestants}:
            raise ValueError(f"the reference of {self.name} must be a contestant, got {self.reference!r}")

    def chosen_workloads(self, names: tuple[str, ...] | None) -> tuple[Workload, ...]:
        """Return the named workloads.

        Args:
            names: some of the workloads; ``None`` is all.

        Returns:
            The workloads, in the benchmark's order.

        Raises:
            ValueError: if a name is unknown.
        """
        _known(names, [workload.name for workload in self.workloads], f"workload of {self.name}")
        return tuple(workload for workload in self.workloads if names is None or workload.name in names)

    def chosen_contestants(self, names: tuple[str, ...] | None) -> tuple[Contestant, ...]:
        """Return the named contestants.

        Args:
            names: some of the contestants; ``None`` is all.

        Returns:
            The contestants, in the benchmark's order.

        Raises:
            ValueError: if a name is unknown.
        """
        _known(names, [contestant.name for contestant in self.contestants], f"contestant of {self.name}")
        return tuple(chosen for chosen in self.contestants if names is None or chosen.name in names)


def _known(names: tuple[str, ...] | None, known: list[str], kind: str) -> None:
    for name in names or ():
        if name not in known:
            raise ValueError(f"there is no {kind} {name!r}; choose of {', '.join(known)}")
