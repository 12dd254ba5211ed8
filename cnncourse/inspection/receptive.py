"""The theoretical receptive field: which pixels can reach one unit, layer by layer.

For a chain of layers with kernel k, stride s, padding p and dilation d (Araujo, Norris & Sim, "Computing
Receptive Fields of Convolutional Neural Networks", Distill 2019; recurrence in the same letters)

    r' = r + d (k - 1) j        size of the field in pixels
    j' = s j                    jump: pixels between the fields of neighbouring units
    c' = c + (d (k - 1) / 2 - p) j    centre of the first unit's field, in pixels

from r = 1, j = 1, c = 0 at the input, whose first pixel has its centre at 0.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import evaluating, leaves, observed, zeros_for
from cnncourse.inspection.tables import html_table, text_table


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
class ReceptiveField:
    """Receptive fields of a chain of layers; prints as a table."""

    rows: tuple[ReceptiveFieldRow, ...]
    """The layers, in the order of the forward pass."""
    sees_everything_from: str | None = None
    """Name of the layer at which the chain ended because it reads the whole map (linear, global pooling)."""

    def __iter__(self) -> Iterator[ReceptiveFieldRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> ReceptiveFieldRow:
        for row in self.rows:
            if row.window.name == name:
                return row
        raise KeyError(f"no layer {name!r}; there are {[row.window.name for row in self.rows]}")

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["layer", "kind", "kernel", "stride", "padding", "field", "jump", "centre"]
        cells = [
            [
                *(row.window.name, row.window.kind, str(row.window.kernel), str(row.window.stride)),
                *(str(row.window.padding), f"{row.size} × {row.size}", str(row.jump), f"{row.centre:g}"),
            ]
            for row in self.rows
        ]
        if self.sees_everything_from:
            cells.append([self.sees_everything_from, "", "", "", "", "whole map", "", ""])
        return header, cells

    def __str__(self) -> str:
        return text_table(*self._cells())

    def _repr_html_(self) -> str:
        return html_table(*self._cells(), css_class="cnn-table cnn-receptive-field")


def receptive_field(
    layers: nn.Module | Sequence[nn.Module | Window], input_shape: Sequence[int] | None = None
) -> ReceptiveField:
    """Compute the receptive field of every layer of a chain of convolutions and pooling layers.

    A list is read in its order. A network is run once on zeros, and the chain is what really happens: each
    layer must read exactly what the one before it gave. Layers that look at one unit only (activations,
    normalisation, dropout) leave the field as it is and have no row; the first layer that reads the whole
    map (flatten, linear, adaptive pooling) ends the chain.

    Args:
        layers: a network, or a list of layers or of :class:`Window`.
        input_shape: shape of the input with the batch in front; needed for a network that is not an
            ``nn.Sequential``.

    Returns:
        One row for each layer with a window.

    Raises:
        ValueError: if the layers are not a chain, a window is not square, or a layer is unknown.

    Book: pooling_lenet
    """
    end: str | None = None
    windows: list[Window] = []
    for name, layer in _chain(layers, input_shape):
        window = layer if isinstance(layer, Window) else _window(name, layer)
        if window == "everything":
            end = name
            break
        if isinstance(window, Window):
            windows.append(window)
    rows: list[ReceptiveFieldRow] = []
    size, jump, centre = 1, 1, 0.0
    for w in windows:
        reach = w.dilation * (w.kernel - 1)
        centre += (reach / 2 - w.padding) * jump
        size += reach * jump
        jump *= w.stride
        rows.append(ReceptiveFieldRow(w, size, jump, centre))
    return ReceptiveField(tuple(rows), end)


def _chain(
    layers: nn.Module | Sequence[nn.Module | Window], input_shape: Sequence[int] | None
) -> list[tuple[str, nn.Module | Window]]:
    """Return the layers in the order in which they follow each other."""
    if not isinstance(layers, nn.Module):
        return [(getattr(layer, "name", "") or str(i), layer) for i, layer in enumerate(layers)]
    if input_shape is None:
        if not isinstance(layers, nn.Sequential):
            raise ValueError(
                f"input_shape is needed to follow the forward pass of {type(layers).__name__}, "
                "such as input_shape=(1, 1, 32, 32)"
            )
        return list(leaves(layers).items())
    return _followed(layers, tuple(input_shape))


def _followed(model: nn.Module, input_shape: tuple[int, ...]) -> list[tuple[str, nn.Module | Window]]:
    """Run the model once and return its layers up to the first that reads the whole map."""
    modules = leaves(model)
    chain: list[tuple[str, nn.Module | Window]] = []
    images = zeros_for(model, input_shape)
    latest: list[Tensor] = [images]
    ended = False

    def follow(name: str, inputs: Any, output: Any) -> None:
        nonlocal ended
        if ended:
            return
        chain.append((name, modules[name]))
        if _window(name, modules[name]) == "everything":
            ended = True
        elif len(inputs) != 1 or inputs[0] is not latest[0]:
            raise ValueError(
                f"receptive_field follows a chain of modules, but {name} does not read just what the layer "
                "before it gave; pass the layers of one path as a list"
            )
        latest[0] = output

    with observed(modules, follow), evaluating(model), torch.no_grad():
        model(images)
    return chain


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
    kernel, stride, padding, dilation = (
        _side(name, what, getattr(layer, what, default))
        for what, default in (("kernel_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1))
    )
    return Window(kernel, stride, padding, dilation, name=name, kind=type(layer).__name__)


def _side(name: str, what: str, value: Any) -> int:
    """Return the one number behind 3 or (3, 3)."""
    sides = {value} if isinstance(value, int) else set(value)
    if len(sides) != 1 or not all(isinstance(side, int) for side in sides):
        raise ValueError(
            f"windows must be square, got {what}={value!r} in layer {name}; give rows only as Windows"
        )
    return int(sides.pop())
