"""The exact arithmetic behind :class:`cnncourse.theory.PiecewiseLinear`: counts and integrals.

Every function here reads breakpoints and values and returns rationals; none of them samples.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from gmpy2 import mpq

from cnncourse.theory.rational import Rational, as_rational

if TYPE_CHECKING:
    from cnncourse.theory.piecewise import PiecewiseLinear


def checked(breakpoints: Iterable[Rational], values: Iterable[Rational]) -> tuple[list[mpq], list[mpq]]:
    """Breakpoints and values as exact numbers, refused unless they describe a function on an interval."""
    xs = [as_rational(x, f"breakpoint {i}") for i, x in enumerate(breakpoints)]
    ys = [as_rational(y, f"value {i}") for i, y in enumerate(values)]
    if len(xs) < 2:
        raise ValueError(f"a function needs at least two breakpoints, got {len(xs)}; give both ends of it")
    if len(xs) != len(ys):
        raise ValueError(
            f"there must be one value for each breakpoint, got {len(xs)} and {len(ys)}; "
            "give as many of one as of the other"
        )
    for i, (left, right) in enumerate(pairwise(xs)):
        if left >= right:
            raise ValueError(
                f"breakpoints must increase strictly, got {left} before {right} at position {i + 1}; "
                "sort them and drop repeated ones"
            )
    return xs, ys


def canonical(xs: Sequence[mpq], ys: Sequence[mpq]) -> tuple[list[mpq], list[mpq]]:
    """Drop every interior breakpoint at which the slope does not change."""
    kept_x, kept_y = [xs[0]], [ys[0]]
    slope = (ys[1] - ys[0]) / (xs[1] - xs[0])
    for i in range(1, len(xs) - 1):
        following = (ys[i + 1] - ys[i]) / (xs[i + 1] - xs[i])
        if following != slope:
            kept_x.append(xs[i])
            kept_y.append(ys[i])
            slope = following
    kept_x.append(xs[-1])
    kept_y.append(ys[-1])
    return kept_x, kept_y


def on_common_breakpoints(f: PiecewiseLinear, g: PiecewiseLinear) -> tuple[list[mpq], list[mpq], list[mpq]]:
    """Breakpoints of both functions merged, and both functions' values there.

    Args:
        f: a function.
        g: another on the same interval.

    Returns:
        The merged breakpoints, the values of ``f`` and the values of ``g``.

    Raises:
        ValueError: if the intervals differ.
    """
    if f.interval != g.interval:
        raise ValueError(
            f"both functions must live on one interval, got [{f.interval[0]}, {f.interval[1]}] and "
            f"[{g.interval[0]}, {g.interval[1]}]; restrict() the longer one"
        )
    fx, fy, gx, gy = f.breakpoints, f.values, g.breakpoints, g.values
    if fx == gx:
        return list(fx), list(fy), list(gy)
    xs, left, right = [fx[0]], [fy[0]], [gy[0]]
    i = j = 1
    while i < len(fx):  # both lists end at the same point, so they run out together
        if fx[i] == gx[j]:
            x, a, b = fx[i], fy[i], gy[j]
            i, j = i + 1, j + 1
        elif fx[i] < gx[j]:
            x, a = fx[i], fy[i]
            b = gy[j - 1] + (gy[j] - gy[j - 1]) * (x - gx[j - 1]) / (gx[j] - gx[j - 1])
            i += 1
        else:
            x, b = gx[j], gy[j]
            a = fy[i - 1] + (fy[i] - fy[i - 1]) * (x - fx[i - 1]) / (fx[i] - fx[i - 1])
            j += 1
        xs.append(x)
        left.append(a)
        right.append(b)
    return xs, left, right


def with_level_points(xs: Sequence[mpq], ys: Sequence[mpq], level: mpq) -> tuple[list[mpq], list[mpq]]:
    """The same graph with a breakpoint added wherever a piece passes through ``level``."""
    new_x, new_y = [xs[0]], [ys[0]]
    above = ys[0] - level
    for i in range(1, len(xs)):
        following = ys[i] - level
        if (above < 0 < following) or (following < 0 < above):
            new_x.append(xs[i - 1] + (xs[i] - xs[i - 1]) * above / (above - following))
            new_y.append(level)
        new_x.append(xs[i])
        new_y.append(ys[i])
        above = following
    return new_x, new_y


def composition(outer: PiecewiseLinear, inner: PiecewiseLinear) -> tuple[list[mpq], list[mpq]]:
    """Breakpoints and values of outer(inner(x)), not yet merged; inner stays in the domain of outer."""
    knots, heights = outer.breakpoints, outer.values
    xs, ys = inner.breakpoints, inner.values
    images = {y: outer(y) for y in set(ys)}  # sawtooths take few different values at very many breakpoints
    new_x, new_y = [xs[0]], [images[ys[0]]]
    for i in range(1, len(xs)):
        a, b = ys[i - 1], ys[i]
        if a != b:
            start, width = xs[i - 1], (xs[i] - xs[i - 1]) / (b - a)
            low, high = (a, b) if a < b else (b, a)
            between = range(bisect_right(knots, low), bisect_left(knots, high))
            for j in between if a < b else reversed(between):
                new_x.append(start + (knots[j] - a) * width)
                new_y.append(heights[j])
        new_x.append(xs[i])
        new_y.append(images[b])
    return new_x, new_y


def crossings(f: PiecewiseLinear, level: mpq) -> int:
    """Sign changes of f - level from breakpoint to breakpoint, zeros left out."""
    count, last = 0, 0
    for y in f.values:
        sign = (y > level) - (y < level)
        if sign:
            count += sign == -last
            last = sign
    return count


def integral(f: PiecewiseLinear) -> mpq:
    """The trapezium rule, which is exact for piecewise-linear functions."""
    xs, ys = f.breakpoints, f.values
    return sum(((xs[i + 1] - xs[i]) * (ys[i + 1] + ys[i]) for i in range(len(xs) - 1)), mpq(0)) / 2


def l1_norm(f: PiecewiseLinear) -> mpq:
    """The integral of |f|; a piece from a > 0 to b < 0 contributes width * (a^2 + b^2) / (2 (a - b))."""
    xs, ys = f.breakpoints, f.values
    total = mpq(0)
    for i in range(len(xs) - 1):
        a, b = ys[i], ys[i + 1]
        width = xs[i + 1] - xs[i]
        total += width * (a * a + b * b) / abs(a - b) if a * b < 0 else width * abs(a + b)
    return total / 2


def l2_norm_squared(f: PiecewiseLinear) -> mpq:
    """The integral of f^2; a piece from a to b contributes width * (a^2 + a b + b^2) / 3."""
    xs, ys = f.breakpoints, f.values
    return (
        sum(
            (
                (xs[i + 1] - xs[i]) * (ys[i] ** 2 + ys[i] * ys[i + 1] + ys[i + 1] ** 2)
                for i in range(len(xs) - 1)
            ),
            mpq(0),
        )
        / 3
    )


def sup_distance_to_square(f: PiecewiseLinear) -> mpq:
    """The exact largest |x^2 - f(x)| on the interval of ``f``.

    On a piece with slope s, x^2 - f(x) is a parabola with its lowest point at x = s/2; the largest absolute
    value is taken there or at an end of the piece.

    Args:
        f: any piecewise-linear function.

    Returns:
        The supremum of the error, a rational.

    Book: depth_separation
    """
    xs, ys = f.breakpoints, f.values
    worst = max(abs(x * x - y) for x, y in zip(xs, ys, strict=True))
    for i, slope in enumerate(f.slopes()):
        lowest = slope / 2
        if xs[i] < lowest < xs[i + 1]:
            worst = max(worst, abs(lowest * lowest - (ys[i] + slope * (lowest - xs[i]))))
    return worst
