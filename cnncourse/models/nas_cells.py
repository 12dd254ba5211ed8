"""Cells as data: small graphs of operations that a search can write, and the layers they stand for.

Zoph, Vasudevan, Shlens & Le, "Learning Transferable Architectures for Scalable Image Recognition", CVPR 2018,
arXiv:1707.07012. What the paper leaves open follows the authors' code in TensorFlow's model garden.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnncourse.layers import StochasticDepth


def _conv(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int = 1, dilation: int = 1
) -> nn.Sequential:
    """Return ReLU, convolution and batch norm, in the paper's order (appendix A.4)."""
    padding = (dilation * (kernel[0] // 2), dilation * (kernel[1] // 2))
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)
    return nn.Sequential(nn.ReLU(), conv, nn.BatchNorm2d(out_channels))


def _separable(side: int) -> Callable[[int, int, int], nn.Module]:
    """Return the builder of a separable convolution, which is always applied twice (appendix A.4)."""

    def build(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        layers: list[nn.Module] = []
        for read, step in ((in_channels, stride), (out_channels, 1)):
            layers += [
                nn.ReLU(inplace=bool(layers)),  # the first one would change a state that others read
                nn.Conv2d(read, read, side, step, side // 2, groups=read, bias=False),
                nn.Conv2d(read, out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
            ]
        return nn.Sequential(*layers)

    return build


def _pool(kind: type[nn.Module], side: int) -> Callable[[int, int, int], nn.Module]:
    def build(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        uncounted = {"count_include_pad": False} if kind is nn.AvgPool2d else {}
        pool = kind(side, stride, side // 2, **uncounted)
        if in_channels == out_channels:
            return pool
        project = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        return nn.Sequential(pool, project, nn.BatchNorm2d(out_channels))

    return build


def _identity(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    if in_channels == out_channels and stride == 1:
        return nn.Identity()
    return _conv(in_channels, out_channels, (1, 1), stride)


def _pair(side: int) -> Callable[[int, int, int], nn.Module]:
    def build(in_channels: int, out_channels: int, stride: int) -> nn.Module:
        wide = _conv(in_channels, out_channels, (1, side), stride)
        return nn.Sequential(*wide, *_conv(out_channels, out_channels, (side, 1)))

    return build


# Zoph et al. (2018), section 3: the operations that a block may choose from.
OPERATIONS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "identity": _identity,
    "conv 1x3 3x1": _pair(3),
    "conv 1x7 7x1": _pair(7),
    "dilated 3x3": lambda read, out, stride: _conv(read, out, (3, 3), stride, dilation=2),
    "avg 3x3": _pool(nn.AvgPool2d, 3),
    "max 3x3": _pool(nn.MaxPool2d, 3),
    "max 5x5": _pool(nn.MaxPool2d, 5),
    "max 7x7": _pool(nn.MaxPool2d, 7),
    "conv 1x1": lambda read, out, stride: _conv(read, out, (1, 1), stride),
    "conv 3x3": lambda read, out, stride: _conv(read, out, (3, 3), stride),
    "sep 3x3": _separable(3),
    "sep 5x5": _separable(5),
    "sep 7x7": _separable(7),
}


@dataclass(frozen=True)
class Cell:
    """What a cell computes, as data: Zoph et al. (2018), section 3 and figure 3."""

    blocks: tuple[tuple[int, str, int, str], ...]
    """A state, the operation on it, a second state and the operation on that; a block adds both results. State 0
    is the output of the cell before, state 1 of the one before that, state 2 the sum of the first block."""
    joined: tuple[int, ...] = ()
    """States whose channels make the output; empty takes those that no block reads, as the paper's search does."""

    def __post_init__(self) -> None:
        if not self.blocks:
            raise ValueError("a cell needs at least one block, got none; the paper's cells have five")
        for number, (left, one, right, other) in enumerate(self.blocks):
            if not (0 <= left < number + 2 and 0 <= right < number + 2):
                raise ValueError(
                    f"block {number} may read states 0 to {number + 1}, those before it, got {left} and {right}"
                )
            if not {one, other} <= OPERATIONS.keys():
                raise ValueError(f"operations must be among {list(OPERATIONS)}, got {one!r} and {other!r}")
        if list(self.joined) != sorted(set(self.joined) & set(range(len(self.blocks) + 2))):
            raise ValueError(
                f"joined must be states from 0 to {len(self.blocks) + 1} in growing order, got {self.joined}"
            )

    @property
    def read(self) -> set[int]:
        """The states that blocks read."""
        return {state for left, _one, right, _other in self.blocks for state in (left, right)}

    @property
    def outputs(self) -> tuple[int, ...]:
        """The states that make the output."""
        unread = (state for state in range(len(self.blocks) + 2) if state not in self.read)
        return self.joined or tuple(unread)


@dataclass(frozen=True)
class Genotype:
    """The two cells of a network."""

    normal: Cell
    """The cell that keeps the sides of its maps."""
    reduction: Cell
    """The cell that halves them."""

    def to_dict(self) -> dict[str, dict[str, list[Any]]]:
        """Return the cells as lists, strings and numbers, as files and checkpoints keep them."""
        cells = {"normal": self.normal, "reduction": self.reduction}
        return {
            name: {"blocks": [list(block) for block in cell.blocks], "joined": list(cell.joined)}
            for name, cell in cells.items()
        }

    @classmethod
    def from_dict(cls, cells: Mapping[str, Mapping[str, Sequence[Any]]]) -> "Genotype":
        """Return the genotype that :meth:`to_dict` wrote.

        Args:
            cells: ``normal`` and ``reduction``, each with ``blocks`` and, if not empty, ``joined``.

        Returns:
            The genotype.

        Raises:
            ValueError: if a cell is missing or cannot be.
        """
        if set(cells) != {"normal", "reduction"} or not all("blocks" in cell for cell in cells.values()):
            raise ValueError(
                f"a genotype has the cells normal and reduction, each with its blocks, got {dict(cells)}"
            )
        made = {
            name: Cell(tuple(tuple(block) for block in cell["blocks"]), tuple(cell.get("joined", ())))
            for name, cell in cells.items()
        }
        return cls(**made)


class FactorisedReduction(nn.Module):
    """Half of the channels from the even pixels, half from the odd ones, and a batch norm.

    No pixel row is thrown away, as a 1 x 1 convolution with stride 2 would do with three pixels of four.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output, at least 2.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels - out_channels // 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps (N, out_channels, ceil(H / 2), ceil(W / 2)) for maps (N, C, H, W)."""
        shifted = functional.pad(x, (0, 1, 0, 1))[:, :, 1::2, 1::2]
        result: Tensor = self.norm(torch.cat([self.even(x[:, :, ::2, ::2]), self.odd(shifted)], 1))
        return result


class NasCell(nn.Module):
    """A cell of a network, built from its data.

    Args:
        cell: what it computes.
        in_channels: channels of the output of the cell before.
        before: channels of the output of the cell before that; ``None`` if there is none, where the first
            state stands for the second as well.
        filters: channels of each state.
        stride: 2 halves the sides: operations on the first two states have this stride.
        shrink: the output of the cell before the last has twice the sides of the last one's.
        drop_prob: probability that the result of an operation is left out for an image in training, in [0, 1);
            identities stay.
    """

    def __init__(
        self,
        cell: Cell,
        in_channels: int,
        before: int | None,
        filters: int,
        *,
        stride: int,
        shrink: bool,
        drop_prob: float,
    ) -> None:
        super().__init__()
        self.cell, self.out_channels = cell, filters * len(cell.outputs)
        needed = cell.read | set(cell.outputs)
        self.adapt = _conv(in_channels, filters, (1, 1)) if 0 in needed else None
        channels = [filters, in_channels if before is None else filters]
        self.adapt_before: nn.Module | None = None
        if before is not None and 1 in needed:
            if shrink:
                self.adapt_before = nn.Sequential(nn.ReLU(), FactorisedReduction(before, filters))
            elif before != filters:
                self.adapt_before = _conv(before, filters, (1, 1))
        self.left, self.right = nn.ModuleList(), nn.ModuleList()
        for left, one, right, other in cell.blocks:
            for branch, state, operation in ((self.left, left, one), (self.right, right, other)):
                read = channels[state] if state < 2 else filters
                branch.append(OPERATIONS[operation](read, filters, stride if state < 2 else 1))
        self.join = nn.ModuleDict()
        for state in cell.outputs:
            if state < 2 and stride == 2:
                self.join[str(state)] = FactorisedReduction(channels[state], filters)
            elif state < 2 and channels[state] != filters:
                project = nn.Conv2d(channels[state], filters, 1, bias=False)
                self.join[str(state)] = nn.Sequential(project, nn.BatchNorm2d(filters))
        self.stochastic_depth = StochasticDepth(drop_prob) if drop_prob else None

    def forward(self, x: Tensor, before: Tensor | None) -> Tensor:
        """Return maps (N, out_channels, H / stride, W / stride) for the outputs of the two cells before."""
        second = x if before is None else before
        states = [
            x if self.adapt is None else self.adapt(x),
            second if self.adapt_before is None else self.adapt_before(second),
        ]
        for (first, one, last, other), left, right in zip(
            self.cell.blocks, self.left, self.right, strict=True
        ):
            results = [left(states[first]), right(states[last])]
            if self.stochastic_depth is not None:
                for index, operation in enumerate((one, other)):
                    if operation != "identity":
                        results[index] = self.stochastic_depth(results[index])
            states.append(results[0] + results[1])
        for name, module in self.join.items():
            states[int(name)] = module(states[int(name)])
        return torch.cat([states[state] for state in self.cell.outputs], 1)
