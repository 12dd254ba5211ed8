"""The theoretical receptive field: which pixels can reach one unit, layer by layer.

For a chain of layers with kernel k, stride s, padding p and dilation d (Araujo, Norris & Sim, "Computing
Receptive Fields of Convolutional Neural Networks", Distill 2019; recurrence in the same letters)

    r' = r + d (k - 1) j        size of the field in pixels
    j' = s j                    jump: pixels between the fields of neighbouring units
    c' = c + (d (k - 1) / 2 - p) j    centre of the first unit's field, in pixels

from r = 1, j = 1, c = 0 at the input, whose first pixel has its centre at 0. Where branches meet, a unit sees what
it sees through any of them: the field reaches from the first to the last pixel of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from cnncourse.inspection.field_following import FollowedWindow, follow
from cnncourse.inspection.field_rules import Settings, square
from cnncourse.inspection.hooks import leaves
from cnncourse.inspection.meta import checked_shape
from cnncourse.inspection.tables import LayerTable


@dataclass(frozen=True)
class Window:
    """A layer that slides a square window, as far as the receptive field is concerned."""

    kernel: int
    """Side of the window, in units of the layer below."""
    stride: int = 1
    """Step between windows, in units of the layer below."""
    padding: int = 0
    """Rows and columns added above and to the left."""
    dilation: int = 1
    """Distance between the taps of the window."""
    name: str = ""
    """Name for the table."""
    kind: str = "Window"
    """Class of the layer, for the table."""

    def __post_init__(self) -> None:
        if min(self.kernel, self.stride, self.dilation) < 1 or self.padding < 0:
            raise ValueError(
                "kernel, stride and dilation must be at least 1 and padding at least 0, got "
                f"kernel={self.kernel}, stride={self.stride}, dilation={self.dilation}, "
                f"padding={self.padding}"
            )


@dataclass(frozen=True)
class ReceptiveFieldRow:
    """What one unit of a layer can see."""

    window: Window
    """The layer."""
    size: int
    """Side of the receptive field, in pixels of the input."""
    jump: int
    """Distance between the fields of neighbouring units, in pixels."""
    centre: float
    """Centre of the first unit's field, in pixels; the first pixel has its centre at 0."""

    @property
    def name(self) -> str:
        """Dotted name of the layer."""
        return self.window.name

    def box(self, index: int) -> tuple[int, int]:
        """Return the first and the last pixel that the unit with this row (or column) can see.

        Args:
            index: row or column of the unit, from 0.

        Returns:
            Two pixel numbers, both inside the field; outside the image they mean padding.
        """
        middle = self.centre + index * self.jump
        return round(middle - (self.size - 1) / 2), round(middle + (self.size - 1) / 2)


@dataclass(frozen=True)
class ReceptiveField(LayerTable[ReceptiveFieldRow]):
    """Receptive fields of the layers of a network; prints as a table."""

    rows: tuple[ReceptiveFieldRow, ...]
    """The layers with a window, in the order of the forward pass."""
    sees_everything_from: str | None = None
    """Name of the layer from which on each unit sees the whole map (linear, global pooling), if there is one."""
    final_size: int | None = None
    """Side of the field of the last map that does not see everything, over all branches that end in it; None if
    there are no windows."""
    css_class: ClassVar[str] = "cnn-receptive-field"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["layer", "kind", "kernel", "stride", "padding", "field", "jump", "centre"]
        cells = [
            [
                *(row.window.name, row.window.kind, str(row.window.kernel), str(row.window.stride)),
                *(str(row.window.padding), f"{row.size} × {row.size}", str(row.jump), f"{row.centre:g}"),
            ]
            for row in self.rows
        ]
        if self.final_size and self.final_size != self.rows[-1].size:
            cells.append(["last map", "", "", "", "", f"{self.final_size} × {self.final_size}", "", ""])
        if self.sees_everything_from:
            cells.append([self.sees_everything_from, "", "", "", "", "whole map", "", ""])
        return header, cells


def receptive_field(
    layers: nn.Module | Sequence[nn.Module | Window],
    input_shape: Sequence[int] | None = None,
    *,
    ignore_gates: bool = False,
) -> ReceptiveField:
    """Compute the receptive field of every layer of a network.

    A list is read in its order, as a chain. A network is run once on zeros and followed through every
    operation: branches, shortcuts, groups, dilation, padding, slicing and channel shuffles. Operations that
    look at one unit only (activations, normalisation in eval mode) leave the field as it is and have no row;
    from the first on that reads the whole map (flatten, linear, global pooling, attention) there are no more
    rows. Group norm and squeeze-and-excitation read the whole map, too.

    Args:
        layers: a network, or a list of layers or of :class:`Window`.
        input_shape: shape of the input (N, C, H, W); needed for a network that is not a plain
            ``nn.Sequential`` of layers.
        ignore_gates: let a map keep its field when it is multiplied by (or added to) numbers that were
            computed from the whole map, as in squeeze-and-excitation: what its windows alone see.

    Returns:
        One row for each layer with a window.

    Raises:
        ValueError: if a window is not square, or it is not known which places a layer or an operation reads.

    Examples:
        >>> from torch import nn
        >>> field = receptive_field([nn.Conv2d(1, 1, 3), nn.MaxPool2d(2), nn.Conv2d(1, 1, 3)])
        >>> [(row.size, row.jump) for row in field]
        [(3, 1), (4, 2), (8, 2)]

    Book: pooling_lenet
    """
    if isinstance(layers, nn.Module) and input_shape is not None:
        windows, end, final = follow(
            layers, checked_shape(input_shape), _own_window, ignore_gates=ignore_gates
        )
        size = final.rows.high - final.rows.low + 1 if final and windows else None
        return ReceptiveField(tuple(map(_row, windows)), end, size)
    return _chained(_chain(layers))


def _row(followed: FollowedWindow) -> ReceptiveFieldRow:
    """Return the row of a window that was followed."""
    rows, columns = followed.layout.rows, followed.layout.columns
    if rows != columns:
        raise ValueError(
            f"fields must be square, but a unit of {followed.name} sees {rows.high - rows.low + 1} rows from "
            f"{rows.low} on and {columns.high - columns.low + 1} columns from {columns.low} on"
        )
    kernel, stride, padding, dilation = followed.settings
    window = Window(kernel, stride, padding, dilation, name=followed.name, kind=followed.kind)
    return ReceptiveFieldRow(window, rows.high - rows.low + 1, rows.jump, (rows.low + rows.high) / 2)


def _chained(chain: Sequence[tuple[str, nn.Module | Window]]) -> ReceptiveField:
    """Return the fields of layers each of which reads just what the one before it gave."""
    rows: list[ReceptiveFieldRow] = []
    size, jump, centre = 1, 1, 0.0
    for name, layer in chain:
        w = layer if isinstance(layer, Window) else _window(name, layer)
        if isinstance(w, str):
            return ReceptiveField(tuple(rows), name, rows[-1].size if rows else None)
        if w is None:
            continue
        reach = w.dilation * (w.kernel - 1)
        centre += (reach / 2 - w.padding) * jump
        size += reach * jump
        jump *= w.stride
        rows.append(ReceptiveFieldRow(w, size, jump, centre))
    return ReceptiveField(tuple(rows), None, rows[-1].size if rows else None)


def _chain(layers: nn.Module | Sequence[nn.Module | Window]) -> list[tuple[str, nn.Module | Window]]:
    """Return the layers in the order in which they follow each other."""
    if not isinstance(layers, nn.Module):
        return [(getattr(layer, "name", "") or str(i), layer) for i, layer in enumerate(layers)]
    for module in layers.modules():
        if any(module.children()) and type(module) is not nn.Sequential:
            raise ValueError(
                f"input_shape is needed to follow the forward pass of {type(module).__name__}, "
                "such as input_shape=(1, 1, 32, 32)"
            )
    return list(leaves(layers).items())


_POINTWISE = (
    *(
        nn.Identity,
        nn.Dropout,
        nn.Dropout2d,
        nn.BatchNorm2d,
        nn.ReLU,
        nn.ReLU6,
        nn.LeakyReLU,
        nn.PReLU,
        nn.ELU,
    ),
    *(nn.GELU, nn.SiLU, nn.Tanh, nn.Sigmoid, nn.Softplus, nn.Hardswish, nn.Hardsigmoid, nn.LocalResponseNorm),
)
_EVERYTHING = (nn.Flatten, nn.Linear, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.GroupNorm, nn.LayerNorm)


def _window(name: str, layer: nn.Module) -> Window | str | None:
    """Return the layer's window, ``"everything"``, or None for a layer that looks at one unit only."""
    if isinstance(layer, _POINTWISE):
        return None
    if isinstance(layer, _EVERYTHING):
        return "everything"
    if not hasattr(layer, "kernel_size") or getattr(layer, "transposed", False):
        raise ValueError(f"receptive_field does not know the window of layer {name} ({type(layer).__name__})")
    try:
        kernel, stride, padding, dilation = _settings(layer)
    except ValueError as error:
        raise ValueError(f"{error} in layer {name}; give rows only as Windows") from error
    return Window(kernel, stride, padding, dilation, name=name, kind=type(layer).__name__)


def _settings(layer: nn.Module) -> Settings:
    """Return kernel, stride, padding and dilation of a layer that has them."""
    kernel, stride, padding, dilation = (
        square(what, getattr(layer, what, default))
        for what, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    )
    return kernel, stride, padding, dilation


_OTHER_KERNELS = (nn.Unfold, nn.Fold, nn.MaxUnpool2d, nn.FractionalMaxPool2d)
"""Layers that have a kernel size and yet do not slide a window over a map and give a map."""


def _own_window(layer: nn.Module) -> Settings | None:
    """Return the window of a layer that says it itself; what others do is followed inside them."""
    if not hasattr(layer, "kernel_size") or getattr(layer, "transposed", False):
        return None
    if isinstance(layer, _OTHER_KERNELS) or isinstance(getattr(layer, "padding", 0), str):
        return None
    try:
        return _settings(layer)
    except ValueError:
        return None
