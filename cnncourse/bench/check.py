"""Does the fast path learn the same? Accuracy after equal passes, over several seeds, against the plain loop.

A race is only fair if all runners reach the same place. Both train the same networks from the same first
weights on the same real images, as long; each seed gives a pair, and what counts is the mean difference of the
pairs against its own standard error.
"""

import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cnncourse.bench.machine import conditions, default_threads
from cnncourse.bench.process import run_process

LEARNERS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("cnncourse.bench.peers.learners:plain", {}),
    "ours": ("cnncourse.bench.peers.learners:ours", {}),
    "ours-fp32": ("cnncourse.bench.peers.learners:ours", {"precision": "fp32"}),
}
"""Who can be compared: function and options, by name."""
REFERENCE = "plain"
WORKLOADS: dict[str, dict[str, Any]] = {
    "lenet": {
        "model": "lenet",
        "side": 32,
        "padding": 2,
        "flip": False,
        "epochs": 10,
        "batch_size": 32,
        "learning_rate": 0.02,
    },
    "resnet20": {
        "model": "resnet20",
        "side": 16,
        "padding": 1,
        "flip": False,
        "epochs": 8,
        "batch_size": 32,
        "learning_rate": 0.1,
    },
}
"""Networks and settings; the images are the digits that scikit-learn carries, enlarged, in three channels."""

STANDARD_ERRORS = 2.0
"""A mean difference within so many of its standard errors is the spread of the seeds."""


@dataclass(frozen=True)
class Checked:
    """What the learners reached."""

    accuracies: dict[str, dict[str, list[float]]]
    """Test accuracy of each seed, by workload and learner."""
    seeds: list[int]
    """The seeds, in that order."""
    conditions: dict[str, Any]
    """Processor, versions, commit and date."""
    errors: dict[str, str]
    """What went wrong, by ``workload, learner``."""

    @property
    def passed(self) -> bool:
        """Whether everybody ran, and nobody learnt less than the reference beyond the spread of the seeds."""
        return not self.errors and all(
            not worse(found, learners[REFERENCE])
            for learners in self.accuracies.values()
            for found in learners.values()
        )

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain dictionaries and lists, ready for JSON."""
        return {**asdict(self), "passed": self.passed}

    @classmethod
    def load(cls, path: Path) -> "Checked":
        """Read what :meth:`save` wrote.

        Args:
            path: the file.

        Returns:
            The accuracies.

        Raises:
            ValueError: if the file holds something else.
        """
        content = json.loads(path.read_text(encoding="utf-8"))
        wanted = {one.name for one in fields(cls)}
        if not isinstance(content, dict) or set(content) != {*wanted, "passed"}:
            raise ValueError(
                f"{path} is not what `cnncourse bench train --check --output` writes; run it again"
            )
        return cls(**{name: content[name] for name in wanted})

    def save(self, path: Path) -> None:
        """Write everything as JSON, whole or not at all.

        Args:
            path: a file in a folder that exists.
        """
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)

    def table(self) -> str:
        """Return a line for each workload and learner."""
        lines = [f"test accuracy after equal passes, {len(self.seeds)} seeds: mean, spread, and difference"]
        lines += [
            f"{workload:<10} {name:<10} {accuracy}   {difference}".rstrip()
            for workload, name, accuracy, difference in self.rows()
        ]
        lines += [f"{where} failed: {error}" for where, error in self.errors.items()]
        return "\n".join(lines)

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Return workload, learner, mean accuracy with its spread, and the difference to the reference."""
        rows = []
        for workload, learners in self.accuracies.items():
            for name, found in learners.items():
                accuracy = f"{statistics.fmean(found):.2%} ± {statistics.stdev(found):.2%}"
                difference = ""
                if name != REFERENCE:
                    mean, error = paired_difference(found, learners[REFERENCE])
                    verdict = "less" if worse(found, learners[REFERENCE]) else "not less"
                    difference = f"{100 * mean:+.2f} ± {100 * error:.2f} points: {verdict}"
                rows.append((workload, name, accuracy, difference))
        return rows


def paired_difference(ours: Sequence[float], reference: Sequence[float]) -> tuple[float, float]:
    """Return the mean of the differences and its standard error.

    Args:
        ours: accuracy of each seed.
        reference: accuracy of the reference with the same seed.

    Returns:
        Mean, and standard deviation of the differences over the root of their number.

    Raises:
        ValueError: if there are fewer than two pairs.
    """
    if len(ours) != len(reference) or len(ours) < 2:
        raise ValueError(f"two pairs at least are needed, got {len(ours)} and {len(reference)} accuracies")
    differences = [a - b for a, b in zip(ours, reference, strict=True)]
    return statistics.fmean(differences), statistics.stdev(differences) / len(differences) ** 0.5


def worse(ours: Sequence[float], reference: Sequence[float]) -> bool:
    """Return whether the mean is lower by more than the seeds explain.

    Args:
        ours: accuracy of each seed.
        reference: accuracy of the reference with the same seed.

    Returns:
        True if the mean difference lies below minus two of its standard errors.
    """
    mean, error = paired_difference(ours, reference)
    return mean < -STANDARD_ERRORS * error


def check_learning(
    *,
    contestants: Sequence[str] | None = None,
    workloads: Sequence[str] | None = None,
    seeds: Sequence[int] = (0, 1, 2, 3, 4),
    threads: int | None = None,
    report: Callable[[str], object] = print,
) -> Checked:
    """Train everybody with every seed, each in a process of its own, and compare.

    Args:
        contestants: some of :data:`LEARNERS`; ``None`` is all. The reference always runs with them.
        workloads: some of :data:`WORKLOADS`; ``None`` is all.
        seeds: at least two.
        threads: threads of each process; ``None`` is one for each core.
        report: called with a line now and then.

    Returns:
        The accuracies.

    Raises:
        ValueError: if a name is unknown, or there are fewer than two seeds.
    """
    names = [name for name in LEARNERS if contestants is None or name in contestants or name == REFERENCE]
    for chosen, known in ((contestants, LEARNERS), (workloads, WORKLOADS)):
        for name in chosen or ():
            if name not in known:
                raise ValueError(f"{name!r} cannot be checked; choose of {', '.join(known)}")
    if len(seeds) < 2:
        raise ValueError(f"a spread needs at least two seeds, got {list(seeds)}")
    count = threads or default_threads()
    accuracies: dict[str, dict[str, list[float]]] = {}
    errors: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="cnncourse-bench-") as scratch:
        for workload in workloads or WORKLOADS:
            settings = WORKLOADS[workload]
            found: dict[str, list[float]] = {}
            for name in names:
                reached = []
                for seed in seeds:
                    trial = _trial(LEARNERS[name], settings, seed, count, Path(scratch))
                    if "error" in trial:
                        errors[f"{workload}, {name}"] = trial["error"]
                        break
                    reached.append(float(trial["facts"]["accuracy"]))
                    report(f"{workload}, {name}, seed {seed}: {reached[-1]:.2%}")
                if len(reached) == len(seeds):
                    found[name] = reached
            if REFERENCE in found:
                accuracies[workload] = found
    return Checked(accuracies, list(seeds), conditions(count), errors)


def _trial(
    learner: tuple[str, dict[str, Any]], settings: dict[str, Any], seed: int, threads: int, scratch: Path
) -> dict[str, Any]:
    function, options = learner
    specification = {
        "function": function,
        "options": options,
        "settings": {**settings, "schedule": "cosine"},
        "packages": [],
        "timed": False,
        "clock": {},
        "seed": seed,
        "device": "cpu",
        "scratch": str(scratch),
    }
    return run_process(specification, threads=threads, timeout=900)
