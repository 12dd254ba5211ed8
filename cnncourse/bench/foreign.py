"""How much of the processor others took: all that was busy, less what this trial used itself.

Linux only, from ``/proc``. Elsewhere the share is not known, which a result says.
"""

import os
from dataclasses import dataclass
from pathlib import Path

MOST_FOREIGN = 0.06
"""Share of the processors that others may take in a block that counts."""

_IDLE = (3, 4)
"""Columns of /proc/stat that are no work: idle, and waiting for a disk."""
_GUESTS = 8
"""Columns from here on count guests again, who are in the first two already."""


@dataclass(frozen=True)
class Load:
    """Processor time so far, in ticks of the kernel's clock."""

    total: int
    """Of all processors that this process may use, working or not."""
    busy: int
    """Working, for anybody; time that a host took for other guests is in it."""
    own: int
    """Of this session: the process, its threads and its children."""


def read_load(proc: Path = Path("/proc"), session: int | None = None) -> Load | None:
    """Return the processor time so far.

    Args:
        proc: where the kernel tells.
        session: whose own time; ``None`` is this process's session.

    Returns:
        The times, or ``None`` where the system does not tell.
    """
    try:
        text = (proc / "stat").read_text(encoding="ascii")
    except OSError:
        return None
    processors = {f"cpu{number}" for number in _usable()}
    total = busy = 0
    for line in text.splitlines():
        label, *columns = line.split()
        if label in processors:
            ticks = [int(column) for column in columns[:_GUESTS]]
            total += sum(ticks)
            busy += sum(count for column, count in enumerate(ticks) if column not in _IDLE)
    own = session if session is not None else os.getsid(0)
    return Load(total, busy, _session_ticks(proc, own))


def foreign_share(before: Load | None, after: Load | None) -> float | None:
    """Return the share of the processors that others took between two readings.

    Args:
        before: the earlier reading.
        after: the later reading.

    Returns:
        0 to 1, or ``None`` where a reading is missing or no time has passed.
    """
    if before is None or after is None or after.total <= before.total:
        return None
    others = (after.busy - before.busy) - (after.own - before.own)
    return min(max(others / (after.total - before.total), 0.0), 1.0)


def _usable() -> set[int]:
    if hasattr(os, "sched_getaffinity"):
        return set(os.sched_getaffinity(0))
    return set(range(os.cpu_count() or 1))


def _session_ticks(proc: Path, session: int) -> int:
    """Return the ticks of all processes of a session, with those of their children that have ended."""
    ticks = 0
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it ended while we looked
            continue
        # The name of the program, in parentheses, may hold spaces and parentheses itself.
        columns = text.rpartition(")")[2].split()
        if len(columns) > 14 and int(columns[3]) == session:
            ticks += sum(int(column) for column in columns[11:15])
    return ticks
