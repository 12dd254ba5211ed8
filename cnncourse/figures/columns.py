"""Networks side by side, layer below layer: what VGG-19 and ResNet-34 share, and what goes around."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.patches import Arc, FancyBboxPatch
from torch import nn

from cnncourse.figures.style import COLOURS, own_axes, styled
from cnncourse.inspection import shape_trace
from cnncourse.models.surgery import BLOCKS, removable_blocks

__all__ = ["Box", "Column", "column", "columns", "columns_alt"]

_STAGE_COLOURS = ("purple", "blue", "green", "orange", "red", "sky")
_AROUND = ("downsample", "shortcut")
"""Names under which blocks keep their shortcut."""


@dataclass(frozen=True)
class Box:
    """One layer as it is drawn."""

    text: str
    """What stands in it: the kernel's side, the channels, the stride."""
    side: int
    """Height of its output maps in pixels; 0 for vectors."""
    weights: bool
    """Whether it has weights; poolings do not."""


@dataclass(frozen=True)
class Column:
    """A network as it is drawn."""

    boxes: tuple[Box, ...]
    """Its layers in the order of the forward pass; shortcuts' own layers, norms and activations left out."""
    shortcuts: tuple[tuple[int, int, bool], ...] = ()
    """First and last layer that each shortcut goes around, and whether it changes the shape."""


def column(model: nn.Module, input_shape: Sequence[int]) -> Column:
    """Return what :func:`columns` draws of a network.

    Args:
        model: a chain of convolutions, poolings and linear layers, in blocks with shortcuts or without.
        input_shape: of one image with the batch in front, such as ``(1, 3, 224, 224)``.

    Returns:
        Its layers and shortcuts.

    Raises:
        ValueError: if the network has none of these layers.
    """
    found: list[tuple[str, Box]] = []
    for row in shape_trace(model, input_shape):
        layer = model.get_submodule(row.name) if row.kind != type(model).__name__ else model
        text = _text(layer)
        if text and not set(row.name.split(".")) & set(_AROUND):
            side = row.shape[2] if len(row.shape) == 4 else 0
            found.append((row.name, Box(text, side, bool(row.parameters))))
    if not found:
        raise ValueError(f"{type(model).__name__} has no convolution, pooling or linear layer to draw")
    blocks = [name for name in removable_blocks(model) if isinstance(model.get_submodule(name), BLOCKS)]
    shortcuts = []
    for name in blocks:
        inside = [place for place, (layer, _box) in enumerate(found) if layer.startswith(f"{name}.")]
        around = [getattr(model.get_submodule(name), attribute, nn.Identity()) for attribute in _AROUND]
        if not inside or getattr(model, "residual", True) is False:
            continue
        changes = any(not isinstance(way, nn.Identity | None) for way in around)
        shortcuts.append((inside[0], inside[-1], changes))
    return Column(tuple(box for _name, box in found), tuple(shortcuts))


def _text(layer: nn.Module) -> str:
    """Return what a layer's box says; nothing for a layer that gets none."""
    if isinstance(layer, nn.Conv2d):
        step = f", /{layer.stride[0]}" if layer.stride[0] > 1 else ""
        return f"{layer.kernel_size[0]}×{layer.kernel_size[1]}, {layer.out_channels}{step}"
    if isinstance(layer, nn.Linear):
        return f"fc {layer.out_features}"
    if isinstance(layer, nn.MaxPool2d):
        return f"max pool, /{layer.stride}"
    if isinstance(layer, nn.AvgPool2d):
        return f"mean pool, /{layer.stride}"
    if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in (1, (1, 1)):
        return "mean"
    return ""


@styled
def columns(networks: Mapping[str, Column], *, ax: Axes | None = None) -> Axes:
    """Draw networks side by side, from the top down, layers with maps of one size at one height.

    He, Zhang, Ren & Sun (2016), figure 3, is drawn like this. A shortcut is an arc at the right of its block, dashed
    where it changes the shape. Boxes without filling have no weights.

    Args:
        networks: title (of one or two lines) to what :func:`column` returned; up to three fit on a phone.
        ax: axes to draw on; new ones, as high as there are layers, when ``None``.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no network.
    """
    if not networks:
        raise ValueError("there must be at least one network, got none")
    sides = sorted({box.side for one in networks.values() for box in one.boxes}, reverse=True)
    tallest = {side: max(_count(one, side) for one in networks.values()) for side in sides}
    starts, down = {}, 0.0
    for side in sides:
        starts[side] = down
        down += tallest[side] + 0.5
    ax = own_axes(ax, 0.42 + 1.45 * len(networks), 0.165 * down + 0.5)
    for number, side in enumerate(sides):
        label = f"{side}²" if side else ""
        middle = starts[side] + tallest[side] / 2
        ax.text(-0.06, middle, label, ha="right", va="center", fontsize=9, color=COLOURS["muted"])
        if number:
            ax.plot(
                [-0.3, len(networks)], [starts[side] - 0.25] * 2, color=COLOURS["faint"], lw=0.8, zorder=0
            )
    for position, (title, one) in enumerate(networks.items()):
        ax.text(position + 0.37, -0.45, title, ha="center", va="bottom", fontsize=10)
        places = _places(one, starts)
        for box, place in zip(one.boxes, places, strict=True):
            colour = _STAGE_COLOURS[sides.index(box.side) % 6] if box.side > 1 else "muted"
            _draw_box(ax, box, (position, place), COLOURS[colour])
        for place, following in pairwise(places):
            ax.plot(
                [position + 0.37] * 2, [place + 0.82, following], color=COLOURS["muted"], lw=0.9, zorder=1
            )
        for first, last, changes in one.shortcuts:
            top, bottom = places[first] - 0.12, places[last] + 0.94
            ax.add_patch(
                Arc(
                    (position + 0.74, (top + bottom) / 2), 0.32, bottom - top, theta1=-90, theta2=90,
                    color=COLOURS["ink"], lw=1.3, linestyle="--" if changes else "-",
                )
            )  # fmt: skip
    ax.set(
        xlim=(-0.3, len(networks)), ylim=(down, -2.3 if any("\n" in title for title in networks) else -1.4)
    )
    ax.set_axis_off()
    return ax


def columns_alt(networks: Mapping[str, Column]) -> str:
    """Return the alt text of :func:`columns`: layers with weights, shortcuts, sizes.

    Args:
        networks: as drawn.

    Returns:
        A sentence for each network.
    """
    said = []
    for title, one in networks.items():
        weights = sum(box.weights for box in one.boxes)
        dashed = sum(changes for _first, _last, changes in one.shortcuts)
        ways = (
            f"{len(one.shortcuts)} shortcuts, {dashed} of which change the shape"
            if one.shortcuts
            else "no shortcuts"
        )
        stages = []
        for side in dict.fromkeys(box.side for box in one.boxes if box.side):
            number = sum(box.weights for box in one.boxes if box.side == side)
            stages += [f"{number} on maps of {side} by {side}"] if number else []
        name = title.replace("\n", ", ")
        said.append(f"{name}: {weights} layers with weights ({', '.join(stages)}), {ways}.")
    return f"{len(said)} networks from the top down. {' '.join(said)}"


def _count(one: Column, side: int) -> int:
    return sum(box.side == side for box in one.boxes)


def _places(one: Column, starts: Mapping[int, float]) -> list[float]:
    """Return how far down each box begins."""
    met: dict[int, int] = {}
    places = []
    for box in one.boxes:
        places.append(starts[box.side] + met.get(box.side, 0))
        met[box.side] = met.get(box.side, 0) + 1
    return places


def _draw_box(ax: Axes, box: Box, place: tuple[float, float], colour: str) -> None:
    left, top = place
    ax.add_patch(
        FancyBboxPatch(
            (left, top + 0.09), 0.74, 0.73, boxstyle="round,pad=0,rounding_size=0.02",
            facecolor=colour if box.weights else "none", edgecolor=colour, alpha=0.28 if box.weights else 0.9, lw=0.8,
        )
    )  # fmt: skip
    ax.text(left + 0.37, top + 0.46, box.text, ha="center", va="center", fontsize=8)
