"""Contestants of a benchmark that nobody else runs; imported by trials, in processes of their own."""

import os
import time
from pathlib import Path


def sleeper(task, clock, *, milliseconds):
    """Sleep in each step, and say so to both streams: a trial's report must survive it."""
    print("hello from a contestant")
    task.units_a_step = 10
    task.facts["seed"] = task.seed
    clock.repeat(lambda: time.sleep(milliseconds / 1000))


def crash(task, clock):
    raise RuntimeError("the contestant fell over")


def die(task, clock):
    os.kill(os.getpid(), 9)


def lazy(task, clock):
    """Come back without a single step."""


def hang(task, clock, *, note=None):
    """Sleep longer than anybody waits, and note the number of the process."""
    if note is not None:
        Path(note).write_text(str(os.getpid()), encoding="ascii")
    time.sleep(60)
