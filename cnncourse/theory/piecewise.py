"""Continuous piecewise-linear functions on a closed interval, as exact objects.

Every ReLU network from R to R is such a function, and every statement about its pieces, crossings and
distances can be computed without a grid and without rounding. A function is kept in *canonical form*: the
breakpoints are exactly the ends of the interval and the points where the slope changes, so that equal
functions are equal objects and the number of pieces is the number of maximal intervals on which the function
is affine.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from gmpy2 import mpq
from numpy.typing import ArrayLike, NDArray

from cnncourse.theory import measures
from cnncourse.theory.rational import Rational, as_rational


class PiecewiseLinear:
    """A continuous piecewise-linear function on a closed interval, held exactly.

    Immutable and hashable. ``f(x)`` is exact; ``f.sample(xs)`` is quick and in float64, for drawing. The
    arithmetic operators work between functions on the same interval and with rational numbers; ``f @ g`` is f
    after g.

    Args:
        breakpoints: at least two rationals in strictly increasing order; the first and last are the interval.
        values: the function's value at each breakpoint.

    Raises:
        ValueError: if the numbers are not finite, not increasing or not equally many.

    Book: depth_separation
    """

    __slots__ = ("_breakpoints", "_floats", "_hash", "_values")
    __array_ufunc__ = None  # lets numpy's numbers stand on the left of * and +

    _breakpoints: tuple[mpq, ...]
    _values: tuple[mpq, ...]
    _floats: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    _hash: int | None

    def __init__(self, breakpoints: Iterable[Rational], values: Iterable[Rational]) -> None:
        self._set(*measures.canonical(*measures.checked(breakpoints, values)))

    def _set(self, xs: Sequence[mpq], ys: Sequence[mpq]) -> None:
        object.__setattr__(self, "_breakpoints", tuple(xs))
        object.__setattr__(self, "_values", tuple(ys))
        object.__setattr__(self, "_floats", None)
        object.__setattr__(self, "_hash", None)

    @classmethod
    def _trusted(cls, xs: Sequence[mpq], ys: Sequence[mpq], *, canonical: bool = False) -> PiecewiseLinear:
        """Build from rationals known to be valid: the checks would dominate at a million pieces."""
        function = object.__new__(cls)
        function._set(*((xs, ys) if canonical else measures.canonical(xs, ys)))
        return function

    @classmethod
    def constant(cls, value: Rational, interval: tuple[Rational, Rational] = (0, 1)) -> PiecewiseLinear:
        """The function with one value everywhere on ``interval``."""
        return cls(interval, (value, value))

    @classmethod
    def identity(cls, interval: tuple[Rational, Rational] = (0, 1)) -> PiecewiseLinear:
        """The function x on ``interval``."""
        return cls(interval, interval)

    @property
    def breakpoints(self) -> tuple[mpq, ...]:
        """Both ends of the interval and every point between them where the slope changes."""
        return self._breakpoints

    @property
    def values(self) -> tuple[mpq, ...]:
        """The values at the breakpoints."""
        return self._values

    @property
    def interval(self) -> tuple[mpq, mpq]:
        """The two ends of the domain."""
        return self._breakpoints[0], self._breakpoints[-1]

    @property
    def range(self) -> tuple[mpq, mpq]:
        """The smallest and the largest value taken."""
        return min(self._values), max(self._values)

    def slopes(self) -> tuple[mpq, ...]:
        """The slope of each maximal piece, from left to right."""
        xs, ys = self._breakpoints, self._values
        return tuple((ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i]) for i in range(len(xs) - 1))

    def pieces(self) -> int:
        """How many maximal affine pieces the function has; at least 1.

        Book: depth_separation
        """
        return len(self._breakpoints) - 1

    def __call__(self, x: Rational) -> mpq:
        """The exact value at ``x``; ``sample`` is for arrays."""
        if getattr(x, "ndim", 0) or isinstance(x, (list, tuple)):
            raise ValueError(
                f"a function is evaluated exactly at one number, got {x!r}; use sample() for many points"
            )
        point = as_rational(x, "x")
        xs, ys = self._breakpoints, self._values
        self._require_inside(point, point)
        i = min(bisect_right(xs, point), len(xs) - 1) - 1
        if point == xs[i]:
            return ys[i]
        return ys[i] + (ys[i + 1] - ys[i]) * (point - xs[i]) / (xs[i + 1] - xs[i])

    def sample(self, xs: ArrayLike) -> NDArray[np.float64]:
        """Float values at many points at once, for drawing.

        Args:
            xs: points of the interval, any shape.

        Returns:
            float64 array of the same shape, accurate to rounding.

        Raises:
            ValueError: if a point is outside the interval or not a number.
        """
        points = np.asarray(xs, dtype=np.float64)
        if self._floats is None:
            arrays = (np.array(list(map(float, self._breakpoints))), np.array(list(map(float, self._values))))
            object.__setattr__(self, "_floats", arrays)
        assert self._floats is not None
        knots, values = self._floats
        if points.size and not (points.min() >= knots[0] and points.max() <= knots[-1]):
            self._require_inside(as_rational(float(points.min()), "x"), as_rational(float(points.max()), "x"))
        return np.asarray(np.interp(points, knots, values), dtype=np.float64)

    def _require_inside(self, left: mpq, right: mpq) -> None:
        a, b = self.interval
        if left < a or right > b:
            raise ValueError(
                f"the function is defined on [{a}, {b}] only, got {left if left < a else right}; "
                "stay inside or build it on a longer interval"
            )

    def __add__(self, other: PiecewiseLinear | Rational) -> PiecewiseLinear:
        if isinstance(other, PiecewiseLinear):
            xs, left, right = measures.on_common_breakpoints(self, other)
            return self._trusted(xs, [a + b for a, b in zip(left, right, strict=True)])
        shift = as_rational(other, "summand")
        return self._trusted(self._breakpoints, [y + shift for y in self._values], canonical=True)

    def __mul__(self, factor: Rational) -> PiecewiseLinear:
        if isinstance(factor, PiecewiseLinear):
            raise ValueError(
                "the product of two piecewise-linear functions is not piecewise linear, got two functions; "
                "multiply by a number, or use f @ g for f after g"
            )
        scale = as_rational(factor, "factor")
        if scale == 0:
            return PiecewiseLinear.constant(0, self.interval)
        return self._trusted(self._breakpoints, [scale * y for y in self._values], canonical=True)

    def __truediv__(self, divisor: Rational) -> PiecewiseLinear:
        number = as_rational(divisor, "divisor")
        if number == 0:
            raise ValueError("the divisor must not be zero, got 0; divide by another number")
        quotient: PiecewiseLinear = self * (1 / number)
        return quotient

    def __neg__(self) -> PiecewiseLinear:
        return self * -1

    def __sub__(self, other: PiecewiseLinear | Rational) -> PiecewiseLinear:
        return self + (-other if isinstance(other, PiecewiseLinear) else -as_rational(other, "subtrahend"))

    def __rsub__(self, other: Rational) -> PiecewiseLinear:
        return (-self).__add__(other)

    __radd__ = __add__
    __rmul__ = __mul__

    def __matmul__(self, inner: PiecewiseLinear) -> PiecewiseLinear:
        return self.compose(inner)

    def shift(self, distance: Rational) -> PiecewiseLinear:
        """The graph moved to the right by ``distance``: x becomes x - distance, on the moved interval."""
        step = as_rational(distance, "distance")
        return self._trusted([x + step for x in self._breakpoints], self._values, canonical=True)

    def restrict(self, left: Rational, right: Rational) -> PiecewiseLinear:
        """The same function on the smaller interval [left, right]."""
        a, b = as_rational(left, "left"), as_rational(right, "right")
        if a >= b:
            raise ValueError(
                f"an interval needs left < right, got [{a}, {b}]; give two different ends in order"
            )
        self._require_inside(a, b)
        inside = [i for i, x in enumerate(self._breakpoints) if a < x < b]
        xs = [a, *(self._breakpoints[i] for i in inside), b]
        return self._trusted(xs, [self(a), *(self._values[i] for i in inside), self(b)], canonical=True)

    def relu(self) -> PiecewiseLinear:
        """max(f, 0): what a ReLU does to the function; each piece becomes at most two."""
        xs, ys = measures.with_level_points(self._breakpoints, self._values, mpq(0))
        zero = mpq(0)
        return self._trusted(xs, [max(y, zero) for y in ys])

    def maximum(self, other: PiecewiseLinear | Rational) -> PiecewiseLinear:
        """The larger of two functions at each point, as relu(f - g) + g."""
        difference = self - other
        return difference.relu() + other

    def minimum(self, other: PiecewiseLinear | Rational) -> PiecewiseLinear:
        """The smaller of two functions at each point, as f - relu(f - g)."""
        return self - (self - other).relu()

    def __abs__(self) -> PiecewiseLinear:
        return self.maximum(-self)

    def compose(self, inner: PiecewiseLinear) -> PiecewiseLinear:
        """This function after ``inner``: x becomes self(inner(x)).

        A piece of ``inner`` runs through an interval of values and meets each breakpoint of ``self`` there
        once, so the pieces multiply at most: see :func:`cnncourse.theory.pieces_of_composition_bound`.

        Args:
            inner: a function whose values stay inside this function's interval.

        Returns:
            The composition, on the interval of ``inner``.

        Raises:
            ValueError: if a value of ``inner`` is outside.

        Book: depth_separation
        """
        if not isinstance(inner, PiecewiseLinear):
            raise ValueError(
                f"only a PiecewiseLinear can be composed with another, got {inner!r}; call f(x) for a number"
            )
        low, high = inner.range
        a, b = self.interval
        if low < a or high > b:
            raise ValueError(
                f"the inner function must stay inside [{a}, {b}], where the outer one is defined, "
                f"got values from {low} to {high}; clip it or build the outer function on a longer interval"
            )
        return self._trusted(*measures.composition(self, inner))

    def crossings(self, level: Rational) -> int:
        """How often the graph passes from strictly below ``level`` to strictly above it, or back.

        Points on the level itself decide nothing: touching it and turning back is no crossing, passing
        through it along a flat stretch is one. An affine piece crosses at most once, so there are at most
        ``pieces()`` crossings. Telgarsky (2016) counts the intervals on which [f >= 1/2] is constant instead:
        one more than this number when the function touches 1/2 nowhere from below and does not begin or end
        there.

        Args:
            level: the height at which crossings are counted.

        Returns:
            The number of crossings.

        Book: depth_separation
        """
        return measures.crossings(self, as_rational(level, "level"))

    def integral(self) -> mpq:
        """The integral over the interval."""
        return measures.integral(self)

    def l1_distance(self, other: PiecewiseLinear | Rational) -> mpq:
        """The integral of |f - g|, sign changes inside pieces included.

        Book: depth_separation
        """
        return measures.l1_norm(self - other)

    def l2_distance_squared(self, other: PiecewiseLinear | Rational) -> mpq:
        """The integral of (f - g)^2; its square root is the L2 distance and need not be rational."""
        return measures.l2_norm_squared(self - other)

    def sup_distance(self, other: PiecewiseLinear | Rational) -> mpq:
        """The largest |f - g|, which is taken at a breakpoint."""
        return max(abs(y) for y in (self - other).values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a PiecewiseLinear cannot be changed (tried to set {name!r}); build a new one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a PiecewiseLinear cannot be changed (tried to delete {name!r})")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PiecewiseLinear):
            return NotImplemented
        return self._breakpoints == other._breakpoints and self._values == other._values

    def __hash__(self) -> int:
        if self._hash is None:
            object.__setattr__(self, "_hash", hash((self._breakpoints, self._values)))
        assert self._hash is not None
        return self._hash

    def __reduce__(self) -> tuple[Any, ...]:
        return PiecewiseLinear, (self._breakpoints, self._values)

    def __repr__(self) -> str:
        if self.pieces() > 8:
            a, b = self.interval
            return f"PiecewiseLinear(on [{a}, {b}], {self.pieces()} pieces)"
        xs = ", ".join(f'"{x}"' if x.denominator > 1 else str(x) for x in self._breakpoints)
        ys = ", ".join(f'"{y}"' if y.denominator > 1 else str(y) for y in self._values)
        return f"PiecewiseLinear([{xs}], [{ys}])"
