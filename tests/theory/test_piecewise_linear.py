"""Exact piecewise-linear functions: values worked out by hand, and laws that hold for all of them."""

import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import torch
from gmpy2 import mpq
from hypothesis import given, settings
from hypothesis import strategies as st

from cnncourse.theory import PiecewiseLinear, as_rational, sawtooth, sup_distance_to_square, tent

# Small integers over a fixed denominator: drawn much faster than hypothesis' own fractions.
rationals = st.integers(-36, 36).map(lambda i: mpq(i, 12))
FEW = settings(max_examples=40, deadline=None)
unit_values = st.integers(0, 12).map(lambda i: mpq(i, 12))
points = st.integers(0, 97).map(lambda i: mpq(i, 97))


@st.composite
def functions(draw, values=rationals):
    inner = draw(st.lists(st.integers(1, 15), unique=True, max_size=5))
    xs = [mpq(i, 16) for i in (0, *sorted(inner), 16)]
    return PiecewiseLinear(xs, draw(st.lists(values, min_size=len(xs), max_size=len(xs))))


def integral_by_simpson(function, xs):
    """Exact integral of a function that is a polynomial of degree <= 3 between neighbouring points of xs."""
    return sum((b - a) * (function(a) + 4 * function((a + b) / 2) + function(b)) / 6 for a, b in pairwise(xs))


def exact_zeros(f, g):
    """All breakpoints of both and every point where f - g changes sign, found independently of the library's code."""
    xs = sorted({Fraction(str(x)) for x in (*f.breakpoints, *g.breakpoints)})
    extra = set()
    for a, b in pairwise(xs):
        ea, eb = (Fraction(str(f(x) - g(x))) for x in (a, b))
        if ea * eb < 0:
            extra.add(a + (b - a) * ea / (ea - eb))
    return sorted({*xs, *extra})


# Values worked out by hand ---------------------------------------------------------------------------------------


def test_collinear_breakpoints_are_merged_and_equal_functions_are_equal_objects():
    f = PiecewiseLinear([0, "1/4", "1/2", 1], [0, "1/2", 1, 0])
    assert f == tent()
    assert hash(f) == hash(tent())
    assert f.pieces() == 2
    assert f.breakpoints == (0, Fraction(1, 2), 1)
    assert f.slopes() == (2, -2)
    assert f != "tent"
    assert eval(repr(f)) == f
    assert repr(sawtooth(4)) == "PiecewiseLinear(on [0, 1], 16 pieces)"


@pytest.mark.parametrize(
    ("given_value", "exact"),
    [
        (3, Fraction(3)),
        (0.1, Fraction(0.1)),
        ("0.1", Fraction(1, 10)),
        (" 1/3 ", Fraction(1, 3)),
        (Fraction(2, 7), Fraction(2, 7)),
        (mpq(2, 7), Fraction(2, 7)),
        (np.float32(0.1), Fraction(float(np.float32(0.1)))),
        (np.int64(5), Fraction(5)),
        (torch.tensor(0.25), Fraction(1, 4)),
        (np.array(0.5), Fraction(1, 2)),
    ],
)
def test_numbers_of_every_kind_are_taken_exactly(given_value, exact):
    assert as_rational(given_value) == exact
    assert PiecewiseLinear([0, 1], [given_value, given_value])(0) == exact


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), "one", "1/0", None, 1j, [1]])
def test_what_is_no_rational_number_is_refused(bad):
    with pytest.raises(ValueError, match="must be one finite real number, got"):
        as_rational(bad)


def test_values_between_breakpoints_are_exact():
    f = PiecewiseLinear([0, 3, 4], [0, 1, -1])
    assert f(1) == Fraction(1, 3)
    assert f("7/2") == 0
    assert f(4) == -1
    np.testing.assert_allclose(f.sample([[1.0, 3.5], [0.0, 4.0]]), [[1 / 3, 0.0], [0.0, -1.0]], rtol=1e-15)


def test_sum_difference_and_scaling_by_hand():
    f, g = tent(), PiecewiseLinear([0, "1/3", 1], [1, 0, 1])
    assert (f + g)("1/3") == Fraction(2, 3)
    assert (f + g)("1/2") == Fraction(5, 4)
    assert (f + g).pieces() == 3
    assert f - f == PiecewiseLinear.constant(0)
    assert f + (1 - f) == PiecewiseLinear.constant(1)
    assert 0 * f == PiecewiseLinear.constant(0)
    assert (f / 2)("1/2") == Fraction(1, 2)
    assert "1/2" + f == f + 0.5 == np.float64(0.5) + f
    assert mpq(1, 2) * f == Fraction(1, 2) * f == f / 2


def test_shift_and_restrict_move_and_cut_the_graph():
    moved = tent().shift("1/2")
    assert moved.interval == (Fraction(1, 2), Fraction(3, 2))
    assert moved(1) == 1
    assert tent().restrict("1/4", "3/4") == PiecewiseLinear(["1/4", "1/2", "3/4"], ["1/2", 1, "1/2"])
    assert tent().restrict(0, "1/2") == PiecewiseLinear([0, "1/2"], [0, 1])


def test_relu_maximum_minimum_and_absolute_value_by_hand():
    x = PiecewiseLinear.identity((-1, 1))
    assert x.relu() == PiecewiseLinear([-1, 0, 1], [0, 0, 1])
    assert abs(x) == PiecewiseLinear([-1, 0, 1], [1, 0, 1])
    assert x.maximum("1/2") == PiecewiseLinear([-1, "1/2", 1], ["1/2", "1/2", 1])
    assert x.minimum(-x) == -abs(x)


def test_composition_by_hand_and_in_the_right_order():
    half = PiecewiseLinear([0, 1], [0, "1/2"])
    assert tent() @ half == PiecewiseLinear([0, 1], [0, 1])  # m(x/2) = x
    assert half @ tent() == tent() / 2
    assert tent() @ PiecewiseLinear.constant("1/4") == PiecewiseLinear.constant("1/2")


@pytest.mark.parametrize(
    ("values", "count"),
    [
        ([0, 1], 1),
        ([0, 1, 0, 1], 3),
        ([0, "1/2", 0], 0),  # touches from below
        ([1, "1/2", 1], 0),  # touches from above
        ([0, "1/2", "1/2", 1], 1),  # passes along a flat stretch
        ([0, "1/2", "1/2", 0], 0),
        (["1/2", 1, "1/2"], 0),  # begins and ends on the level
        (["1/2", "1/2"], 0),
    ],
)
def test_crossings_count_passages_not_touches(values, count):
    assert PiecewiseLinear(range(len(values)), values).crossings("1/2") == count


def test_distances_by_hand():
    x = PiecewiseLinear.identity((-1, 2))
    assert x.l1_distance(0) == Fraction(5, 2)  # 1/2 + 2, the sign changes inside the only piece
    assert x.l2_distance_squared(0) == 3  # (8 + 1) / 3
    assert x.sup_distance(0) == 2
    assert x.integral() == Fraction(3, 2)
    assert tent().l1_distance("1/2") == Fraction(1, 4)
    assert tent().l2_distance_squared("1/2") == Fraction(1, 12)
    assert tent().l1_distance(sawtooth(2)) == Fraction(1, 3)


def test_error_of_a_chord_of_the_square_by_hand():
    assert sup_distance_to_square(PiecewiseLinear.identity()) == Fraction(1, 4)
    assert sup_distance_to_square(PiecewiseLinear.identity((0, 3))) == 6  # at the right end
    assert sup_distance_to_square(PiecewiseLinear.constant(0, (-1, "1/2"))) == 1


def test_functions_are_immutable_and_survive_pickling():
    f = tent()
    with pytest.raises(AttributeError, match="cannot be changed"):
        f._values = ()
    with pytest.raises(AttributeError, match="cannot be changed"):
        del f._values
    assert pickle.loads(pickle.dumps(f)) == f


# Laws ------------------------------------------------------------------------------------------------------------


@FEW
@given(functions(), functions(), points, rationals)
def test_arithmetic_is_pointwise(f, g, x, c):
    assert (f + g)(x) == f(x) + g(x)
    assert (f - g)(x) == f(x) - g(x)
    assert (c * f)(x) == c * f(x)
    assert (c - f)(x) == c - f(x)
    assert f.relu()(x) == max(f(x), 0)
    assert f.maximum(g)(x) == max(f(x), g(x))
    assert f.minimum(g)(x) == min(f(x), g(x))
    assert abs(f)(x) == abs(f(x))


@FEW
@given(functions(), functions(values=unit_values), points)
def test_composition_is_pointwise_and_pieces_multiply_at_most(f, g, x):
    h = f @ g
    assert h(x) == f(g(x))
    assert h.pieces() <= f.pieces() * g.pieces()


@FEW
@given(functions(), functions())
def test_pieces_of_a_sum_add_at_most(f, g):
    assert (f + g).pieces() <= f.pieces() + g.pieces() - 1


@FEW
@given(functions(), functions())
def test_pieces_are_maximal(f, g):
    for h in (f, f + g, f.relu(), f - g):
        assert all(a != b for a, b in pairwise(h.slopes()))


@FEW
@given(functions(), rationals)
def test_crossings_never_exceed_pieces_and_ignore_mirroring(f, level):
    assert f.crossings(level) <= f.pieces()
    assert f.crossings(level) == (-f).crossings(-level)
    assert f.crossings(level) == (f - level).crossings(0)


@FEW
@given(functions(), functions())
def test_distances_agree_with_integrating_between_all_zeros(f, g):
    xs = exact_zeros(f, g)
    assert f.l1_distance(g) == integral_by_simpson(lambda x: abs(f(x) - g(x)), xs)
    assert f.l2_distance_squared(g) == integral_by_simpson(lambda x: (f(x) - g(x)) ** 2, xs)
    assert f.sup_distance(g) == max(abs(f(x) - g(x)) for x in xs)
    assert (f - g).integral() == integral_by_simpson(lambda x: f(x) - g(x), xs)


@FEW
@given(functions(), functions(), functions())
def test_l1_is_a_metric(f, g, h):
    assert f.l1_distance(g) == g.l1_distance(f)
    assert f.l1_distance(h) <= f.l1_distance(g) + g.l1_distance(h)
    assert (f.l1_distance(g) == 0) == (f == g)


@FEW
@given(functions())
def test_samples_are_the_exact_values_rounded(f):
    xs = np.linspace(0, 1, 33)
    np.testing.assert_allclose(f.sample(xs), [float(f(x)) for x in xs], atol=1e-12)


@FEW
@given(functions(), points)
def test_error_of_the_square_bounds_every_point(f, x):
    assert abs(x * x - f(x)) <= sup_distance_to_square(f)


# Bad input -------------------------------------------------------------------------------------------------------


def test_breakpoints_that_do_not_describe_a_function_are_refused():
    with pytest.raises(ValueError, match=r"must increase strictly, got 1/2 before 1/2 at position 2"):
        PiecewiseLinear([0, "1/2", 0.5, 1], [0, 1, 2, 3])
    with pytest.raises(ValueError, match=r"must increase strictly, got 1 before 0"):
        PiecewiseLinear([1, 0], [0, 1])
    with pytest.raises(ValueError, match=r"at least two breakpoints, got 0"):
        PiecewiseLinear([], [])
    with pytest.raises(ValueError, match=r"at least two breakpoints, got 1"):
        PiecewiseLinear([0], [0])
    with pytest.raises(ValueError, match=r"one value for each breakpoint, got 3 and 2"):
        PiecewiseLinear([0, 1, 2], [0, 1])
    with pytest.raises(ValueError, match=r"value 1 must be one finite real number, got nan"):
        PiecewiseLinear([0, 1], [0, float("nan")])


def test_points_outside_the_interval_are_refused():
    with pytest.raises(ValueError, match=r"defined on \[0, 1\] only, got 5/4"):
        tent()("5/4")
    with pytest.raises(ValueError, match=r"defined on \[0, 1\] only, got -1/2"):
        tent().sample([0.5, -0.5])
    with pytest.raises(ValueError, match=r"must be one finite real number, got nan"):
        tent().sample([0.5, float("nan")])
    with pytest.raises(ValueError, match=r"use sample\(\) for many points"):
        tent()(np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match=r"defined on \[0, 1\] only, got 2"):
        tent().restrict(0, 2)
    with pytest.raises(ValueError, match=r"left < right, got \[1/2, 1/2\]"):
        tent().restrict("1/2", "1/2")


def test_operations_without_meaning_are_refused():
    with pytest.raises(ValueError, match=r"must live on one interval, got \[0, 1\] and \[0, 2\]"):
        tent() + PiecewiseLinear.identity((0, 2))
    with pytest.raises(ValueError, match=r"must stay inside \[0, 1\].* got values from 0 to 2"):
        tent() @ (2 * tent())
    with pytest.raises(ValueError, match="only a PiecewiseLinear can be composed"):
        tent() @ 0.5
    with pytest.raises(ValueError, match="is not piecewise linear, got two functions"):
        tent() * tent()
    with pytest.raises(ValueError, match="divisor must not be zero"):
        tent() / 0
