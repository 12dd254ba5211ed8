"""Recorded runs: what was measured once, with everything needed to measure it again."""

from cnncourse.records.conditions import Provenance, peak_memory_mib, provenance
from cnncourse.records.record import Record, RecordError
from cnncourse.records.store import available, load, save

__all__ = [
    "Provenance",
    "Record",
    "RecordError",
    "available",
    "load",
    "peak_memory_mib",
    "provenance",
    "save",
]
