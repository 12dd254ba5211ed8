import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.training import constant, cosine, one_cycle


def test_start_middle_and_end():
    # ten steps without warm-up
    assert [cosine(step, 10) for step in (0, 5)] == pytest.approx([1, 0.5])
    assert cosine(9, 10) == pytest.approx((1 + math.cos(0.9 * math.pi)) / 2)
    assert [one_cycle(step, 10) for step in (0, 5, 9)] == pytest.approx([1, 0.5, 0.1])
    assert [constant(step, 10) for step in (0, 5, 9)] == [1, 1, 1]


@pytest.mark.parametrize("schedule", [constant, cosine, one_cycle])
def test_warm_up_is_a_straight_rise_to_the_peak(schedule):
    assert [schedule(step, 20, 4) for step in range(5)] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])


@given(st.data(), st.sampled_from([cosine, one_cycle]), st.integers(1, 200))
def test_rises_then_falls_and_stays_above_zero(data, schedule, total):
    warmup = data.draw(st.integers(0, total - 1))
    factors = [schedule(step, total, warmup) for step in range(total)]
    assert factors[warmup] == max(factors) == 1
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert min(factors) > 0


@pytest.mark.parametrize("schedule", [constant, cosine, one_cycle])
def test_bad_input(schedule):
    with pytest.raises(ValueError, match=r"step must lie in \[0, 10\), got step=10"):
        schedule(10, 10)
    with pytest.raises(ValueError, match="got total_steps=10, warmup_steps=10"):
        schedule(0, 10, 10)
    with pytest.raises(ValueError, match="got total_steps=0"):
        schedule(0, 0)
