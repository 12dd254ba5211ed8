"""Whether a rerun agrees with a record."""

import math
import statistics
from dataclasses import dataclass

from cnncourse.records.record import Record, RecordError

BAND = 3.0
"""Half the width of the band, in standard errors of the difference between two means."""


@dataclass(frozen=True)
class Agreement:
    """One result in a record and in its rerun."""

    result: str
    """Name of the result."""
    recorded: float
    """Mean over the record's seeds."""
    measured: float
    """Mean over the rerun's seeds."""
    allowed: float
    """Largest difference that the spread over seeds explains."""

    @property
    def agrees(self) -> bool:
        """Whether the difference lies in the band."""
        return abs(self.measured - self.recorded) <= self.allowed

    def __str__(self) -> str:
        verdict = "agrees" if self.agrees else "DIFFERS"
        return (
            f"{self.result}: recorded {self.recorded:.5g}, now {self.measured:.5g}, difference "
            f"{abs(self.measured - self.recorded):.2g} of {self.allowed:.2g} allowed: {verdict}"
        )


def compare(record: Record, rerun: Record, *, least: float = 0.002) -> list[Agreement]:
    """Compare the results of a rerun with those of a record.

    Two means of n and m seeds differ by chance with standard deviation s sqrt(1/n + 1/m), s pooled over both runs;
    the band is three of these, and at least ``least`` where a spread of few seeds says too little.

    Args:
        record: the record.
        rerun: the same recipe at the same budget, with any seeds.
        least: smallest half width of the band, as a share of the result's size (accuracies: of 1).

    Returns:
        One comparison for each accuracy and loss that both have.

    Raises:
        RecordError: if the two were not made in the same way, or have nothing to compare.
    """
    changed = [
        f"{name} was {record.settings.get(name)!r}, is {rerun.settings.get(name)!r}"
        for name in {**record.settings, **rerun.settings}
        if record.settings.get(name) != rerun.settings.get(name)
        and name in record.settings
        and name in rerun.settings
        and name not in ("precision", "channels_last", "keep_memory", "workers", "compile")
    ]
    if record.budget != rerun.budget or changed:
        changed = [f"budget was {record.budget!r}, is {rerun.budget!r}"] * (
            record.budget != rerun.budget
        ) + changed
        raise RecordError(f"the rerun of {record.name!r} has other settings: {'; '.join(changed)}")
    names = [name for name in record.results if name in rerun.results and _comparable(name, record, rerun)]
    if not names:
        raise RecordError(f"record {record.name!r} and its rerun have no accuracy or loss in common")
    return [_agreement(name, record, rerun, least) for name in names]


def _comparable(name: str, record: Record, rerun: Record) -> bool:
    """Durations and counts do not belong to what a recipe promises."""
    measured = all(isinstance(run.results[name], (list, tuple)) for run in (record, rerun))
    return measured and not name.endswith(("_seconds", "_errors", "_to_target"))


def _agreement(name: str, record: Record, rerun: Record, least: float) -> Agreement:
    old, new = ([float(value) for value in run.results[name]] for run in (record, rerun))
    freedom = len(old) + len(new) - 2
    squares = sum((len(values) - 1) * statistics.variance(values) for values in (old, new) if len(values) > 1)
    spread = math.sqrt(squares / freedom) if freedom else 0.0
    floor = least * max(1.0 if name.endswith("accuracy") else 0.0, abs(statistics.fmean(old)))
    allowed = max(BAND * spread * math.sqrt(1 / len(old) + 1 / len(new)), floor)
    return Agreement(name, statistics.fmean(old), statistics.fmean(new), allowed)
