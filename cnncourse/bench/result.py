"""A benchmark's result: trials, conditions, and what they come to."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from cnncourse.bench.benchmark import Benchmark
from cnncourse.bench.ratios import Spread, differences_by_round, ratios_by_round


class BenchError(ValueError):
    """A result file does not fit what is asked of it."""


@dataclass(frozen=True)
class Row:
    """What one contestant's trials on one workload come to."""

    workload: str
    """The task."""
    contestant: str
    """Who did it."""
    value: Spread | None
    """The figures, in the benchmark's unit; ``None`` if there is none."""
    ratio: Spread | None
    """Figure over the reference's figure of the same round; ``None`` without the reference."""
    difference: Spread | None
    """Figure less the reference's figure of the same round."""
    gflops: float | None
    """Median rate of arithmetic, GFLOP/s; ``None`` where nothing is counted."""
    peak_share: float | None
    """That rate over the processor's peak at this precision."""
    facts: dict[str, Any]
    """What the trials reported besides; numbers are medians."""
    peak_memory_mib: float | None
    """Median of the largest memory of the trials' processes, in MiB."""
    disturbed: int
    """Trials that stayed disturbed by others after all attempts."""
    errors: tuple[str, ...]
    """What went wrong, each message once."""


@dataclass
class BenchResult:
    """All trials of a benchmark, and under which conditions they ran."""

    benchmark: str
    """Name of the benchmark."""
    description: str
    """What is measured."""
    unit: str
    """Unit of the figures."""
    higher_is_better: bool
    """Whether a larger figure is a better one."""
    reference: str
    """Contestant whose figure is 1."""
    flops_a_multiply_add: int
    """Operations counted for each multiply-add of the forward pass."""
    settings: dict[str, Any]
    """Settings of the run, by name."""
    order: list[str]
    """Contestants, in the benchmark's order."""
    workloads: dict[str, str]
    """What is done, by name of the workload."""
    contestants: dict[str, str]
    """What each contestant does, by name."""
    slices: list[dict[str, Any]] = field(default_factory=list)
    """Conditions of each run that added trials: processor, versions, commit, date, peak."""
    trials: list[dict[str, Any]] = field(default_factory=list)
    """Reports of all trials."""
    skipped: dict[str, str] = field(default_factory=dict)
    """Why a contestant did not run, by name."""

    @classmethod
    def begin(cls, benchmark: Benchmark, settings: dict[str, Any]) -> "BenchResult":
        """Return an empty result.

        Args:
            benchmark: what will be measured.
            settings: settings of the run.

        Returns:
            A result without trials.
        """
        return cls(
            benchmark=benchmark.name,
            description=benchmark.description,
            unit=benchmark.unit,
            higher_is_better=benchmark.higher_is_better,
            reference=benchmark.reference,
            flops_a_multiply_add=benchmark.flops_a_multiply_add,
            settings=settings,
            order=[contestant.name for contestant in benchmark.contestants],
            workloads={workload.name: workload.description for workload in benchmark.workloads},
            contestants={one.name: one.description for one in benchmark.contestants},
        )

    def continued(self, fresh: "BenchResult") -> "BenchResult":
        """Return this result, ready for more trials.

        Args:
            fresh: the empty result of the new run.

        Returns:
            The new descriptions with the trials so far.

        Raises:
            BenchError: if benchmark or settings differ.
        """
        if (self.benchmark, self.settings) != (fresh.benchmark, fresh.settings):
            raise BenchError(
                f"only a run of the same benchmark and settings can go on, got {fresh.benchmark} "
                f"{fresh.settings} for a file with {self.benchmark} {self.settings}; choose another file"
            )
        fresh.slices, fresh.trials = list(self.slices), list(self.trials)
        return fresh

    def has(self, number: int, workload: str, contestant: str) -> bool:
        """Return whether this trial has run.

        Args:
            number: number of the round, from 0.
            workload: the task.
            contestant: who does it.

        Returns:
            True if there is a report of it, be it of an error.
        """
        key = (number, workload, contestant)
        return any((one["round"], one["workload"], one["contestant"]) == key for one in self.trials)

    def skip(self, contestant: str, reason: str) -> None:
        """Note why a contestant does not run.

        Args:
            contestant: its name.
            reason: why.
        """
        self.skipped[contestant] = reason

    def rows(self) -> list[Row]:
        """Return a row for each workload and contestant that ran, in the benchmark's order."""
        found = []
        for workload in self.workloads:
            of_workload = [trial for trial in self.trials if trial["workload"] == workload]
            present = [name for name in self.order if any(t["contestant"] == name for t in of_workload)]
            reference = self.reference_of(workload)
            figures = {name: _by_round(of_workload, name) for name in present}
            for name in present:
                trials = [trial for trial in of_workload if trial["contestant"] == name]
                found.append(self._row(workload, name, trials, figures, reference))
        return found

    def reference_of(self, workload: str) -> str | None:
        """Return whose figure is 1 on a workload: the benchmark's reference, or the first that took part.

        Args:
            workload: the task.

        Returns:
            Name of a contestant, or ``None`` if nobody has a figure.
        """
        ran = {t["contestant"] for t in self.trials if t["workload"] == workload and "value" in t}
        if self.reference in ran:
            return self.reference
        return next((name for name in self.order if name in ran), None)

    def peak(self, precision: str) -> tuple[float, str] | None:
        """Return the largest measured peak, of all runs.

        Args:
            precision: ``fp32`` or ``bf16``.

        Returns:
            GFLOP/s, and how it was measured: ``registers`` or ``library``; ``None`` if it was not.
        """
        for how in ("registers", "library"):
            rates = [part.get("peak", {}).get(how, {}).get(precision, 0.0) for part in self.slices]
            if any(rates):
                return max(rates), how
        return None

    def _row(
        self,
        workload: str,
        name: str,
        trials: Sequence[dict[str, Any]],
        figures: dict[str, dict[int, float]],
        reference: str | None,
    ) -> Row:
        ours, theirs = figures[name], figures.get(reference or "", {})
        ratios, differences = ratios_by_round(ours, theirs), differences_by_round(ours, theirs)
        facts = _merged([trial["facts"] for trial in trials if "facts" in trial])
        gflops = share = None
        if ours and self.flops_a_multiply_add and "multiply_adds" in facts:
            gflops = (
                Spread.of(list(ours.values())).median * facts["multiply_adds"] * self.flops_a_multiply_add
            )
            gflops /= 1e9
            peak = self.peak(facts.get("precision", "fp32"))
            share = None if peak is None else gflops / peak[0]
        memory = [trial["peak_memory_mib"] for trial in trials if "peak_memory_mib" in trial]
        return Row(
            workload=workload,
            contestant=name,
            value=Spread.of(list(ours.values())) if ours else None,
            ratio=Spread.of(ratios) if ratios else None,
            difference=Spread.of(differences) if differences else None,
            gflops=gflops,
            peak_share=share,
            facts=facts,
            peak_memory_mib=Spread.of(memory).median if memory else None,
            disturbed=sum(bool(trial.get("disturbed")) for trial in trials),
            errors=tuple(dict.fromkeys(trial["error"] for trial in trials if "error" in trial)),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain dictionaries and lists, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Any) -> "BenchResult":
        """Return the result that :meth:`to_dict` wrote.

        Args:
            content: what a JSON file held.

        Returns:
            The result.

        Raises:
            BenchError: if a field is missing or unknown.
        """
        names = {f.name for f in fields(cls)}
        if not isinstance(content, dict) or set(content) != names:
            got = sorted(content) if isinstance(content, dict) else type(content).__name__
            raise BenchError(f"a result has the fields {sorted(names)}, got {got}")
        return cls(**content)

    def save(self, path: Path) -> Path:
        """Write the result as JSON; the old file stays whole until the new one is complete.

        Args:
            path: the file.

        Returns:
            The file.

        Raises:
            OSError: if it cannot be written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}.part")
        part.write_text(json.dumps(self.to_dict(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> "BenchResult":
        """Read a result.

        Args:
            path: the file.

        Returns:
            The result.

        Raises:
            BenchError: if the file holds no result.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise BenchError(f"{path.name} is not JSON ({error})") from error
        return cls.from_dict(content)

    def table(self) -> str:
        """Return the result as an aligned table of text, with what it stands on below."""
        from cnncourse.bench.table import as_text

        return as_text(self)

    def markdown(self) -> str:
        """Return the result as a table of Markdown, with what it stands on below."""
        from cnncourse.bench.table import as_markdown

        return as_markdown(self)

    def line(self, trial: dict[str, Any]) -> str:
        """Return one line about a trial.

        Args:
            trial: its report.

        Returns:
            Round, workload, contestant and figure or error.
        """
        head = f"round {trial['round'] + 1}  {trial['workload']:<16} {trial['contestant']:<22}"
        if "error" in trial:
            return f"{head} failed: {trial['error']}"
        mark = "  (disturbed)" if trial["disturbed"] else ""
        return f"{head} {trial['value']:>12,.4g} {self.unit}{mark}"


def _by_round(trials: Sequence[dict[str, Any]], contestant: str) -> dict[int, float]:
    return {t["round"]: t["value"] for t in trials if t["contestant"] == contestant and "value" in t}


def _merged(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one value a fact: the median of numbers, else the last word."""
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for report in reports for key in report):
        values = [report[key] for report in reports if key in report]
        numbers = [value for value in values if isinstance(value, (int, float))]
        merged[key] = Spread.of(numbers).median if len(numbers) == len(values) else values[-1]
    return merged
