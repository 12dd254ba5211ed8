"""What a chapter takes to run: measured, kept in the notebook, told in one line under its title."""

import math
from collections.abc import Mapping
from typing import Any

from cnncourse.book.execute import NotebookError

__all__ = ["data_used", "run_line", "settle_timing", "two_digits"]


def two_digits(value: float) -> float:
    """Return a number, not negative, to two significant digits."""
    return round(value, 1 - math.floor(math.log10(value))) if value > 0 else 0


def _moved(old: float | None, new: float, floor: float) -> bool:
    return old is None or abs(new - old) > max(0.5 * old, floor)


def settle_timing(stored: Mapping[str, Any], *, seconds: float, peak_bytes: int) -> dict[str, Any]:
    """Return the chapter's record with new measurements, where they moved by more than half.

    A run is never as long as the one before; without this, refreshing would always change the file.

    Args:
        stored: the notebook's metadata ``cnncourse``.
        seconds: processor time of this run.
        peak_bytes: memory of this run; 0 if unknown.

    Returns:
        A new mapping; ``seconds`` and ``memory_mb`` have two significant digits.
    """
    settled = dict(stored)
    if _moved(settled.get("seconds"), seconds, floor=2):
        settled["seconds"] = two_digits(seconds)
    memory = peak_bytes / 1e6
    if peak_bytes and _moved(settled.get("memory_mb"), memory, floor=50):
        settled["memory_mb"] = int(two_digits(memory))
    return settled


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{max(5, 5 * round(seconds / 5))} s"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds / 60:.1f} min"


def data_used(record: Mapping[str, Any], *, slug: str) -> str:
    """Return what the author wrote about the chapter's data.

    Args:
        record: the notebook's metadata ``cnncourse``.
        slug: the chapter's name, for messages.

    Returns:
        A phrase without a full stop.

    Raises:
        NotebookError: if nothing is said.
    """
    data = record.get("data")
    if not isinstance(data, str) or not data.strip():
        raise NotebookError(
            f"{slug}: the notebook's metadata must say which data it uses, as "
            '{"cnncourse": {"data": "scikit-learn\'s digits, which come with it"}}'
        )
    return data.strip().rstrip(".")


def run_line(record: Mapping[str, Any], *, slug: str) -> str:
    """Return the line that says what running the chapter takes, in Markdown.

    Args:
        record: the notebook's metadata ``cnncourse``, with ``data`` written by the author, ``seconds`` and
            ``memory_mb`` measured here, and ``gpu_seconds`` with ``gpu`` if a GPU has been timed.
        slug: the chapter's name, for messages.

    Returns:
        One paragraph.

    Raises:
        NotebookError: if the author has not said which data the chapter uses.
    """
    gpu = "not yet measured"
    if "gpu_seconds" in record:
        gpu = f"about {_duration(record['gpu_seconds'])} at full scale ({record['gpu']})"
    memory = record.get("memory_mb")
    return (
        f"**Run time:** about {_duration(record['seconds'])} on two CPU cores; on a GPU: {gpu}. "
        f"**Memory:** {f'about {memory / 1000:.1f} GB' if memory else 'not yet measured'}. "
        f"**Data:** {data_used(record, slug=slug)}."
    )
