"""Piecewise-linear functions drawn exactly, from breakpoint to breakpoint, with what is counted on them."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from cnncourse.figures.style import COLOURS, SERIES, own_axes, styled
from cnncourse.theory import PiecewiseLinear

__all__ = ["crossings", "gap", "piecewise", "wrong_side"]


def _colour(name: str) -> str:
    if name not in COLOURS:
        raise ValueError(f"colour must be one of {', '.join(COLOURS)}, got {name!r}")
    return COLOURS[name]


def _points(function: PiecewiseLinear) -> tuple[list[float], list[float]]:
    return [float(x) for x in function.breakpoints], [float(y) for y in function.values]


@styled
def piecewise(
    functions: Mapping[str, PiecewiseLinear],
    *,
    ax: Axes | None = None,
    colours: Mapping[str, str] | None = None,
    dashed: Sequence[str] = (),
    dots: Sequence[str] = (),
    xlabel: str = "$x$",
    ylabel: str = "",
    title: str = "",
    legend: bool | None = None,
) -> Axes:
    """Draw functions from breakpoint to breakpoint: no grid, so no tooth is lost between two samples.

    Args:
        functions: label to function.
        ax: axes to draw on; new ones when ``None``.
        colours: label to a name in :data:`cnncourse.figures.COLOURS`; the rest take the usual order.
        dashed: labels drawn with a dashed line.
        dots: labels whose breakpoints are marked.
        xlabel: name of the horizontal axis.
        ylabel: name of the vertical axis.
        title: written above.
        legend: above the axes; ``None`` writes one when there is more than one function.

    Returns:
        The axes.

    Raises:
        ValueError: if a colour is unknown.

    Book: depth_separation
    """
    ax = own_axes(ax, height=2.6)
    for position, (label, function) in enumerate(functions.items()):
        colour = _colour((colours or {}).get(label, SERIES[position % len(SERIES)]))
        xs, ys = _points(function)
        ax.plot(
            xs,
            ys,
            "--" if label in dashed else "-",
            color=colour,
            label=label,
            linewidth=2 if len(xs) < 80 else 1,
            marker="o" if label in dots else None,
            markersize=5,
        )
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.set_title(title, fontsize=11)
    if legend or (legend is None and len(functions) > 1):
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=min(len(functions), 3), borderaxespad=0.2
        )
    return ax


@styled
def crossings(
    function: PiecewiseLinear,
    level: float = 0.5,
    *,
    ax: Axes | None = None,
    colour: str = "blue",
    title: str = "",
) -> Axes:
    """Draw a function and number the places where it crosses a level.

    Args:
        function: what is counted.
        level: the height.
        ax: axes to draw on; new ones when ``None``.
        colour: of the function, a name in :data:`cnncourse.figures.COLOURS`.
        title: written above.

    Returns:
        The axes; as many numbered points as ``function.crossings(level)`` when no piece lies on the level.

    Book: depth_separation
    """
    ax = own_axes(ax, height=2.4)
    xs, ys = _points(function)
    ax.plot(xs, ys, color=_colour(colour))
    ax.axhline(level, color=COLOURS["muted"], linewidth=1, linestyle="--")
    meets = [
        x + (level - y) / (following - y) * (right - x)
        for x, right, y, following in zip(xs, xs[1:], ys, ys[1:], strict=False)
        if (y - level) * (following - level) < 0
    ]
    ax.plot(meets, [level] * len(meets), "o", color=COLOURS["red"], markersize=6)
    for number, x in enumerate(meets, 1):
        ax.annotate(
            str(number), (x, level), xytext=(0, 6), textcoords="offset points", ha="center",
            color=COLOURS["red"], fontsize=10,
        )  # fmt: skip
    ax.set(xlabel="$x$")
    ax.set_title(title, fontsize=11)
    return ax


@styled
def gap(
    target: PiecewiseLinear,
    fit: PiecewiseLinear,
    *,
    ax: Axes | None = None,
    labels: tuple[str, str] = ("target", "fit"),
    title: str = "",
) -> Axes:
    """Draw two functions and shade what lies between them: the L1 distance is the shaded area.

    Args:
        target: drawn in blue.
        fit: drawn in orange.
        ax: axes to draw on; new ones when ``None``.
        labels: names of the two.
        title: written above.

    Returns:
        The axes.

    Book: depth_separation
    """
    ax = own_axes(ax, height=2.6)
    difference = target - fit
    points = np.array([float(x) for x in abs(difference).breakpoints])  # zeros of the difference included
    points = np.union1d(points, [float(x) for x in (*target.breakpoints, *fit.breakpoints)])
    ax.fill_between(
        points, target.sample(points), fit.sample(points), color=COLOURS["red"], alpha=0.2, linewidth=0
    )
    return piecewise(
        dict(zip(labels, (target, fit), strict=True)),
        ax=ax,
        colours=dict(zip(labels, ("blue", "orange"), strict=True)),
        title=title,
        legend=bool(labels[0]) and not title,
    )


@styled
def wrong_side(n: int, fit: PiecewiseLinear, *, ax: Axes | None = None) -> Axes:
    """Draw m^(n) and a fit, and shade the triangles that the proof counts.

    On each of the 2^n pieces where the fit keeps to one side of 1/2, the target spends half of the piece on the
    other side; the triangle between it and the level has area 2^-n / 8.

    Args:
        n: which iterate of the tent map.
        fit: a continuous function on [0, 1].
        ax: axes to draw on; new ones when ``None``.

    Returns:
        The axes.

    Book: depth_separation
    """
    from cnncourse.theory import sawtooth

    ax = own_axes(ax, height=2.6)
    target, count = sawtooth(n), 2**n
    width = 1 / count
    for piece in range(count):
        part = fit.restrict(f"{piece}/{count}", f"{piece + 1}/{count}")
        low, high = part.range
        if low < 0.5 < high:
            continue
        peak_right = piece % 2 == 0  # the target rises on even pieces
        side = 1.0 if high <= 0.5 else 0.0  # where the target is and the fit is not
        at_right = peak_right == (side == 1.0)
        left, middle, right = piece * width, (piece + 0.5) * width, (piece + 1) * width
        corners = [middle, right, right] if at_right else [left, left, middle]
        heights = [0.5, side, 0.5]
        ax.fill(corners, heights, facecolor=COLOURS["red"], alpha=0.35, linewidth=0)
    piecewise(
        {f"$m^{{({n})}}$": target, "fit": fit}, ax=ax, colours={f"$m^{{({n})}}$": "blue", "fit": "orange"}
    )
    ax.axhline(0.5, color=COLOURS["muted"], linewidth=1, linestyle="--")
    return ax
