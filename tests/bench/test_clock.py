import collections
import itertools

import pytest

from cnncourse.bench import clock as clock_module
from cnncourse.bench.clock import Block, Clock, Enough
from cnncourse.bench.foreign import Load


@pytest.fixture
def world(monkeypatch):
    """A world in which a step takes one second and others take a known share."""
    state = {"now": 0.0, "foreign": [], "total": 0, "busy": 0}

    def read():
        share = state["foreign"].pop(0) if state["foreign"] else 0.0
        state["total"] += 100
        state["busy"] += round(100 * share)
        return Load(state["total"], state["busy"], 0)

    monkeypatch.setattr(clock_module, "perf_counter", lambda: state["now"])
    monkeypatch.setattr(clock_module, "read_load", read)
    return state


def run(clock, world):
    """Tick at the beginning of each step; return how many steps were finished."""
    for done in itertools.count():
        try:
            clock.tick()
        except Enough:
            return done
        world["now"] += 1.0
    return None


def test_blocks_have_the_steps_that_fill_their_time(world):
    clock = Clock(blocks=3, block_seconds=4.5, warmup_steps=7, warmup_seconds=0.0)
    assert run(clock, world) == 7 + 3 * 5
    assert clock.blocks == [Block(5, 5.0, 0.0)] * 3


def test_warm_up_lasts_as_long_as_asked(world):
    clock = Clock(blocks=1, block_seconds=1.0, warmup_steps=2, warmup_seconds=20.0)
    assert run(clock, world) == 21 + 1  # the watch starts after the first step


def test_looking_after_the_warm_up_is_not_timed(world):
    seen = []

    def look():
        seen.append(world["now"])
        world["now"] += 1000.0

    clock = Clock(blocks=2, block_seconds=3.0, warmup_steps=4, warmup_seconds=0.0, at_warm=look)
    run(clock, world)
    assert seen == [4.0]  # once, after exactly four steps
    assert clock.blocks == [Block(3, 3.0, 0.0)] * 2


def test_what_others_take_is_recorded_with_each_block(world):
    clock = Clock(blocks=2, block_seconds=1.0, warmup_steps=2, warmup_seconds=0.0)
    world["foreign"] = [0.0, 0.05, 0.0, 0.5]  # at the start of a block, and at its end
    run(clock, world)
    assert [(block.foreign, block.clean) for block in clock.blocks] == [(0.05, True), (0.5, False)]


def test_the_device_is_waited_for_at_both_ends_of_a_block(world):
    waits = []
    clock = Clock(
        blocks=2,
        block_seconds=1.0,
        warmup_steps=2,
        warmup_seconds=0.0,
        synchronise=lambda: waits.append(world["now"]),
    )
    run(clock, world)
    assert waits[-4:] == [2.0, 3.0, 3.0, 4.0]


def test_items_and_calls_are_counted(world):
    def items():
        while True:
            world["now"] += 1.0
            yield "batch"

    clock = Clock(blocks=1, block_seconds=2.0, warmup_steps=2, warmup_seconds=0.0)
    with pytest.raises(Enough):
        collections.deque(clock.through(items()), maxlen=0)
    assert clock.blocks == [Block(2, 2.0, 0.0)]

    calls = []

    def step():
        calls.append(1)
        world["now"] += 1.0

    clock = Clock(blocks=1, block_seconds=2.0, warmup_steps=2, warmup_seconds=0.0)
    clock.repeat(step)
    assert len(calls) == 4


@pytest.mark.parametrize("settings", [{"blocks": 0}, {"warmup_steps": 1}, {"block_seconds": 0.0}])
def test_impossible_settings_are_refused(settings):
    (name,) = settings
    with pytest.raises(ValueError, match=f"{name}={settings[name]}"):
        Clock(**settings)


def test_a_share_that_is_not_known_disturbs_nobody():
    assert Block(1, 1.0, None).clean
