import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnncourse.bench.ratios import Spread, differences_by_round, ratios_by_round, shuffled

FIGURES = st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=9)


@given(FIGURES)
def test_half_of_the_figures_lie_on_each_side_of_the_median(figures):
    spread = Spread.of(figures)
    assert (spread.low, spread.high, spread.count) == (min(figures), max(figures), len(figures))
    assert 2 * sum(figure <= spread.median for figure in figures) >= len(figures)
    assert 2 * sum(figure >= spread.median for figure in figures) >= len(figures)


def test_no_figure_has_no_spread():
    with pytest.raises(ValueError, match="at least one figure, got none"):
        Spread.of([])


def test_a_ratio_is_taken_within_its_round():
    # The machine halves its speed in the second round, which no ratio sees; the third has no reference.
    reference = {0: 100.0, 1: 50.0}
    ours = {0: 200.0, 1: 100.0, 2: 999.0}
    assert ratios_by_round(ours, reference) == [2.0, 2.0]
    assert differences_by_round(ours, reference) == [100.0, 50.0]
    assert ratios_by_round(ours, {}) == []


def test_a_reference_of_nothing_is_refused():
    with pytest.raises(ValueError, match=r"must be above 0, got \{0: 0.0\}"):
        ratios_by_round({0: 1.0}, {0: 0.0})


NAMES = ["a", "b", "c", "d", "e"]


def test_order_of_a_round_depends_on_its_arguments_only():
    random.seed(0)
    first = shuffled(NAMES, seed=1, number=0, workload="w")
    random.seed(1)
    assert shuffled(NAMES[::-1], seed=1, number=0, workload="w") == first
    assert sorted(first) == NAMES


def test_every_contestant_gets_every_place():
    places = {
        (name, place)
        for number in range(200)
        for place, name in enumerate(shuffled(NAMES, seed=0, number=number, workload="w"))
    }
    assert len(places) == len(NAMES) ** 2
    orders = {tuple(shuffled(NAMES, seed=seed, number=0, workload=w)) for seed in range(9) for w in "xy"}
    assert len(orders) > 9
