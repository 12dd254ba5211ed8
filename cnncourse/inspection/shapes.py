"""Shapes and parameter counts, layer by layer, as the forward pass meets them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from cnncourse.inspection.hooks import blocks as parts
from cnncourse.inspection.hooks import evaluating, leaves, observed, zeros_for
from cnncourse.inspection.meta import checked_shape
from cnncourse.inspection.tables import LayerTable


@dataclass(frozen=True)
class ShapeRow:
    """One layer of a forward pass."""

    name: str
    """Dotted name in the model."""
    kind: str
    """Class of the layer."""
    shape: tuple[int, ...]
    """Shape of the output, batch first."""
    parameters: int
    """Weights and biases that the layer owns; 0 when it is met a second time."""


@dataclass(frozen=True)
class ShapeTrace(LayerTable[ShapeRow]):
    """The layers of a network in the order of its forward pass; prints as a table."""

    input_shape: tuple[int, ...]
    """Shape of the input, batch first."""
    rows: tuple[ShapeRow, ...]
    """The layers."""
    css_class: ClassVar[str] = "cnn-shapes"

    @property
    def parameters(self) -> int:
        """Weights and biases of all layers that were met."""
        return sum(row.parameters for row in self.rows)

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        header = ["layer", "kind", "output", "parameters"]
        rows = [["input", "", _shape(self.input_shape), ""]]
        rows += [[r.name, r.kind, _shape(r.shape), f"{r.parameters:,}"] for r in self.rows]
        return header, [*rows, ["sum", "", "", f"{self.parameters:,}"]]


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


def count_parameters(model: nn.Module, *, trainable_only: bool = False) -> int:
    """Return the number of weights and biases; tensors that are shared count once.

    Args:
        model: any network.
        trainable_only: leave out what does not ask for a gradient.

    Returns:
        The count.

    Examples:
        >>> count_parameters(nn.Conv2d(3, 8, 5))  # 8 filters of 3 x 5 x 5, and 8 biases
        608

    Book: pooling_lenet
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad or not trainable_only)


def shape_trace(model: nn.Module, input_shape: Sequence[int], *, blocks: bool = False) -> ShapeTrace:
    """Run a network once on zeros and write down every layer it meets.

    The network is put into eval mode for the run and given back in the mode it was in. One that was built
    under ``torch.device("meta")`` has shapes and no numbers: it is traced without computing anything.

    Args:
        model: any network; layers are the modules that contain no others.
        input_shape: shape of the input with the batch in front, such as ``(1, 1, 32, 32)``.
        blocks: have a row for each part that the network is written down as, such as a residual block,
            instead: plain containers are opened, modules of other classes are not.

    Returns:
        One row a layer, in the order of the forward pass; a layer met twice has two rows.

    Raises:
        ValueError: if the shape has a number below 1.

    Examples:
        >>> print(shape_trace(nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU()), (1, 1, 32, 32)))
        layer    kind           output  parameters
        -----  ------  ---------------  ----------
        input          1 × 1 × 32 × 32
        0      Conv2d  1 × 6 × 28 × 28         156
        1        ReLU  1 × 6 × 28 × 28           0
        sum                                    156

    Book: pooling_lenet
    """
    shape = checked_shape(input_shape)
    modules = parts(model) if blocks else leaves(model)
    rows: list[ShapeRow] = []
    counted: set[int] = set()

    def note(name: str, _inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            raise ValueError(f"layer {name} returns {type(output).__name__}, only tensors have one shape")
        own = [p for p in modules[name].parameters() if id(p) not in counted]
        counted.update(map(id, own))
        rows.append(
            ShapeRow(name, type(modules[name]).__name__, tuple(output.shape), sum(p.numel() for p in own))
        )

    with observed(modules, note), evaluating(model), torch.no_grad():
        model(zeros_for(model, shape))
    return ShapeTrace(shape, tuple(rows))
