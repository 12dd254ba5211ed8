"""A network drawn from its shapes: maps as stacks of squares, vectors as bars."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cnncourse.figures.style import COLOURS, own_axes, styled

__all__ = ["architecture"]

_MOST_SHEETS = 8
"""Maps drawn in a stack; more would hide each other."""


@styled
def architecture(
    layers: Sequence[tuple[str, Sequence[int]]],
    *,
    ax: Axes | None = None,
    notes: Sequence[str] = (),
    colours: Sequence[str] = (),
) -> Axes:
    """Draw the layers of a chain from left to right, larger maps larger, more channels deeper.

    Sides grow with the square root of the true ones, so that small maps stay visible.

    Args:
        layers: name and shape without the batch of each layer: (C, H, W) for maps, (F,) for a vector.
        ax: axes to draw on; new ones when ``None``.
        notes: one text a layer, written below its shape, or none.
        colours: name in :data:`cnncourse.figures.COLOURS` of each layer; all blue when empty.

    Returns:
        The axes.

    Raises:
        ValueError: if a shape has two numbers, or notes or colours differ in number from the layers.
    """
    for what, given in (("notes", notes), ("colours", colours)):
        if given and len(given) != len(layers):
            raise ValueError(f"{what} must be one a layer, got {len(given)} for {len(layers)} layers")
    ax = own_axes(ax, 7.0, 2.4)
    tallest = max([shape[1] for _name, shape in layers if len(shape) == 3], default=1)
    for position, (name, shape) in enumerate(layers):
        colour = COLOURS[colours[position] if colours else "blue"]
        if len(shape) == 3:
            top = _stack(ax, position, tuple(shape), 0.62 * (shape[1] / tallest) ** 0.5, colour)
        elif len(shape) == 1:
            half = 0.08 + 0.34 * min(1.0, shape[0] / 400) ** 0.5
            ax.add_patch(Rectangle((position - 0.07, -half), 0.14, 2 * half, color=colour, alpha=0.55, lw=0))
            top = half
        else:
            raise ValueError(f"a shape is (C, H, W) or (F,), got {tuple(shape)} for layer {name!r}")
        ax.text(position, max(top, 0.3) + 0.12, name, ha="center", va="bottom", fontsize=11, color=colour)
        ax.text(position, -0.62, "×".join(map(str, shape)), ha="center", va="top", fontsize=9)
        if notes:
            ax.text(
                position, -0.82, notes[position], ha="center", va="top", fontsize=9, color=COLOURS["muted"]
            )
        if position:
            ax.annotate(
                "", (position - 0.38, 0.0), (position - 0.6, 0.0),
                arrowprops={"arrowstyle": "->", "color": COLOURS["muted"], "shrinkA": 0, "shrinkB": 0},
            )  # fmt: skip
    ax.set(xlim=(-0.55, len(layers) - 0.45), ylim=(-1.0, 0.95))
    ax.set_aspect("auto")
    ax.set_axis_off()
    return ax


def _stack(ax: Axes, position: int, shape: tuple[int, ...], side: float, colour: str) -> float:
    """Draw one square a map, each a little in front of the last, and return the top edge."""
    sheets = min(shape[0], _MOST_SHEETS)
    step = 0.022
    spread = step * (sheets - 1)
    for sheet in range(sheets):
        left = position - side / 2 - spread / 2 + sheet * step
        bottom = -side / 2 + spread / 2 - sheet * step
        ax.add_patch(
            Rectangle(
                (left, bottom), side, side, facecolor=colour, edgecolor=COLOURS["paper"], alpha=0.55, lw=0.5
            )
        )
    return (side + spread) / 2
