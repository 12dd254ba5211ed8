"""What units see: receptive fields by layer, and the pixels that do move a unit."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from cnncourse.figures.curves import label_ends
from cnncourse.figures.receptive import framed_image
from cnncourse.figures.style import COLOURS, SERIES, own_axes, styled
from cnncourse.inspection import EffectiveField, ReceptiveField

__all__ = ["effective_field", "effective_field_alt", "field_by_layer", "field_by_layer_alt"]


@styled
def field_by_layer(
    fields: Mapping[str, ReceptiveField], *, image_side: int | None = None, ax: Axes | None = None
) -> Axes:
    """Draw how the receptive field grows from layer to layer, for several networks, on a logarithmic axis.

    A dot is a layer with a window; the line is the largest field so far, since layers of branches stand
    behind each other. The label tells the field of the last map.

    Args:
        fields: label to what :func:`cnncourse.inspection.receptive_field` returned.
        image_side: side of the input in pixels, drawn as a line.
        ax: axes to draw on; new ones when ``None``.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no network, or one has no layer with a window.
    """
    _check_fields(fields)
    ax = own_axes(ax, 4.8, 3.2)
    longest = max(len(field) for field in fields.values())
    ax.set(xlabel="layer with a window, from the input", ylabel="receptive field (pixels)", yscale="log")
    ends: list[tuple[float, str, str]] = []
    for position, (label, field) in enumerate(fields.items()):
        colour = COLOURS[SERIES[position % len(SERIES)]]
        sizes = [row.size for row in field]
        layers = np.arange(1, len(sizes) + 1)
        ax.plot(layers, np.maximum.accumulate(sizes), color=colour, drawstyle="steps-post")
        ax.plot(layers, sizes, "o", color=colour, markersize=3 if longest > 30 else 4.5, alpha=0.7)
        ends.append((float(max(sizes)), f"{label}: {field.final_size}", colour))
    if image_side is not None:
        ax.axhline(image_side, color=COLOURS["muted"], linestyle=":", linewidth=1.4)
        ax.annotate(
            f"image, {image_side}", (1, image_side), xycoords=("axes fraction", "data"), xytext=(-2, -3),
            textcoords="offset points", color=COLOURS["muted"], fontsize=10, ha="right", va="top",
        )  # fmt: skip
    largest = max([end[0] for end in ends] + ([image_side] if image_side else []))
    ax.set(xlim=(1 - 0.03 * longest, 1.03 * longest), ylim=(0.85, 1.5 * largest))
    ticks = [tick for tick in (1, 3, 10, 30, 100, 300, 1000, 3000) if tick <= 1.5 * largest]
    ax.set_yticks(ticks)
    ax.yaxis.set_major_formatter(ScalarFormatter())
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.tick_params(axis="y", which="minor", length=0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True, min_n_ticks=1))
    label_ends(ax, longest, ends)
    return ax


def _check_fields(fields: Mapping[str, ReceptiveField]) -> None:
    """Refuse what has no curve."""
    if not fields:
        raise ValueError("fields must hold at least one network, got none")
    for label, field in fields.items():
        if not len(field):
            raise ValueError(f"{label!r} has no layer with a window; there is no field to draw")


def field_by_layer_alt(fields: Mapping[str, ReceptiveField]) -> str:
    """Return the alt text of :func:`field_by_layer`.

    Args:
        fields: as drawn.

    Returns:
        One sentence.

    Raises:
        ValueError: as :func:`field_by_layer`.
    """
    _check_fields(fields)
    parts = [
        f"{label} from {field.rows[0].size} to {field.final_size} pixels in {len(field)} steps"
        for label, field in fields.items()
    ]
    return f"Growth of the receptive field with the layers, on a logarithmic axis: {'; '.join(parts)}."


@styled
def effective_field(field: EffectiveField, *, ax: Axes | None = None) -> Axes:
    """Draw how strongly each pixel moves a unit, with a frame around all that do and one around those that matter.

    The outer frame holds every pixel with a gradient; the inner one is a square as large as the effective
    field, around the centre of gravity.

    Args:
        field: of :func:`cnncourse.inspection.effective_receptive_field`.
        ax: axes to draw on; new ones when ``None``.

    Returns:
        The axes.

    Raises:
        ValueError: if no pixel moves the unit.
    """
    _check_effective(field)
    heat = field.heat.numpy()
    frames = [field.support, _middle(field)]
    ax = framed_image(
        np.sqrt(heat / heat.max()), frames, ax=own_axes(ax, 3.4, 3.7), cmap="gray", colours=["orange", "sky"]
    )
    height, width = field.support_size
    for text, colour, offset in (
        (f"all: {height} × {width}", "orange", -6),
        (f"effective: {field.size:.0f} × {field.size:.0f}", "sky", -22),
    ):
        ax.annotate(
            text, (0.5, 0), xycoords="axes fraction", xytext=(0, offset), textcoords="offset points", ha="center",
            va="top", color=COLOURS[colour], fontsize=11, annotation_clip=False,
        )  # fmt: skip
    return ax


def _check_effective(field: EffectiveField) -> None:
    if not bool(field.heat.max() > 0):
        raise ValueError("no pixel moves this unit: all gradients are 0, so there is no field to draw")


def _middle(field: EffectiveField) -> tuple[int, int, int, int]:
    """Return the square as large as the effective field around the centre of gravity."""
    heat, side = field.heat.numpy(), max(round(field.size), 1)
    row = float((heat.sum(1) * np.arange(heat.shape[0])).sum() / heat.sum())
    column = float((heat.sum(0) * np.arange(heat.shape[1])).sum() / heat.sum())
    top, left = round(row - (side - 1) / 2), round(column - (side - 1) / 2)
    return top, top + side - 1, left, left + side - 1


def effective_field_alt(field: EffectiveField) -> str:
    """Return the alt text of :func:`effective_field`.

    Args:
        field: as drawn.

    Returns:
        One sentence.

    Raises:
        ValueError: as :func:`effective_field`.
    """
    _check_effective(field)
    height, width = field.support_size
    return (
        f"Heat over {field.heat.shape[0]} × {field.heat.shape[1]} pixels: {height} × {width} move the unit, "
        f"brightest in the middle; those with more than a twentieth of the strongest effect fill a square of "
        f"{field.size:.0f} pixels."
    )
