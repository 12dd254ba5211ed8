"""The receptive field of a network with branches: the pixels that can reach a unit by any path.

Every map of a forward pass carries the interval of pixels that its units can see, along the rows. A layer that slides
a window widens it, as in :mod:`cnncourse.inspection.receptive`; where branches meet, the interval becomes the smallest
that holds both. Squeeze and excitation, or any mean over a whole map, lets every unit behind it see the whole image.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cnncourse.inspection.hooks import evaluating
from cnncourse.inspection.meta import checked_shape, model_dtype, on_shapes, run_on_shapes, shape_tensors

ROWS = 2
"""Axis of (N, C, H, W) along which the field is followed."""


@dataclass(frozen=True)
class Reach:
    """Which pixels the unit with index u of a map can see: from ``jump · u + first`` to ``jump · u + last``."""

    first: float
    """First pixel of unit 0; below 0 is padding, minus infinity the whole image."""
    last: float
    """Last pixel of unit 0."""
    jump: int
    """Pixels between the fields of neighbouring units."""

    @property
    def size(self) -> int | None:
        """Side of the field in pixels; ``None`` if it is the whole image, whatever its size."""
        return None if self.last - self.first == float("inf") else int(self.last - self.first) + 1

    def through(self, kernel: int, stride: int, padding: int, dilation: int = 1) -> "Reach":
        """Return the field behind a sliding window.

        Args:
            kernel: side of the window, in units of this map.
            stride: step between windows.
            padding: rows added above.
            dilation: distance between the taps of the window.

        Returns:
            The field of a unit of the next map.
        """
        first = self.first - padding * self.jump
        last = self.last + (dilation * (kernel - 1) - padding) * self.jump
        return Reach(first, last, stride * self.jump)

    def joined(self, other: "Reach") -> "Reach":
        """Return the smallest field that holds both.

        Args:
            other: field of a map of the same resolution.

        Returns:
            The field of their sum.

        Raises:
            ValueError: if neighbouring units are not equally far apart in both.
        """
        if WHOLE in {self, other}:
            return WHOLE
        if self.jump != other.jump:
            raise ValueError(
                f"maps that meet must have equally dense units, got one every {self.jump} and one every "
                f"{other.jump} pixels"
            )
        return replace(self, first=min(self.first, other.first), last=max(self.last, other.last))


WHOLE = Reach(float("-inf"), float("inf"), 1)
"""Every pixel of the image."""


def last_map_field(model: nn.Module, input_shape: Sequence[int]) -> Reach | None:
    """Return the receptive field of the last map that still has more than one unit.

    The network runs once in eval mode on tensors that have a shape and no numbers. Windows are followed along the
    rows, so they are taken to be square.

    Args:
        model: any network of convolutions, pooling, elementwise functions, sums and concatenations.
        input_shape: shape of the input with the batch in front, such as ``(1, 3, 224, 224)``.

    Returns:
        The field; ``None`` if the network has no maps, such as a multilayer perceptron.

    Raises:
        ValueError: if the shape has a number below 1, maps of different resolution meet, or an operation moves pixels
            in another way, such as a transposed convolution.
    """
    shape = checked_shape(input_shape)
    images = torch.empty(shape, dtype=model_dtype(model), device="meta")
    follower = _Follower(images)
    with evaluating(model), torch.no_grad(), follower:
        run_on_shapes(model, shape_tensors(model), images)
    return follower.last


_aten = torch.ops.aten


def _convolution(field: Reach, _images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    if arguments[6]:
        raise ValueError("receptive fields cannot be followed through a transposed convolution")
    weight, stride, padding, dilation = arguments[1], *arguments[3:6]
    return field.through(weight.shape[ROWS], stride[0], padding[0], dilation[0])


def _pooling(field: Reach, _images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    kernel, stride, padding = (*arguments[1:4], None, None)[:3]
    rows = kernel[0]
    return field.through(rows, stride[0] if stride else rows, padding[0] if padding else 0)


def _adaptive(field: Reach, images: Tensor, output: Any, _arguments: Sequence[Any]) -> Reach:
    before, after = images.shape[ROWS], output.shape[ROWS]
    return field.through(before // after, before // after, 0) if after > 1 and before % after == 0 else WHOLE


def _mean(field: Reach, images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    axes = {axis % images.ndim for axis in arguments[1] or range(images.ndim)}
    return WHOLE if images.ndim == 4 and ROWS in axes else field


def _slice(field: Reach, _images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    axis = arguments[1] if len(arguments) > 1 else 0
    start = arguments[2] if len(arguments) > 2 else 0
    step = arguments[4] if len(arguments) > 4 else 1
    return field.through(1, step, -(start or 0)) if axis == ROWS else field


def _unfolded(field: Reach, _images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    axis, size, step = arguments[1:4]
    return field.through(size, step, 0) if axis == ROWS else field


def _padded(field: Reach, _images: Tensor, _output: Any, arguments: Sequence[Any]) -> Reach:
    border = arguments[1]  # left, right, above, below
    return field.through(1, 1, border[2]) if len(border) > 2 else field


_RULES: dict[Any, Callable[[Reach, Tensor, Any, Sequence[Any]], Reach]] = {
    _aten.convolution.default: _convolution,
    _aten.max_pool2d_with_indices.default: _pooling,
    _aten.avg_pool2d.default: _pooling,
    _aten._adaptive_avg_pool2d.default: _adaptive,
    _aten.mean.dim: _mean,
    _aten.native_group_norm.default: lambda *_: WHOLE,
    _aten.slice.Tensor: _slice,
    _aten.unfold.default: _unfolded,
    _aten.constant_pad_nd.default: _padded,
    _aten.reflection_pad2d.default: _padded,
}
"""Operations that change the field; all others join the fields of what they read."""
_LOST = {"as_strided", "baddbmm", "bmm", "flip", "grid_sampler_2d", "roll"}
"""Operations that move pixels in ways that no interval describes."""


class _Follower(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Gives every tensor that depends on the images its field."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.last: Reach | None = None
        self._fields = {id(images): Reach(0, 0, 1)}
        self._alive: list[Any] = [images]  # a tensor that is freed would lend its number to another

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = on_shapes(func, args, kwargs)
        read = [one for one in tree_leaves((args, kwargs)) if id(one) in self._fields]
        if not read:
            return output
        kind = func.overloadpacket.__name__
        if kind in _LOST or kind.startswith("upsample"):
            raise ValueError(
                f"receptive fields cannot be followed through {kind}; build the network of torch.nn's convolutions, "
                "pooling, elementwise functions, sums and concatenations"
            )
        field = self._fields[id(read[0])]
        for other in read[1:]:
            field = field.joined(self._fields[id(other)])
        if func in _RULES:
            field = _RULES[func](field, read[0], output, args)
        for tensor in tree_leaves(output):
            if isinstance(tensor, Tensor):
                self._fields[id(tensor)] = field
                self._alive.append(tensor)
                if tensor.ndim == 4 and tensor.shape[ROWS] > 1:
                    self.last = field
        return output
