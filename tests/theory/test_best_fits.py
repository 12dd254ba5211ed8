"""Fits with few pieces: never worse than the obvious ones, never better than the proved bound."""

import math
from fractions import Fraction

import numpy as np
import pytest

from cnncourse.theory import (
    PiecewiseLinear,
    best_fit,
    fit_distance,
    fits,
    from_network,
    l1_lower_bound,
    sawtooth,
    shallow_network_of,
)

SWEEP = [(n, t) for n in (1, 2, 3, 4) for t in range(1, 2**n + 2)] + [(5, t) for t in (1, 2, 7, 16, 31, 32)]


def obvious_fits(target, t):
    """Constants, chords, copies of the first pieces then flat, and equally spaced interpolation."""
    low, high = target.range
    mean = target.integral() / (target.interval[1] - target.interval[0])
    candidates = [PiecewiseLinear.constant(c, target.interval) for c in (low, high, (low + high) / 2, mean)]
    a, b = target.interval
    even = [a + (b - a) * Fraction(i, t) for i in range(t + 1)]
    candidates.append(PiecewiseLinear(even, [target(x) for x in even]))
    if 1 < t <= target.pieces():
        last = target.breakpoints[t - 1]
        candidates.append(PiecewiseLinear([*target.breakpoints[:t], b], [*target.values[:t], target(last)]))
    return candidates


@pytest.mark.parametrize(("n", "t"), SWEEP)
def test_l1_fits_lie_between_the_bound_and_the_obvious(n, t):
    target = sawtooth(n)
    fit = best_fit(target, t)
    distance = fit.l1_distance(target)
    assert fit.pieces() <= t
    assert fit.interval == target.interval
    assert distance >= l1_lower_bound(n, t)
    assert distance <= min(other.l1_distance(target) for other in obvious_fits(target, t))
    assert (distance == 0) == (t >= 2**n)
    if 1 < t < 2**n:  # copying t - 3/2 pieces and staying at 1/2 leaves (1 - (t - 3/2) / 2^n) / 4
        assert distance <= (1 - (t - Fraction(3, 2)) / 2**n) / 4


@pytest.mark.parametrize(("n", "t"), [(n, t) for n in (1, 2, 3) for t in range(1, 2**n + 1)])
def test_l2_fits_are_no_worse_than_the_obvious_and_than_fewer_pieces(n, t):
    target = sawtooth(n)
    distance = fit_distance(best_fit(target, t, "l2"), target, "l2")
    # the gradient of a squared distance vanishes at its bottom, so a descent stops a rounding error above it
    slack = Fraction(1, 10**9)
    assert distance <= min(other.l2_distance_squared(target) for other in obvious_fits(target, t)) + slack
    assert t == 1 or distance <= fit_distance(best_fit(target, t - 1, "l2"), target, "l2")


def test_one_piece_cannot_do_better_than_one_quarter_and_does_it():
    for n in (1, 3, 5):
        assert best_fit(sawtooth(n), 1).l1_distance(sawtooth(n)) == Fraction(1, 4)


def test_two_pieces_for_a_kinked_line_of_three_by_hand():
    # y = |x| cut off at 1 is affine on three pieces around [-1, 1]; with the cut the fit may stay below 0.02
    target = PiecewiseLinear([-1, 0, "9/10", 1], [1, 0, "9/10", "9/10"])
    assert best_fit(target, 2).l1_distance(target) <= target.l1_distance(
        abs(PiecewiseLinear.identity((-1, 1)))
    )
    assert best_fit(target, 3) == target


def test_one_affine_piece_in_l2_is_the_regression_line():
    # the L2-best line for x^+ on [-1, 1]: mean 1/4, slope <x, x^+> / <x, x> = (1/3) / (2/3)
    target = PiecewiseLinear.identity((-1, 1)).relu()
    fit = best_fit(target, 1, "l2")
    assert float(fit(0)) == pytest.approx(1 / 4, abs=1e-5)
    assert float(fit.slopes()[0]) == pytest.approx(1 / 2, abs=1e-5)


def test_one_affine_piece_in_l1_meets_the_target_at_the_canonical_points():
    # the L1-best line of a convex function on [-1, 1] interpolates it at -1/2 and 1/2
    target = PiecewiseLinear([-1, -0.25, 0.25, 1], [1, 0, 0.5, 3])
    inner = (target("-1/2"), target("1/2"))
    slope = inner[1] - inner[0]
    line = PiecewiseLinear([-1, 1], [inner[0] - slope / 2, inner[1] + slope / 2])
    best = best_fit(target, 1).l1_distance(target)
    assert line.l1_distance(target) <= best <= line.l1_distance(target) + Fraction(1, 10**6)


def test_fits_scale_and_shift_exactly_with_the_target():
    small = sawtooth(2) * Fraction(1, 10**9) + 5
    moved = PiecewiseLinear([1000 + x / 3 for x in small.breakpoints], small.values)
    reference = best_fit(sawtooth(2), 2).l1_distance(sawtooth(2))
    assert best_fit(small, 2).l1_distance(small) == reference / 10**9
    assert best_fit(moved, 2).l1_distance(moved) == reference / 10**9 / 3


def test_a_fit_is_a_shallow_network():
    fit = best_fit(sawtooth(3), 5)
    network = shallow_network_of(fit)
    assert math.isclose(float(from_network(network).sup_distance(fit)), 0, abs_tol=1e-12)


def test_the_same_question_has_the_same_answer():
    first = best_fit(sawtooth(3), 4)
    fits._best_fit.cache_clear()
    fits._chains.cache_clear()
    assert best_fit(sawtooth(3), 4) == first


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_the_gradient_is_the_derivative(norm):
    rng = np.random.default_rng(1)
    corners, values = np.linspace(0, 1, 9), np.arange(9) % 2 * 1.0
    knots, heights = np.sort(np.concatenate([[0, 1], rng.random(4)])), rng.random(6)
    _, by_knot, by_height = fits._distance_and_gradient(corners, values, knots, heights, norm)
    step = 1e-6
    for gradient, at in ((by_knot, knots), (by_height, heights)):
        for i in range(1, 5):
            around = []
            for sign in (1, -1):
                old = at[i]
                at[i] = old + sign * step
                around.append(fits._distance_and_gradient(corners, values, knots, heights, norm)[0])
                at[i] = old
            assert gradient[i] == pytest.approx((around[0] - around[1]) / (2 * step), abs=1e-5)


def test_bad_requests_are_refused():
    with pytest.raises(ValueError, match=r"number of pieces must be a whole number >= 1, got 0"):
        best_fit(sawtooth(2), 0)
    with pytest.raises(ValueError, match=r"norm must be \"l1\" or \"l2\", got 'sup'"):
        best_fit(sawtooth(2), 2, "sup")
