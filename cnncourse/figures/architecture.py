"""A network drawn from its shapes: maps as stacks of squares, vectors as bars."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from cnncourse.figures.style import COLOURS, own_axes, styled
from cnncourse.inspection import ShapeRow, ShapeTrace

__all__ = ["Stage", "architecture", "architecture_alt", "stages"]

_MOST_SHEETS = 8
"""Maps drawn in a stack; more would hide each other."""
_KINDS = (("Conv", "conv"), ("Linear", "linear"), ("MaxPool", "max pool"), ("AvgPool", "mean pool"))
_STARTS = tuple(start for start, _word in _KINDS)
_ROW_HEIGHT = 2.15
"""Distance between two rows of layers, in units of the drawing."""


@dataclass(frozen=True)
class Stage:
    """Layers that are drawn as one."""

    name: str
    """The last part of what their names have in common, or their kind; empty if there is neither."""
    shape: tuple[int, ...]
    """Shape of the output without the batch."""
    parts: int
    """How many layers or blocks with weights there are."""
    blocks: bool = False
    """Whether these are blocks of several layers."""

    @property
    def note(self) -> str:
        """The number of parts in words, such as ``"3 layers"``; empty for one or none."""
        return f"{self.parts} {'blocks' if self.blocks else 'layers'}" if self.parts > 1 else ""


def stages(trace: ShapeTrace, most: int = 10) -> list[Stage]:
    """Bring the layers of a network together to what a reader would draw.

    Layers that leave the shape as it is belong to the one before them. If more than ``most`` shapes are
    left, maps of one side belong together: a stage of a deep network.

    Args:
        trace: of :func:`cnncourse.inspection.shape_trace`, with ``blocks=True`` for a network with branches,
            inside which the shapes come and go.
        most: number of shapes, the input counted, from which on maps of one side are drawn as one; at least 2.

    Returns:
        The input and the stages, in the order of the forward pass.

    Raises:
        ValueError: if ``most`` is below 2, or no layer gives maps or vectors.

    Examples:
        >>> from torch import nn
        >>> from cnncourse.inspection import shape_trace
        >>> network = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2))
        >>> [stage.shape for stage in stages(shape_trace(network, (1, 1, 32, 32)))]
        [(1, 32, 32), (6, 28, 28), (6, 14, 14)]
    """
    if most < 2:
        raise ValueError(f"most must be at least 2, the input and one stage, got most={most}")
    rows = [row for row in trace if len(row.shape) in (2, 4)]
    if not rows:
        raise ValueError("no layer of the trace gives maps (C, H, W) or vectors (F,)")
    groups = _runs(rows, by_side=False)
    if len(groups) + 1 > most:
        groups = _runs(rows, by_side=True)
    working = [[row for row in group if _works(row)] for group in groups]
    names = [
        _common([row.name for row in (own or group[:1])]) for own, group in zip(working, groups, strict=True)
    ]
    drawn = [Stage("input", tuple(trace.input_shape[1:]), 0)]
    for group, own, name in zip(groups, working, names, strict=True):
        blocks = any(not row.kind.startswith(("Conv", "Linear")) for row in own)
        last = name.split(".")[-1]
        title = last if names.count(name) == 1 and not last.isdigit() else _kind(own or group[:1])
        drawn.append(Stage(title, group[-1].shape[1:], len(own), blocks))
    return drawn


def _kind(rows: Sequence[ShapeRow]) -> str:
    """Return a word for layers whose names are numbers, empty if they are of several kinds."""
    words = {word for row in rows for start, word in _KINDS if row.kind.startswith(start)}
    return words.pop() if len(words) == 1 and all(row.kind.startswith(_STARTS) for row in rows) else ""


def _works(row: ShapeRow) -> bool:
    """Return whether a layer convolves or multiplies by a matrix, and does not just scale like batch norm."""
    return row.parameters > 0 and "Norm" not in row.kind and "PReLU" not in row.kind


def _runs(rows: Sequence[ShapeRow], *, by_side: bool) -> list[list[ShapeRow]]:
    """Return runs of neighbours of one shape, or of one side; flattening a map to a vector is no step."""
    groups: list[list[ShapeRow]] = []
    for row in rows:
        shape, before = row.shape[1:], groups[-1][-1].shape[1:] if groups else ()
        if not row.parameters and len(shape) == 1 and len(before) == 3 and shape[0] == prod(before):
            continue
        if shape == before or (by_side and len(shape) == len(before) == 3 and shape[1:] == before[1:]):
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def _common(names: Sequence[str]) -> str:
    """Return the dotted parts that all names begin with."""
    shared: list[str] = []
    for parts in zip(*(name.split(".") for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


@styled
def architecture(
    layers: Sequence[tuple[str, Sequence[int]]] | Sequence[Stage],
    *,
    ax: Axes | None = None,
    notes: Sequence[str] = (),
    colours: Sequence[str] = (),
    per_row: int | None = None,
) -> Axes:
    """Draw the layers of a chain from left to right, larger maps larger, more channels deeper.

    Sides grow with the square root of the true ones, so that small maps stay visible.

    Args:
        layers: name and shape without the batch of each layer: (C, H, W) for maps, (F,) for a vector; or
            what :func:`stages` returns, which brings notes of its own.
        ax: axes to draw on; new ones when ``None``.
        notes: one text a layer, written below its shape, or none.
        colours: name in :data:`cnncourse.figures.COLOURS` of each layer; all blue when empty.
        per_row: layers in a row of the drawing, at least 1; ``None`` is all on axes that are given, and 5 on
            new ones for more than 6 layers, so that a phone shows them.

    Returns:
        The axes.

    Raises:
        ValueError: if a shape has two numbers, notes or colours differ in number from the layers, or
            ``per_row`` is below 1.
    """
    pairs = [(one.name, one.shape) if isinstance(one, Stage) else one for one in layers]
    notes = notes or [one.note if isinstance(one, Stage) else "" for one in layers]
    for what, given in (("notes", notes), ("colours", colours)):
        if given and len(given) != len(pairs):
            raise ValueError(f"{what} must be one a layer, got {len(given)} for {len(pairs)} layers")
    if per_row is None:
        per_row = 5 if ax is None and len(pairs) > 6 else max(len(pairs), 1)
    if per_row < 1:
        raise ValueError(f"per_row must be at least 1, got per_row={per_row}")
    columns, rows = min(per_row, max(len(pairs), 1)), -(-max(len(pairs), 1) // per_row)
    ax = own_axes(ax, 7.0 if rows == 1 else 5.2, 2.4 if rows == 1 else 1.75 * rows)
    tallest = max([shape[1] for _name, shape in pairs if len(shape) == 3], default=1)
    for number, (name, shape) in enumerate(pairs):
        position, down = number % per_row, -_ROW_HEIGHT * (number // per_row)
        colour = COLOURS[colours[number] if colours else "blue"]
        if len(shape) == 3:
            top = _stack(
                ax, (position, down), shape[0], max(0.62 * (shape[1] / tallest) ** 0.5, 0.06), colour
            )
        elif len(shape) == 1:
            top = 0.08 + 0.34 * min(1.0, shape[0] / 400) ** 0.5
            place = (position - 0.07, down - top)
            ax.add_patch(Rectangle(place, 0.14, 2 * top, color=colour, alpha=0.55, lw=0))
        else:
            raise ValueError(f"a shape is (C, H, W) or (F,), got {tuple(shape)} for layer {name!r}")
        above = down + max(top, 0.3) + 0.12
        ax.text(position, above, name, ha="center", va="bottom", fontsize=11, color=colour)
        ax.text(position, down - 0.62, "×".join(map(str, shape)), ha="center", va="top", fontsize=9)
        if notes and notes[number]:
            ax.text(
                position,
                down - 0.82,
                notes[number],
                ha="center",
                va="top",
                fontsize=9,
                color=COLOURS["muted"],
            )
        if number:
            _arrow(ax, position, down)
    ax.set(xlim=(-0.55 - 0.1 * (rows > 1), columns - 0.45), ylim=(-1.0 - _ROW_HEIGHT * (rows - 1), 0.95))
    ax.set_aspect("auto")
    ax.set_axis_off()
    return ax


def _arrow(ax: Axes, position: int, down: float) -> None:
    """Draw an arrow that leads to a layer from its left."""
    ax.annotate(
        "", (position - 0.38, down), (position - 0.6, down),
        arrowprops={"arrowstyle": "->", "color": COLOURS["muted"], "shrinkA": 0, "shrinkB": 0},
    )  # fmt: skip


def _stack(ax: Axes, middle: tuple[float, float], maps: int, side: float, colour: str) -> float:
    """Draw one square a map, each a little in front of the last, and return half the height."""
    sheets = min(maps, _MOST_SHEETS)
    step = 0.022
    spread = step * (sheets - 1)
    for sheet in range(sheets):
        left = middle[0] - side / 2 - spread / 2 + sheet * step
        bottom = middle[1] - side / 2 + spread / 2 - sheet * step
        ax.add_patch(
            Rectangle(
                (left, bottom), side, side, facecolor=colour, edgecolor=COLOURS["paper"], alpha=0.55, lw=0.5
            )
        )
    return (side + spread) / 2


def architecture_alt(layers: Sequence[tuple[str, Sequence[int]]] | Sequence[Stage]) -> str:
    """Return the alt text of :func:`architecture`: names and shapes in their order.

    Args:
        layers: as drawn.

    Returns:
        One sentence.
    """
    pairs = [(one.name, one.shape) if isinstance(one, Stage) else one for one in layers]
    steps = [f"{name} {'×'.join(map(str, shape))}".strip() for name, shape in pairs]
    return f"A chain of {len(steps)} layers or stages: {', then '.join(steps)}."
