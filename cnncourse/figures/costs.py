"""Where a network's parameters, operations, memory and time are."""

from collections.abc import Sequence

from matplotlib.axes import Axes

from cnncourse.figures.layer_groups import layer_groups, si
from cnncourse.figures.style import COLOURS, own_axes, styled
from cnncourse.inspection import LayerCosts, LayerTimes

__all__ = ["cost_bars", "cost_bars_alt", "time_bars", "time_bars_alt"]

_QUANTITIES = (
    ("parameters", "parameters", "blue", ""),
    ("multiply_adds", "multiply-adds", "orange", ""),
    ("activation_bytes", "kept activations", "green", "B"),
)


@styled
def cost_bars(costs: LayerCosts, *, ax: Axes | None = None, most: int = 24) -> Axes:
    """Draw for each layer which share of the network's parameters, multiply-adds and activation memory it has.

    Layers that cost nothing of their own stand with the layer before them; long networks are drawn block by
    block or stage by stage. The number at the end of each bar is the cost itself.

    Args:
        costs: of :func:`cnncourse.inspection.layer_costs`.
        ax: axes to draw on; new ones when ``None``, as high as they need.
        most: largest number of groups of bars, at least 1; see :func:`cnncourse.figures.layer_groups`.

    Returns:
        The axes.

    Raises:
        ValueError: if the network has neither parameters nor operations nor activations.
    """
    labels, sums = _grouped_costs(costs, most)
    ax = own_axes(ax, 4.6, 1.0 + 0.6 * len(labels))
    for offset, (field, title, colour, unit) in enumerate(_QUANTITIES):
        total = getattr(costs, field)
        places = [position + 0.26 * (offset - 1) for position in range(len(labels))]
        shares = [100 * one / total if total else 0.0 for one in sums[field]]
        ax.barh(places, shares, height=0.22, color=COLOURS[colour])
        for place, share, one in zip(places, shares, sums[field], strict=True):
            if one:
                ax.annotate(
                    si(one, unit), (share, place), xytext=(3, 0), textcoords="offset points",
                    va="center", fontsize=9, color=COLOURS[colour],
                )  # fmt: skip
        ax.annotate(
            f"{title}: {si(total, unit)}", (1.0, 1.0), xycoords="axes fraction", xytext=(0, 38 - 14 * offset),
            textcoords="offset points", ha="right", va="bottom", color=COLOURS[colour], fontsize=10.5,
        )  # fmt: skip
    _finish(ax, labels, "share of the whole (%)")
    ax.set_xticks([tick for tick in ax.get_xticks() if 0 <= tick <= 100])
    return ax


def _finish(ax: Axes, labels: Sequence[str], xlabel: str) -> None:
    """Name the rows, first on top, and leave room for the numbers."""
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.45, -0.55)
    ax.set_xlim(0, 1.22 * max(ax.get_xlim()[1], 1e-12))
    ax.tick_params(axis="y", length=0)
    ax.grid(visible=False, axis="y")
    ax.set_xlabel(xlabel)


def _grouped_costs(costs: LayerCosts, most: int) -> tuple[list[str], dict[str, list[int]]]:
    """Return the names of the groups that cost something, and the sums of each quantity."""
    if not (costs.parameters or costs.multiply_adds or costs.activation_bytes):
        raise ValueError("there is nothing to draw: the network has no parameters, operations or activations")
    groups = layer_groups(
        costs.column("name"), [row.multiply_adds > 0 or not row.kind for row in costs], most
    )
    sums: dict[str, dict[str, int]] = {}
    for group, row in zip(groups, costs, strict=True):
        into = sums.setdefault(group, {field: 0 for field, *_rest in _QUANTITIES})
        for field in into:
            into[field] += getattr(row, field)
    shown = [name for name, values in sums.items() if any(values.values())]
    return shown, {field: [sums[name][field] for name in shown] for field, *_rest in _QUANTITIES}


def cost_bars_alt(costs: LayerCosts, *, most: int = 24) -> str:
    """Return the alt text of :func:`cost_bars`: the totals, and where most of each is.

    Args:
        costs: as drawn.
        most: as drawn.

    Returns:
        One paragraph.

    Raises:
        ValueError: as :func:`cost_bars`.
    """
    labels, sums = _grouped_costs(costs, most)
    parts = []
    for field, title, _colour, unit in _QUANTITIES:
        total = getattr(costs, field)
        if total:
            share, where = max(zip(sums[field], labels, strict=True))
            parts.append(f"{si(total, unit)} {title}, the largest part ({share / total:.0%}) in {where}")
    return f"Bars for {len(labels)} parts of a network: {'; '.join(parts)}."


@styled
def time_bars(times: LayerTimes, *, ax: Axes | None = None, most: int = 24) -> Axes:
    """Draw how long each layer takes in the forward pass.

    Layers are brought together as in :func:`cost_bars`, where convolutions and linear layers begin a group.

    Args:
        times: of :func:`cnncourse.inspection.layer_times`.
        ax: axes to draw on; new ones when ``None``, as high as they need.
        most: largest number of bars, at least 1.

    Returns:
        The axes.
    """
    labels, seconds = _grouped_times(times, most)
    ax = own_axes(ax, 4.6, 0.8 + 0.32 * len(labels))
    total = sum(seconds)
    ax.barh(range(len(labels)), [1e3 * one for one in seconds], height=0.62, color=COLOURS["purple"])
    for place, one in enumerate(seconds):
        ax.annotate(
            f"{1e3 * one:.3g} ms, {one / total:.0%}", (1e3 * one, place), xytext=(4, 0),
            textcoords="offset points", va="center", fontsize=9.5,
        )  # fmt: skip
    _finish(ax, labels, f"milliseconds for {times.images} image{'s' if times.images > 1 else ''}")
    ax.set_xlim(0, 1.3 * ax.get_xlim()[1] / 1.22)
    return ax


def _grouped_times(times: LayerTimes, most: int) -> tuple[list[str], list[float]]:
    """Return the names of the groups and their seconds."""
    starts = [row.kind.startswith(("Conv", "Linear")) or not row.kind for row in times]
    groups = layer_groups(times.column("name"), starts, most)
    sums: dict[str, float] = {}
    for group, row in zip(groups, times, strict=True):
        sums[group] = sums.get(group, 0.0) + row.seconds
    return list(sums), list(sums.values())


def time_bars_alt(times: LayerTimes, *, most: int = 24) -> str:
    """Return the alt text of :func:`time_bars`.

    Args:
        times: as drawn.
        most: as drawn.

    Returns:
        One sentence.
    """
    labels, seconds = _grouped_times(times, most)
    longest, where = max(zip(seconds, labels, strict=True))
    return (
        f"Bars of the forward time of {len(labels)} parts of a network, together "
        f"{1e3 * sum(seconds):.3g} milliseconds; the longest, {where}, takes {longest / sum(seconds):.0%}."
    )
