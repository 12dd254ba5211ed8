"""Run a benchmark: rounds of shuffled trials, each in a process of its own, disturbed ones again."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

from cnncourse.bench import catalogue
from cnncourse.bench.benchmark import Benchmark, Contestant, Workload
from cnncourse.bench.clock import Block
from cnncourse.bench.machine import conditions, default_threads
from cnncourse.bench.process import run_process
from cnncourse.bench.ratios import shuffled
from cnncourse.bench.result import BenchResult

ATTEMPTS = 3
"""How often a trial is run at most until others leave the machine alone."""
BLOCKS = 3
"""Timed blocks of a trial."""
SECONDS = 6.0
"""Timed seconds of a trial where a workload does not say otherwise."""


def run(
    name: str | Benchmark,
    *,
    rounds: int = 5,
    workloads: Sequence[str] | None = None,
    contestants: Sequence[str] | None = None,
    threads: int | None = None,
    seconds: float | None = None,
    device: str = "cpu",
    seed: int = 0,
    attempts: int = ATTEMPTS,
    limit: float | None = None,
    output: Path | None = None,
    append: bool = False,
    report: Callable[[str], object] = print,
) -> BenchResult:
    """Measure.

    Args:
        name: name of the benchmark, or one of your own.
        rounds: rounds that the result shall have in the end, at least 1; 5 or more for a figure to publish.
        workloads: names of some of the workloads; ``None`` is all.
        contestants: names of some of the contestants; ``None`` is all. The reference always runs with them.
        threads: threads of each trial; ``None`` leaves it to the workload.
        seconds: timed seconds of a trial, in three blocks; ``None`` leaves it to the workload.
        device: where to compute, in PyTorch's words.
        seed: seed of data, first weights and the order of the trials.
        attempts: how often a trial is run at most until others leave the machine alone, at least 1.
        limit: start no trial after so many seconds; what is missing can be run later with ``append``.
        output: file that is written after each trial; ``None`` writes none.
        append: go on with what the file holds: only what it lacks of the wanted rounds is run.
        report: called with a line now and then.

    Returns:
        The result, also of earlier runs in the file.

    Raises:
        ValueError: if a name or a number is out of range.
        BenchError: if the file holds another benchmark or other settings.
    """
    benchmark = name if isinstance(name, Benchmark) else _named(name)
    if min(rounds, attempts, 1 if threads is None else threads) < 1 or (
        seconds is not None and not seconds > 0
    ):
        raise ValueError(
            "rounds, attempts and threads must be at least 1 and seconds above 0, got "
            f"{rounds=}, {attempts=}, {threads=}, {seconds=}"
        )
    chosen = benchmark.chosen_contestants(None if contestants is None else tuple(contestants))
    chosen = tuple(one for one in benchmark.contestants if one in chosen or one.name == benchmark.reference)
    settings = {"seconds": seconds, "seed": seed, "threads": threads, "device": device}
    result = BenchResult.begin(benchmark, settings)
    if append and output is not None and output.is_file():
        result = BenchResult.load(output).continued(result)
    due = []
    for number, workload, contestant in _due(benchmark, chosen, workloads, rounds, seed):
        if missing := contestant.missing():
            result.skip(contestant.name, f"not installed: {', '.join(missing)}")
        elif not result.has(number, workload.name, contestant.name):
            due.append((number, workload, contestant))
    t_start = monotonic()
    with tempfile.TemporaryDirectory(prefix="cnncourse-bench-") as scratch:
        stage = _Stage(benchmark, settings, Path(scratch), attempts, report)
        if due:
            result.slices.append(stage.conditions(measure_peak=benchmark.flops_a_multiply_add > 0))
        for number, workload, contestant in due:
            if limit is not None and monotonic() - t_start >= limit:
                report(f"stopped after {limit:g} s; run again with append to go on")
                break
            trial = stage.trial(workload, contestant)
            result.trials.append({"round": number, **trial, "slice": len(result.slices) - 1})
            report(result.line(result.trials[-1]))
            if output is not None:
                result.save(output)
    if output is not None:
        result.save(output)
    return result


def _named(name: str) -> Benchmark:
    if name not in catalogue.BENCHMARKS:
        raise ValueError(f"there is no benchmark {name!r}; choose of {', '.join(catalogue.BENCHMARKS)}")
    return catalogue.BENCHMARKS[name]


def _due(
    benchmark: Benchmark,
    contestants: Sequence[Contestant],
    workloads: Sequence[str] | None,
    rounds: int,
    seed: int,
) -> Iterator[tuple[int, Workload, Contestant]]:
    """Yield all trials in the order in which they run."""
    chosen = benchmark.chosen_workloads(None if workloads is None else tuple(workloads))
    for number in range(rounds):
        for workload in chosen:
            by_name = {
                one.name: one
                for one in contestants
                if one.workloads is None or workload.name in one.workloads
            }
            # Missing contestants keep their places: a peer that is installed later changes no order.
            for name in shuffled(list(by_name), seed=seed, number=number, workload=workload.name):
                yield number, workload, by_name[name]


class _Stage:
    """Where the trials run."""

    def __init__(
        self,
        benchmark: Benchmark,
        settings: dict[str, Any],
        scratch: Path,
        attempts: int,
        report: Callable[[str], object],
    ) -> None:
        self.benchmark = benchmark
        self.settings = settings
        self.scratch = scratch
        self.attempts = attempts
        self.report = report

    def threads(self, workload: Workload | None = None) -> int:
        """Return the threads of a workload's trials."""
        own = None if workload is None else workload.threads
        return self.settings["threads"] or own or default_threads()

    def conditions(self, *, measure_peak: bool) -> dict[str, Any]:
        """Return the conditions of this run, with the processor's peak where rates are held against it."""
        found = conditions(self.threads())
        if measure_peak and self.settings["device"] == "cpu":
            threads = self.threads()
            trial = self._process(
                {
                    "function": "cnncourse.bench.peak:measure",
                    "options": {"threads": threads},
                    "settings": {},
                    "packages": [],
                    "timed": False,
                    "clock": {},
                },
                threads,
                timeout=120,
            )
            found["peak"] = trial.get("facts", {"error": trial.get("error")})
        return found

    def trial(self, workload: Workload, contestant: Contestant) -> dict[str, Any]:
        """Run one trial, again if others disturbed it, and return its report."""
        threads = self.threads(workload)
        seconds = float(self.settings["seconds"] or workload.settings.get("seconds", SECONDS))
        specification = {
            "function": contestant.function,
            "options": dict(contestant.options),
            "settings": dict(workload.settings),
            "packages": list(contestant.packages),
            "timed": True,
            "clock": {
                "blocks": BLOCKS,
                "block_seconds": seconds / BLOCKS,
                "warmup_steps": int(workload.settings.get("warmup_steps", 10)),
                "warmup_seconds": min(seconds / 3, float(workload.settings.get("warmup_seconds", 2.0))),
            },
        }
        names = {"workload": workload.name, "contestant": contestant.name}
        best: dict[str, Any] | None = None
        for attempt in range(1, self.attempts + 1):
            found = self._process(specification, threads, timeout=300 + 10 * seconds)
            if "error" in found:
                return {**names, "attempts": attempt, "error": found["error"]}
            found["disturbed"] = not _undisturbed(found)
            if best is None or _foreign(found) < _foreign(best):
                best = found
            if not found["disturbed"]:
                break
            self.report(f"  {contestant.name}: others took {_foreign(found):.0%} of the processors")
        assert best is not None  # there is at least one attempt
        return {**names, **best, "attempts": attempt, "value": _figure(best, self.benchmark.unit)}

    def _process(self, specification: dict[str, Any], threads: int, timeout: float) -> dict[str, Any]:
        specification |= {
            "seed": self.settings["seed"],
            "device": self.settings["device"],
            "scratch": str(self.scratch),
        }
        return run_process(specification, threads=threads, timeout=timeout)


def _blocks(trial: dict[str, Any]) -> list[Block]:
    return [Block(**block) for block in trial["blocks"]]


def _undisturbed(trial: dict[str, Any]) -> bool:
    """Return whether most blocks had the machine to themselves."""
    blocks = _blocks(trial)
    return 2 * sum(block.clean for block in blocks) > len(blocks)


def _foreign(trial: dict[str, Any]) -> float:
    """Return the middle block's share of the processors that others took."""
    shares = sorted(block.foreign or 0.0 for block in _blocks(trial))
    return shares[len(shares) // 2]


def _figure(trial: dict[str, Any], unit: str) -> float:
    """Return the median over the blocks that count, or over all where none does."""
    blocks = _blocks(trial)
    counted = [block for block in blocks if block.clean] or blocks
    seconds = sorted(block.seconds / block.steps for block in counted)
    middle = (seconds[len(seconds) // 2] + seconds[(len(seconds) - 1) // 2]) / 2
    if unit.endswith("/s"):
        return float(trial["units_a_step"]) / middle
    return middle * (1e6 if unit.startswith("µs") else 1.0)
