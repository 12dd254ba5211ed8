"""Bounds on pieces and distances: their arithmetic, their proofs' steps, and functions that reach them."""

from fractions import Fraction
from itertools import product
from math import prod

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.theory import (
    PiecewiseLinear,
    count_pieces,
    l1_lower_bound,
    max_pieces_deep,
    max_pieces_shallow,
    max_pieces_with,
    narrow_sawtooth,
    pieces_of_composition_bound,
    pieces_of_sum_bound,
    sawtooth,
    shallow_sawtooth,
    telgarsky_gap,
)


def test_shallow_bound_is_reached():
    network = shallow_sawtooth(4, everywhere=True)  # 17 units
    assert count_pieces(network, (-1, 2)) == max_pieces_shallow(17) == 18
    assert max_pieces_shallow(0) == 1


def test_deep_bound_is_the_product_and_below_telgarskys():
    assert max_pieces_deep([]) == 1
    assert max_pieces_deep([3]) == max_pieces_shallow(3) == 4
    assert max_pieces_deep([2, 3, 4]) == 60
    for width, depth in product(range(1, 6), range(1, 6)):
        assert max_pieces_deep([width] * depth) <= (2 * width) ** depth
    assert count_pieces(narrow_sawtooth(6)) == 64 <= max_pieces_deep([2] * 6) == 729


@pytest.mark.parametrize("layers", [1, 2, 3, 4])
@pytest.mark.parametrize("nodes", [1, 2, 5, 7])
def test_the_best_arrangement_is_the_best_of_all(layers, nodes):
    every = (w for depth in range(1, layers + 1) for w in product(range(1, nodes + 1), repeat=depth))
    assert max_pieces_with(layers, nodes) == max(prod(x + 1 for x in w) for w in every if sum(w) <= nodes)


def test_bounds_for_sums_and_compositions_are_reached():
    assert pieces_of_sum_bound(3, 4) == 6
    assert pieces_of_sum_bound(1, 1, 1) == 1
    a, b = PiecewiseLinear([0, "1/3", 1], [0, 1, 0]), PiecewiseLinear([0, "1/2", 1], [0, 1, 0])
    assert (a + b).pieces() == pieces_of_sum_bound(2, 2) == 3
    assert (sawtooth(2) @ sawtooth(3)).pieces() == pieces_of_composition_bound(4, 8) == 32


def test_l1_bound_by_hand():
    assert l1_lower_bound(0, 1) == 0
    assert l1_lower_bound(3, 1) == Fraction(1, 4)
    assert l1_lower_bound(4, 2) == Fraction(7, 32)  # blocks: (1 - 2/16) / 4
    assert l1_lower_bound(4, 6) == Fraction(7, 64)  # symmetry: (1 - 18/32) / 4
    assert l1_lower_bound(4, 12) == Fraction(1, 32)  # signs: (1 - 12/16) / 8
    assert l1_lower_bound(4, 12, continuous=False) == 0
    assert l1_lower_bound(4, 16) == 0


@pytest.mark.parametrize("n", range(1, 9))
def test_l1_bound_falls_with_pieces_is_positive_below_and_zero_at_exact_representation(n):
    bounds = [l1_lower_bound(n, t) for t in range(1, 2**n + 1)]
    assert bounds[0] == sawtooth(n).l1_distance("1/2") == Fraction(1, 4)  # sharp
    assert bounds == sorted(bounds, reverse=True)
    assert all(b > 0 for b in bounds[:-1])
    assert bounds[-1] == 0
    assert all(l1_lower_bound(n, t, continuous=False) <= b for t, b in enumerate(bounds, start=1))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.data())
def test_no_random_function_beats_the_bound(n, data):
    inner = data.draw(st.lists(st.integers(1, 4 * 2**n - 1), unique=True, max_size=2**n))
    xs = [0, *(Fraction(i, 4 * 2**n) for i in sorted(inner)), 1]
    near = sawtooth(n)
    wiggles = data.draw(st.lists(st.integers(-2, 2), min_size=len(xs), max_size=len(xs)))
    g = PiecewiseLinear(xs, [near(x) + Fraction(w, 8) for x, w in zip(xs, wiggles, strict=True)])
    assert g.l1_distance(near) >= l1_lower_bound(n, g.pieces())


def test_the_gain_of_an_affine_piece_stays_below_three_halves():
    # The lemma behind the symmetry bound, tried on many intervals and lines: gain = integral of 1 - 4 |h - g|.
    rng = np.random.default_rng(0)
    h = sawtooth(4)
    largest = -np.inf
    for _ in range(400):
        a, b = np.sort(rng.uniform(0, 1, 2).round(3))
        if a == b:
            continue
        slope, through, level = rng.choice([0, 1, -1, 0.5]) * 16, rng.uniform(a, b), rng.uniform(0, 1)
        line = PiecewiseLinear([a, b], [level + slope * (a - through), level + slope * (b - through)])
        gain = 16 * (line.interval[1] - line.interval[0] - 4 * h.restrict(a, b).l1_distance(line))
        largest = max(largest, float(gain))
    near_best = PiecewiseLinear(
        ["-1/128", "9/128"], ["-1/8", "9/8"]
    )  # one piece of h, continued by an eighth
    length = near_best.interval[1] - near_best.interval[0]
    attained = 16 * (length - 4 * sawtooth(4, (-1, 1)).restrict("-1/128", "9/128").l1_distance(near_best))
    assert largest <= 1.5
    assert 1 < attained <= Fraction(3, 2)


@pytest.mark.parametrize("k", [*range(1, 9), 20])
def test_telgarskys_gap_holds_for_every_k(k):
    gap = telgarsky_gap(k)
    assert Fraction(1, 64) <= Fraction(3, 16) <= gap <= Fraction(1, 4)
    assert max_pieces_with(k, 2**k) <= 2 ** (k * k + k)


def test_telgarskys_gap_by_hand():
    # k = 1: one layer of two nodes has at most 3 pieces, m^(5) has 32: (1 - 4/32) / 4
    assert telgarsky_gap(1) == Fraction(7, 32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_pieces_shallow(-1), "number of units must be a whole number >= 0, got -1"),
        (lambda: max_pieces_deep([3, 0]), "width of layer 1 must be a whole number >= 1, got 0"),
        (lambda: max_pieces_with(0, 4), "number of layers must be a whole number >= 1, got 0"),
        (lambda: max_pieces_with(2, 0), "number of nodes must be a whole number >= 1, got 0"),
        (pieces_of_sum_bound, "at least one summand, got none"),
        (lambda: pieces_of_sum_bound(2, 0), "number of pieces must be a whole number >= 1, got 0"),
        (
            lambda: pieces_of_composition_bound(1.5, 2),
            "number of pieces must be a whole number >= 1, got 1.5",
        ),
        (lambda: l1_lower_bound(-1, 2), "iterations must be a whole number >= 0, got -1"),
        (lambda: l1_lower_bound(3, 0), "number of pieces must be a whole number >= 1, got 0"),
        (lambda: telgarsky_gap(0), "k must be a whole number >= 1, got 0; the theorem starts"),
    ],
)
def test_numbers_without_meaning_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
