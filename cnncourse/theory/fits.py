"""Good approximations with few pieces: how close t affine pieces come to a given piecewise-linear function.

Finding the best continuous t-piece function with free knots is not a convex problem, so what is returned is
the best one *found*. Its distance is exact, and :func:`cnncourse.theory.l1_lower_bound` says how much better
any other function could be. The search is deterministic: a dynamic programme over a grid of knots and heights
gives the best chain of t segments on that grid, a quasi-Newton descent then moves knots and heights freely,
and the result is rounded to rationals.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from gmpy2 import mpq
from numpy.typing import NDArray

from cnncourse.theory.piecewise import PiecewiseLinear
from cnncourse.theory.rational import natural_number

Floats = NDArray[np.float64]

GRID_KNOTS = 129
"""About how many places the dynamic programme has for a knot."""

HEIGHTS = (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""Values that it may take there: 0 is the bottom of the target's range, 1 the top."""

TOLERANCES = {"maxiter": 300, "maxcor": 20, "ftol": 1e-13, "gtol": 1e-9}
"""When the descent stops; usually long before its 300 steps."""

ROUNDING = 2**24
"""Knots and values that were searched for are multiples of 1/2^24 of the interval and of the range."""


def best_fit(target: PiecewiseLinear, pieces: int, norm: str = "l1") -> PiecewiseLinear:
    """The best continuous function with at most t affine pieces that was found for a target; knots are free.

    Args:
        target: the function to approximate.
        pieces: t >= 1; with as many pieces as the target has, the target itself comes back.
        norm: ``"l1"`` or ``"l2"``, the distance on the target's interval that is to be small.

    Returns:
        A function with at most t pieces, never worse than a fit with fewer pieces or the constant at the
        middle of the range. Its distance to the target, ``fit.l1_distance(target)``, is exact, and so is a
        proved upper bound on the distance of the best function there is.

    Raises:
        ValueError: if the number of pieces is not positive or the norm is unknown.

    Book: depth_separation
    """
    pieces = natural_number(
        pieces, "the number of pieces", minimum=1, remedy="an affine function has one piece"
    )
    if norm not in ("l1", "l2"):
        raise ValueError(f'norm must be "l1" or "l2", got {norm!r}; choose one')
    if pieces >= target.pieces():
        return target
    (a, b), (low, high) = target.interval, target.range
    unit = PiecewiseLinear(
        [(x - a) / (b - a) for x in target.breakpoints], [(y - low) / (high - low) for y in target.values]
    )
    for fewer in range(1, pieces):  # each fit starts from the one before it; this fills the cache in order
        _best_fit(unit, fewer, norm)
    fit = _best_fit(unit, pieces, norm)
    return PiecewiseLinear(
        [a + (b - a) * x for x in fit.breakpoints], [low + (high - low) * y for y in fit.values]
    )


def fit_distance(fit: PiecewiseLinear, target: PiecewiseLinear, norm: str = "l1") -> mpq:
    """What :func:`best_fit` makes small: the exact L1 distance, or the exact square of the L2 distance.

    Args:
        fit: a function on the target's interval.
        target: the function approximated.
        norm: ``"l1"`` or ``"l2"``.

    Returns:
        A rational, 0 only for equal functions.

    Book: depth_separation
    """
    return fit.l1_distance(target) if norm == "l1" else fit.l2_distance_squared(target)


@lru_cache(maxsize=4096)
def _best_fit(target: PiecewiseLinear, pieces: int, norm: str) -> PiecewiseLinear:
    """The best of everything tried for a target from the unit interval onto the unit interval."""
    chain = _chains(target, norm)(pieces)
    finished = [_rounded(*chain), *_copies(target, pieces)]
    starts = [chain, *(_arrays(fit) for fit in _copies(target, pieces))]
    if pieces > 1:
        before = _best_fit(target, pieces - 1, norm)
        finished.append(before)
        starts.append(_with_one_more_knot(before, target))
    candidates = finished + [_rounded(*_descend(target, *start, norm)) for start in starts]
    return min(candidates, key=lambda fit: fit_distance(fit, target, norm))


def _copies(target: PiecewiseLinear, pieces: int) -> list[PiecewiseLinear]:
    """The constant at the middle of the range, and the target's first pieces followed by that constant."""
    middle = mpq(1, 2)
    fits = [PiecewiseLinear.constant(middle)]
    xs, ys = target.breakpoints, target.values
    if pieces > 1:
        before, after = ys[pieces - 2], ys[pieces - 1]
        if (before - middle) * (after - middle) < 0:
            bend = xs[pieces - 2] + (xs[pieces - 1] - xs[pieces - 2]) * (middle - before) / (after - before)
            fits.append(PiecewiseLinear([*xs[: pieces - 1], bend, 1], [*ys[: pieces - 1], middle, middle]))
    return fits


def _with_one_more_knot(fit: PiecewiseLinear, target: PiecewiseLinear) -> tuple[Floats, Floats]:
    """The fit with a knot set where it is furthest from the target, at the target's height."""
    knots, heights = _arrays(fit)
    error = fit - target
    worst = max(error.breakpoints[1:-1], key=lambda x: abs(error(x)), default=mpq(1, 2))
    if worst in fit.breakpoints:  # the knot is there already: give it company half-way to the next one
        place = fit.breakpoints.index(worst)
        worst = (worst + fit.breakpoints[place + 1]) / 2
    position = int(np.searchsorted(knots, float(worst)))
    return np.insert(knots, position, float(worst)), np.insert(heights, position, float(target(worst)))


def _arrays(function: PiecewiseLinear) -> tuple[Floats, Floats]:
    return np.array([float(x) for x in function.breakpoints]), np.array([float(y) for y in function.values])


def _rounded(knots: Floats, heights: Floats) -> PiecewiseLinear:
    """The polygon with rational coordinates; knots that round to the same place become one."""
    points = {
        mpq(round(x * ROUNDING), ROUNDING): mpq(round(y * ROUNDING), ROUNDING)
        for x, y in zip(knots.tolist(), heights.tolist(), strict=True)
    }
    xs = sorted(points)
    return PiecewiseLinear(xs, [points[x] for x in xs])


@lru_cache(maxsize=64)
def _chains(target: PiecewiseLinear, norm: str) -> Callable[[int], tuple[Floats, Floats]]:
    """Dynamic programme over (knot, height): the best chain of t segments on the grid, for any t.

    The cheapest chain of t segments that ends in a state is the cheapest of t - 1 segments ending in an
    earlier state plus one segment, so all numbers of pieces come out of one table.
    """
    corners = _arrays(target)[0]
    if len(corners) > GRID_KNOTS:
        knots = corners[np.unique(np.linspace(0, len(corners) - 1, GRID_KNOTS).round().astype(int))]
    else:
        parts = max(1, round((GRID_KNOTS - 1) / (len(corners) - 1)))
        fractions = np.arange(parts) / parts
        knots = np.append((corners[:-1, None] + np.diff(corners)[:, None] * fractions).ravel(), corners[-1])
    heights = np.asarray(HEIGHTS)
    cost = _segment_costs(target.sample(knots), knots, heights, norm)
    K, H = len(knots), len(heights)
    best = np.full(K * H, np.inf)
    best[:H] = 0.0
    totals: list[Floats] = [best]
    previous: list[NDArray[np.intp]] = [np.zeros(0, dtype=np.intp)]

    def chain(pieces: int) -> tuple[Floats, Floats]:
        while len(totals) <= pieces:
            options = totals[-1][:, None] + cost
            previous.append(options.argmin(axis=0))
            totals.append(options[previous[-1], np.arange(K * H)])
        used = min(range(1, min(pieces, K - 1) + 1), key=lambda t: (float(totals[t][-H:].min()), t))
        state = (K - 1) * H + int(totals[used][-H:].argmin())
        path = [state]
        for t in range(used, 0, -1):
            state = int(previous[t][state])
            path.append(state)
        states = np.array(path[::-1])
        return knots[states // H], heights[states % H]

    return chain


def _segment_costs(values: Floats, knots: Floats, heights: Floats, norm: str) -> Floats:
    """(states, states): each segment's distance to the target; inf unless it runs to the right.

    The target is taken as affine between neighbouring knots, which is exact when its corners are among them.
    """
    K, H = len(knots), len(heights)
    cost = np.full((K, H, K, H), np.inf)
    for i in range(K - 1):
        for j in range(i + 1, K):
            u = (knots[i : j + 1] - knots[i]) / (knots[j] - knots[i])
            line = heights[:, None, None] * (1 - u) + heights[None, :, None] * u  # (H, H, cells + 1)
            error = line - values[i : j + 1]
            a, b, widths = error[..., :-1], error[..., 1:], np.diff(knots[i : j + 1])
            if norm == "l1":
                sizes = np.abs(a) + np.abs(b)
                crossing = (a * a + b * b) / np.where(sizes == 0, 1, sizes)
                cost[i, :, j, :] = np.where(a * b < 0, crossing, sizes) @ widths / 2
            else:
                cost[i, :, j, :] = (a * a + a * b + b * b) @ widths / 3
    return cost.reshape(K * H, K * H)


def _descend(target: PiecewiseLinear, knots: Floats, heights: Floats, norm: str) -> tuple[Floats, Floats]:
    """Move knots and heights downhill in the exact distance (in floats) until nothing improves.

    The widths between knots are parametrised by a softmax, so that they stay positive and add
    up to 1.
    """
    import scipy.optimize  # late: slow to import, and only fits need it

    minimize: Callable[..., Any] = scipy.optimize.minimize
    corners, values = _arrays(target)
    count = len(knots) - 1

    def unpack(parameters: Floats) -> tuple[Floats, Floats, Floats]:
        shares = np.exp(parameters[:count] - parameters[:count].max())
        shares /= shares.sum()
        return np.concatenate([[0.0], np.cumsum(shares)[:-1], [1.0]]), parameters[count:], shares

    def objective(parameters: Floats) -> tuple[float, Floats]:
        at, ys, shares = unpack(parameters)
        distance, by_knot, by_height = _distance_and_gradient(corners, values, at, ys, norm)
        by_share = np.cumsum(by_knot[:0:-1])[::-1]  # a share moves every knot to its right
        return distance, np.concatenate([shares * (by_share - shares @ by_share), by_height])

    start = np.concatenate([np.log(np.maximum(np.diff(knots), 1e-9)), heights])
    found = minimize(objective, start, jac=True, method="L-BFGS-B", options=TOLERANCES)
    at, ys, _ = unpack(found.x)
    return at, ys


def _distance_and_gradient(
    corners: Floats, values: Floats, knots: Floats, heights: Floats, norm: str
) -> tuple[float, Floats, Floats]:
    """The distance between two polygons and its gradient in the second one's knots and heights.

    With e = g - h, the derivative of the integral of |e| in a parameter p is the integral of sign(e) dg/dp (2
    e dg/dp for the square); on a segment with slope s, moving an end to the right changes g like raising it
    by -s.
    """
    points = np.union1d(corners, knots)
    error = np.interp(points, knots, heights) - np.interp(points, corners, values)
    if norm == "l1":  # cut at the zeros, so that the sign is constant on each cell
        a, b = error[:-1], error[1:]
        cut = a * b < 0
        zeros = points[:-1][cut] + np.diff(points)[cut] * a[cut] / (a[cut] - b[cut])
        points = np.union1d(points, zeros)
        error = np.interp(points, knots, heights) - np.interp(points, corners, values)
    widths, middles = np.diff(points), (points[:-1] + points[1:]) / 2
    mean = (error[:-1] + error[1:]) / 2
    segment = np.clip(np.searchsorted(knots, middles) - 1, 0, len(knots) - 2)
    spans = np.maximum(np.diff(knots), 1e-300)
    u = (middles - knots[segment]) / spans[segment]
    if norm == "l1":
        distance = float(widths @ np.abs(mean))
        force = widths * np.sign(mean)
        right, left = force * u, force * (1 - u)
    else:
        rise, du = np.diff(error), widths / spans[segment]
        distance = float(widths @ (mean**2 + rise**2 / 12))
        right, left = (2 * widths * (mean * w + sign * rise * du / 12) for w, sign in ((u, 1), (1 - u, -1)))
    at_right = np.bincount(segment, right, minlength=len(spans))
    at_left = np.bincount(segment, left, minlength=len(spans))
    slopes = np.diff(heights) / spans
    by_height, by_knot = np.zeros(len(knots)), np.zeros(len(knots))
    by_height[1:] += at_right
    by_height[:-1] += at_left
    by_knot[1:] -= slopes * at_right
    by_knot[:-1] -= slopes * at_left
    by_knot[[0, -1]] = 0
    return distance, by_knot, by_height
