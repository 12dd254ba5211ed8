"""Curves with direct labels and error bands."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from cnncourse.figures.style import COLOURS, SERIES, own_axes, styled

__all__ = ["bars", "curves", "label_ends"]


@styled
def curves(
    x: ArrayLike,
    series: Mapping[str, ArrayLike],
    *,
    xlabel: str,
    ylabel: str,
    ax: Axes | None = None,
    colours: Mapping[str, str] | None = None,
    dashed: Sequence[str] = (),
    markers: bool = False,
    xscale: str = "linear",
    yscale: str = "linear",
    direct_labels: bool = True,
) -> Axes:
    """Draw one curve a name, labelled at its right end instead of in a legend.

    Args:
        x: (P,), the common abscissae.
        series: label to ordinates; (P,) for one curve, (S, P) for S seeds, drawn as mean and a band of one
            standard deviation.
        xlabel: name and unit of the horizontal axis.
        ylabel: name and unit of the vertical axis.
        ax: axes to draw on; new ones when ``None``.
        colours: label to a name in :data:`cnncourse.figures.COLOURS`; the rest take the usual order.
        dashed: labels drawn with a dashed line.
        markers: mark the points, for few abscissae.
        xscale: ``linear`` or ``log``.
        yscale: ``linear`` or ``log``.
        direct_labels: label at the line's end; otherwise a legend.

    Returns:
        The axes.

    Raises:
        ValueError: if a series has another length than ``x`` or a colour is unknown.
    """
    ax = own_axes(ax)
    abscissae = np.asarray(x, dtype=float)
    ends: list[tuple[float, str, str]] = []
    for position, (label, values) in enumerate(series.items()):
        colour = _colour(label, (colours or {}).get(label, SERIES[position % len(SERIES)]))
        ordinates = np.asarray(values, dtype=float)
        if ordinates.shape[-1:] != abscissae.shape or ordinates.ndim > 2:
            raise ValueError(
                f"series {label!r} must have shape (P,) or (S, P) with P = {len(abscissae)} as x, "
                f"got {ordinates.shape}"
            )
        mean = ordinates if ordinates.ndim == 1 else ordinates.mean(0)
        style = "--" if label in dashed else "-"
        ax.plot(abscissae, mean, style, color=colour, marker="o" if markers else None, label=label)
        if ordinates.ndim == 2 and len(ordinates) > 1:
            spread = ordinates.std(0, ddof=1)
            ax.fill_between(abscissae, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
        finite = mean[np.isfinite(mean)]
        if finite.size:
            ends.append((float(finite[-1]), label, colour))
    ax.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    if direct_labels:
        label_ends(ax, float(abscissae[-1]), ends)
    else:
        ax.legend()
    return ax


def _colour(label: str, name: str) -> str:
    if name not in COLOURS:
        raise ValueError(f"colour of {label!r} must be one of {', '.join(COLOURS)}, got {name!r}")
    return COLOURS[name]


def label_ends(ax: Axes, x: float, ends: list[tuple[float, str, str]], *, left: bool = False) -> None:
    """Write labels right (or left) of the axes, pushed apart so that close ends stay readable."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes of ours always have one
    ax.get_ylim()  # settles the limits, which matplotlib otherwise leaves for later
    height = figure.get_size_inches()[1] * 72 * ax.get_position().height
    to_axes = ax.transData + ax.transAxes.inverted()
    gap = 13.0 / max(height, 1.0)
    ends = sorted(ends)
    places = [min(max(float(to_axes.transform((x, y))[1]), 0.0), 1.0) for y, _label, _colour in ends]
    for lower in range(len(places) - 1):
        places[lower + 1] = max(places[lower + 1], places[lower] + gap)
    if places:
        places[-1] = min(places[-1], 1.0)
    for upper in range(len(places) - 1, 0, -1):
        places[upper - 1] = min(places[upper - 1], places[upper] - gap)
    for place, (_y, label, colour) in zip(places, ends, strict=True):
        ax.annotate(
            label, (0.0 if left else 1.0, place), xycoords="axes fraction", xytext=(-5 if left else 5, 0),
            textcoords="offset points", color=colour, ha="right" if left else "left", va="center", fontsize=10,
            annotation_clip=False,
        )  # fmt: skip


@styled
def bars(
    values: Mapping[str, float],
    *,
    xlabel: str,
    ax: Axes | None = None,
    colours: Mapping[str, str] | None = None,
    errors: Mapping[str, float] | None = None,
    number_format: str = "{:,.0f}",
) -> Axes:
    """Draw horizontal bars, the number written at the end of each.

    Args:
        values: label to length, drawn from top to bottom.
        xlabel: name and unit of the lengths.
        ax: axes to draw on; new ones when ``None``.
        colours: label to a name in :data:`cnncourse.figures.COLOURS`; blue where missing.
        errors: label to half the length of an error bar.
        number_format: format of the numbers at the ends.

    Returns:
        The axes.

    Raises:
        ValueError: if a colour is unknown.
    """
    ax = own_axes(ax, height=0.5 + 0.42 * len(values))
    labels = list(values)
    lengths = [float(values[label]) for label in labels]
    fills = [_colour(label, (colours or {}).get(label, "blue")) for label in labels]
    spread = [float((errors or {}).get(label, 0.0)) for label in labels] if errors else None
    ax.barh(labels, lengths, color=fills, xerr=spread, ecolor=COLOURS["ink"], height=0.62)
    for position, length in enumerate(lengths):
        offset = (spread[position] if spread else 0.0) + length
        ax.annotate(
            number_format.format(length), (offset, position), xytext=(4, 0), textcoords="offset points",
            va="center", fontsize=10,
        )  # fmt: skip
    ax.invert_yaxis()
    ax.grid(visible=False, axis="y")
    ax.margins(x=0.15)
    ax.set(xlabel=xlabel)
    return ax
