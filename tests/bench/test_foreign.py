import os

import pytest

from cnncourse.bench import foreign
from cnncourse.bench.foreign import Load, foreign_share, read_load

#       label user nice system idle iowait irq softirq steal guest guest_nice
STAT = """cpu  999 999 999 999 999 999 999 999 999 999
cpu0 100 10 20 300 5 1 2 3 50 50
cpu1 200 0 30 400 0 0 0 0 0 0
cpu7 7777 0 0 0 0 0 0 0 0 0
intr 1 2 3
"""


def process(folder, number, *, session, ticks, name="python"):
    place = folder / str(number)
    place.mkdir()
    # state ppid pgrp session tty_nr tpgid flags minflt cminflt majflt cmajflt utime stime cutime cstime ...
    columns = ["S", "1", "1", str(session), *["0"] * 7, *map(str, ticks), "20", "0"]
    (place / "stat").write_text(f"{number} ({name}) {' '.join(columns)}\n", encoding="ascii")


@pytest.fixture
def proc(tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "_usable", lambda: {0, 1})
    (tmp_path / "stat").write_text(STAT, encoding="ascii")
    (tmp_path / "meminfo").touch()
    process(tmp_path, 11, session=11, ticks=(40, 10, 5, 1))
    process(tmp_path, 12, session=11, ticks=(20, 0, 0, 0), name="a (strange) name")
    process(tmp_path, 13, session=13, ticks=(500, 500, 0, 0))
    (tmp_path / "14").mkdir()  # ended while we looked
    return tmp_path


def test_times_of_the_usable_processors_and_of_one_session(proc):
    # cpu0: 100 + 10 + 20 + 1 + 2 + 3 busy, 305 idle; cpu1: 230 busy, 400 idle. Guests stand in user already.
    assert read_load(proc, session=11) == Load(total=441 + 630, busy=136 + 230, own=56 + 20)


def test_no_proc_no_reading(tmp_path):
    assert read_load(tmp_path / "absent") is None
    assert foreign_share(None, Load(1, 1, 1)) is None
    assert foreign_share(Load(1, 1, 1), None) is None


@pytest.mark.parametrize(
    ("after", "share"),
    [
        (Load(1200, 600, 400), 0.5),  # 200 ticks passed, 200 busy, 100 of them ours
        (Load(1200, 500, 400), 0.0),  # all that was busy was ours
        (Load(1200, 480, 400), 0.0),  # ticks are counted at different moments: never below 0
        (Load(1000, 400, 300), None),  # no time has passed
    ],
)
def test_share_of_others(after, share):
    assert foreign_share(Load(1000, 400, 300), after) == share


@pytest.mark.skipif(not os.path.exists("/proc/stat"), reason="Linux tells, others do not")  # noqa: PTH110
def test_this_process_is_in_its_own_session():
    before = read_load()
    total = 0
    while (after := read_load()).own < before.own + 5:  # 50 ms of our own work
        total += sum(range(10_000))
    assert after.busy > before.busy or after.total == before.total
    assert 0 <= foreign_share(before, after) < 1
