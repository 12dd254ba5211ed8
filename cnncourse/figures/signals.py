"""Signals on their way through networks: activations, gradients and dead units by layer."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from cnncourse.figures.curves import label_ends
from cnncourse.figures.layer_groups import si
from cnncourse.figures.style import COLOURS, SERIES, own_axes, styled, subplots
from cnncourse.inspection import ActivationStatistics, DeadUnits

__all__ = ["activation_profile", "dead_unit_bars", "signal_by_layer", "signal_by_layer_alt"]

_Array: TypeAlias = NDArray[np.float64]


@styled
def signal_by_layer(
    series: Mapping[str, ArrayLike],
    *,
    ylabel: str,
    ax: Axes | None = None,
    colours: Mapping[str, str] | None = None,
    dashed: Sequence[str] = (),
    xlabel: str = "layer, from the input",
) -> Axes:
    """Draw one positive quantity of every layer for several networks, on a logarithmic axis.

    The labels stand at the side where the curves are further apart, the axis at the other. A gradient that
    has become exactly 0 has no place on a logarithmic axis: it is drawn as a cross at its lower end.

    Args:
        series: label to the values of layers 1, 2, …: (P,) for one network, (S, P) for S seeds, drawn as
            geometric mean and a band from the least to the largest; networks may differ in depth.
        ylabel: name of the quantity, such as ``"gradient (rms)"``.
        ax: axes to draw on; new ones when ``None``.
        colours: label to a name in :data:`cnncourse.figures.COLOURS`; the rest take the usual order.
        dashed: labels drawn with a dashed line.
        xlabel: name of the horizontal axis.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no series, a value is negative or not finite, or a colour is unknown.

    Examples:
        >>> ax = signal_by_layer({"plain": [1.0, 0.1, 0.0], "residual": [1.0, 0.9]}, ylabel="gradient (rms)")
        >>> ax.get_yscale()
        'log'
    """
    values = {label: _checked(label, given) for label, given in series.items()}
    if not values:
        raise ValueError("series must hold at least one network, got none")
    ax = own_axes(ax, 4.8, 3.2)
    positive = np.concatenate([one[one > 0] for one in values.values()])
    least, largest = (float(positive.min()), float(positive.max())) if positive.size else (0.3, 1.0)
    margin = max(1.5, (largest / least) ** 0.04)
    floor = least / (2 * margin)  # where zeros are drawn
    ends: list[tuple[float, float, str, str]] = []
    longest = max(one.shape[1] for one in values.values())
    zeros = any(bool((one == 0).any()) for one in values.values())
    ax.set(xlabel=xlabel, ylabel=ylabel, yscale="log", xlim=(1 - 0.02 * longest, longest + 0.02 * longest))
    ax.set_ylim(floor if zeros else least / margin, largest * margin)
    for position, (label, one) in enumerate(values.items()):
        name = (colours or {}).get(label, SERIES[position % len(SERIES)])
        if name not in COLOURS:
            raise ValueError(f"colour of {label!r} must be one of {', '.join(COLOURS)}, got {name!r}")
        colour, layers = COLOURS[name], np.arange(1, one.shape[1] + 1)
        middle = _geometric_mean(one)
        few = "o" if one.shape[1] <= 12 else None
        ax.plot(layers, middle, "--" if label in dashed else "-", color=colour, marker=few, markersize=4)
        if len(one) > 1:
            low, high = np.clip(one.min(0), floor, None), np.clip(one.max(0), floor, None)
            ax.fill_between(layers, low, high, color=colour, alpha=0.2, linewidth=0)
        gone = layers[~(middle > 0)]
        ax.plot(gone, np.full(len(gone), floor), "x", color=colour, markersize=4.5, clip_on=False)
        seen = np.where(middle > 0, middle, floor)
        ends.append((float(seen[0]), float(seen[-1]), label, colour))
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    ax.yaxis.set_major_locator(LogLocator(numticks=7))
    ax.yaxis.set_minor_locator(NullLocator())
    first, last = np.log([end[0] for end in ends]), np.log([end[1] for end in ends])
    left = bool(np.ptp(first) > np.ptp(last))
    if left:
        ax.yaxis.tick_right()
        ax.yaxis.set_label_position("right")
        ax.spines["left"].set_visible(False)
        ax.spines["right"].set_visible(True)
    side = [(one if left else other, label, colour) for one, other, label, colour in ends]
    label_ends(ax, 1 if left else longest, side, left=left)
    return ax


def _checked(label: str, given: ArrayLike) -> _Array:
    """Return the values as (S, P), or say what is wrong."""
    values = np.atleast_2d(np.asarray(given, dtype=float))
    if values.ndim != 2 or values.size == 0 or not np.isfinite(values).all() or (values < 0).any():
        raise ValueError(
            f"series {label!r} must hold numbers of at least 0, one a layer, as (P,) or (S, P), got shape "
            f"{np.shape(given)}{'' if values.size and np.isfinite(values).all() else ' with NaN or none at all'}"
        )
    return values


def _geometric_mean(values: _Array) -> _Array:
    """Return the geometric mean over seeds, NaN where one is 0."""
    with np.errstate(divide="ignore"):
        middle = np.exp(np.log(values).mean(0))
    return np.asarray(np.where(middle > 0, middle, np.nan))


def signal_by_layer_alt(series: Mapping[str, ArrayLike], *, what: str) -> str:
    """Return the alt text of :func:`signal_by_layer`: first and last value of every network.

    Args:
        series: as drawn.
        what: the quantity, such as ``"gradient at the output of each layer"``.

    Returns:
        One paragraph.

    Raises:
        ValueError: as :func:`signal_by_layer`.
    """
    parts = []
    for label, given in series.items():
        means = np.nan_to_num(_geometric_mean(_checked(label, given)))
        parts.append(f"{label} from {means[0]:.2g} in the first to {means[-1]:.2g} in layer {len(means)}")
    return f"Curves of the {what}, on a logarithmic axis: {'; '.join(parts)}."


@styled
def activation_profile(statistics: ActivationStatistics, *, labels: Mapping[str, str] | None = None) -> Axes:
    """Draw mean and spread of every layer's values, and beside them the shares of zeros and saturated ones.

    Args:
        statistics: of :func:`cnncourse.inspection.activation_statistics`; choose ``layers`` there to draw
            no more than about 30.
        labels: dotted name to another one, where the network's own says little.

    Returns:
        The left axes; the figure holds both.

    Raises:
        ValueError: if there are no rows.
    """
    if not len(statistics):
        raise ValueError("there is nothing to draw: the statistics have no rows")
    rows = list(statistics)
    _figure, (left, right) = subplots(
        1, 2, width=5.0, height=1.0 + 0.27 * len(rows), sharey=True, width_ratios=(3, 2)
    )
    places = list(range(len(rows)))
    means, stds = [row.mean for row in rows], [row.std for row in rows]
    left.errorbar(means, places, xerr=stds, fmt="o", color=COLOURS["blue"], markersize=4.5, elinewidth=1.6)
    left.set(xlabel="mean ± std")
    left.axvline(0, color=COLOURS["muted"], linewidth=0.8, zorder=0)
    left.set_yticks(places, [(labels or {}).get(row.name, row.name) for row in rows])
    right.barh(places, [100 * row.share_zero for row in rows], height=0.62, color=COLOURS["orange"])
    flat = [100 * (row.share_saturated or 0.0) for row in rows]
    zero = [100 * row.share_zero for row in rows]
    right.barh(places, flat, left=zero, height=0.62, color=COLOURS["purple"])
    right.set(xlabel="share (%)", xlim=(0, 100))
    right.annotate(
        "zero", (0, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points", fontsize=10.5,
        color=COLOURS["orange"],
    )  # fmt: skip
    if any(flat):
        right.annotate(
            "saturated", (1, 1), xytext=(0, 4), xycoords="axes fraction", textcoords="offset points",
            fontsize=10.5, color=COLOURS["purple"], ha="right",
        )  # fmt: skip
    for ax in (left, right):
        ax.set_ylim(len(rows) - 0.4, -0.6)
        ax.grid(visible=False, axis="y")
        ax.tick_params(axis="y", length=0)
    left.xaxis.set_major_locator(MaxNLocator(nbins=5))
    assert isinstance(left, Axes)
    return left


@styled
def dead_unit_bars(
    found: DeadUnits, *, ax: Axes | None = None, labels: Mapping[str, str] | None = None
) -> Axes:
    """Draw for each layer the share of its units that never answer.

    Args:
        found: of :func:`cnncourse.inspection.dead_units`.
        ax: axes to draw on; new ones when ``None``, as high as they need.
        labels: dotted name to another one, where the network's own says little.

    Returns:
        The axes.
    """
    ax = own_axes(ax, 4.6, 0.8 + 0.32 * len(found))
    rows = list(found)
    several = {row.name for row in rows if row.call > 1}
    shares = [100 * row.share for row in rows]
    ax.barh(range(len(rows)), [100] * len(rows), height=0.62, color=COLOURS["faint"])
    ax.barh(range(len(rows)), shares, height=0.62, color=COLOURS["red"])
    for place, row in enumerate(rows):
        ax.annotate(
            f"{si(row.dead)} of {si(row.units)}", (100, place), xytext=(5, 0), textcoords="offset points",
            va="center", fontsize=10, annotation_clip=False,
        )  # fmt: skip
    names = [(labels or {}).get(row.name, row.name) for row in rows]
    ticks = [
        f"{name}, use {row.call}" if row.name in several else name
        for name, row in zip(names, rows, strict=True)
    ]
    ax.set_yticks(range(len(rows)), ticks)
    ax.set(xlabel="dead units (%)", xlim=(0, 100), ylim=(len(rows) - 0.45, -0.55))
    ax.grid(visible=False, axis="y")
    ax.tick_params(axis="y", length=0)
    return ax
