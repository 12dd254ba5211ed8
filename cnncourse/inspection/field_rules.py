"""What each operation of torch's does to the places that units see: the rules of the receptive field.

A rule gets the layout of the operation's first tensor that depends on the images, and answers with the layout of its
output; with a window, which slides over the layout; or with None, where units see everything from now on. What it
cannot follow it refuses.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

from torch import Tensor

from cnncourse.inspection.field_layout import Layout, Span

Settings: TypeAlias = tuple[int, int, int, int]
"""Kernel, stride, padding and dilation of a window."""
Outcome: TypeAlias = Layout | Settings | None
Rule: TypeAlias = Callable[[Layout, Tensor, dict[str, Any]], Outcome]
"""From a layout, the output and the operation's arguments by name."""


def square(what: str, value: Any, default: int = 1) -> int:
    """Return the one number behind 3 or (3, 3).

    Args:
        what: name of the setting, for the message.
        value: a number, or one for each direction.
        default: returned for an empty value.

    Returns:
        The number.

    Raises:
        ValueError: if directions differ or it is no number.
    """
    sides = list(value) if isinstance(value, (tuple, list)) else [value]
    if not sides:
        return default
    if len(set(sides)) != 1 or not isinstance(sides[0], int):
        raise ValueError(f"windows must be square, got {what}={tuple(sides) if len(sides) > 1 else value!r}")
    return sides[0]


def _window(kernel: Any, named: dict[str, Any]) -> Settings:
    side = square("kernel_size", kernel)
    return (
        side,
        square("stride", named.get("stride", side), side),
        square("padding", named.get("padding", 0), 0),
        square("dilation", named.get("dilation", 1)),
    )


def _convolution(_layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    if named["transposed"]:
        raise ValueError("a transposed convolution has no window on its input")
    return _window(tuple(named["weight"].shape[2:]), named)


def _pooling(_layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    return _window(named["kernel_size"], named)


def _pooling_in_depth(layout: Layout, output: Tensor, named: dict[str, Any]) -> Outcome:
    if set(named["kernel_size"][1:]) != {1}:
        raise ValueError("it is known only for windows across channels")
    return layout.resized(output.shape)


def _adaptive(layout: Layout, output: Tensor, _named: dict[str, Any]) -> Outcome:
    sides = []
    for dim, size in zip(layout.dims[-2:], output.shape[-2:], strict=True):
        before = dim[0][0] if dim else 1
        if size == 1 and before > 1:
            return None
        if before % size:
            raise ValueError(
                f"adaptive pooling from {before} to {size} has windows of different sizes; choose an input for "
                "which the one is a multiple of the other"
            )
        sides.append(before // size)
    side = square("kernel_size", sides)
    return layout if side == 1 else (side, side, 0, 1)


def _reduced(layout: Layout, output: Tensor, named: dict[str, Any]) -> Outcome:
    given = named.get("dim")
    every = list(range(len(layout.dims)))
    dims = every if given is None or given == [] else [given] if isinstance(given, int) else list(given)
    dims = [dim % len(every) for dim in dims]
    if layout.spatial(dims):
        return None
    if named.get("keepdim"):
        return layout.resized(output.shape)
    return layout.moved([dim for dim in every if dim not in dims])


def _softmax(layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    return None if layout.spatial([named["dim"] % len(layout.dims)]) else layout


def _viewed(layout: Layout, output: Tensor, _named: dict[str, Any]) -> Outcome:
    return layout.viewed(output.shape)


def _permuted(layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    return layout.moved([dim % len(layout.dims) for dim in named["dims"]])


def _transposed(layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    order = list(range(len(layout.dims)))
    first, second = named.get("dim0", 0), named.get("dim1", 1)
    order[first], order[second] = order[second], order[first]
    return layout.moved(order)


def _sliced(layout: Layout, output: Tensor, named: dict[str, Any]) -> Outcome:
    dim = named.get("dim", 0) % len(layout.dims)
    if not layout.spatial([dim]):
        return layout.resized(output.shape)
    ((size, what),) = layout.dims[dim]
    first, step = named.get("start") or 0, named.get("step", 1)
    first = max(first + size, 0) if first < 0 else first
    span = layout.rows if what == "h" else layout.columns
    shift = first * span.jump
    moved = Span(span.low + shift, span.high + shift, span.jump * step)
    left = int(output.shape[dim])
    dims = list(layout.dims)
    dims[dim] = ((left, what),) if left > 1 else ()
    return replace(layout, dims=tuple(dims), **{"rows" if what == "h" else "columns": moved})


def _selected(layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    dim = named["dim"] % len(layout.dims)
    if layout.spatial([dim]):
        raise ValueError("it takes out one row or column")
    return layout.moved([other for other in range(len(layout.dims)) if other != dim])


def _padded(layout: Layout, output: Tensor, named: dict[str, Any]) -> Outcome:
    pads = list(named["pad"] if "pad" in named else named["padding"])
    spans = {"h": layout.rows, "w": layout.columns}
    dims = list(layout.dims)
    for place in range(len(pads) // 2):
        dim = len(dims) - 1 - place
        before = pads[2 * place]
        if not before and not pads[2 * place + 1]:
            continue
        size = int(output.shape[dim])
        what = dims[dim][0][1] if dims[dim] else "c"
        if what in spans:
            span = spans[what]
            spans[what] = Span(span.low - before * span.jump, span.high - before * span.jump, span.jump)
        dims[dim] = ((size, what),) if size > 1 else ()
    return Layout(tuple(dims), spans["h"], spans["w"])


def _layer_norm(layout: Layout, _output: Tensor, named: dict[str, Any]) -> Outcome:
    count = len(named["normalized_shape"])
    return None if layout.spatial(list(range(len(layout.dims)))[-count:]) else layout


def _group_norm(layout: Layout, _output: Tensor, _named: dict[str, Any]) -> Outcome:
    return None if layout.spatial(range(len(layout.dims))) else layout


def _unchanged(layout: Layout, output: Tensor, _named: dict[str, Any]) -> Outcome:
    return layout.resized(output.shape)


def _product(layout: Layout, output: Tensor, named: dict[str, Any]) -> Outcome:
    """A matrix product of the tracked tensor and weights: sums over its last dimension."""
    if layout.spatial([len(layout.dims) - 1]):
        return None
    size = int(output.shape[-1])
    return replace(layout, dims=(*layout.dims[:-1], ((size, "c"),) if size > 1 else ()))


RULES: dict[str, Rule] = {
    **dict.fromkeys(("convolution",), _convolution),
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), _pooling),
    **dict.fromkeys(("avg_pool3d",), _pooling_in_depth),
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), _adaptive),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "var", "std", "var_mean", "norm"), _reduced),
    **dict.fromkeys(("_softmax", "_log_softmax"), _softmax),
    **dict.fromkeys(("view", "_unsafe_view", "_reshape_alias", "squeeze", "unsqueeze"), _viewed),
    **dict.fromkeys(("permute",), _permuted),
    **dict.fromkeys(("transpose", "t"), _transposed),
    **dict.fromkeys(("slice",), _sliced),
    **dict.fromkeys(("select",), _selected),
    **dict.fromkeys(("constant_pad_nd", "reflection_pad2d", "replication_pad2d"), _padded),
    **dict.fromkeys(("native_layer_norm",), _layer_norm),
    **dict.fromkeys(("native_group_norm",), _group_norm),
    **dict.fromkeys(("native_batch_norm", "_native_batch_norm_legit_no_training"), _unchanged),
    **dict.fromkeys(("cudnn_batch_norm", "batch_norm", "_batch_norm_no_update"), _unchanged),
    **dict.fromkeys(
        ("alias", "detach", "clone", "contiguous", "_to_copy", "expand", "lift_fresh"), _unchanged
    ),
    **dict.fromkeys(("channel_shuffle", "native_channel_shuffle"), _unchanged),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm"), _product),
}
"""Name of the operation to its rule; operations that torch marks as pointwise need none."""
POINTWISE = (
    "copy",
    "hardswish",
    "hardsigmoid",
    "mish",
    "silu",
    "gelu",
    "elu",
    "_prelu_kernel",
    "rrelu",
    "relu6",
)
"""Operations on single numbers that torch does not mark, at least not in every version."""
SPLITS = ("split", "split_with_sizes", "unbind", "chunk")
"""Operations that give several tensors."""
JOINS = ("cat", "stack")
"""Operations that set tensors beside each other."""
PRODUCTS = {"mm": "self", "bmm": "self", "addmm": "mat1", "baddbmm": "batch1"}
"""Matrix products, and what they call the first factor."""
