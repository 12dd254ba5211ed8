"""How many multiplications a network does: counted from the shapes, without computing anything.

A multiply-add is one multiplication and the addition behind it, in a convolution or a matrix product: what papers
call "FLOPs" more often than not. Biases, normalisation, activations and pooling are not counted.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from cnncourse.inspection.hooks import evaluating, leaves
from cnncourse.inspection.meta import checked_shape, model_dtype, on_shapes, run_on_shapes, shape_tensors

FUNCTIONAL = "(outside layers)"
"""Name under which products stand that no layer does."""


def _convolution(output: Tensor, arguments: Sequence[Any]) -> int:
    images, weight, transposed = arguments[0], arguments[1], bool(arguments[6])
    # An output of an ordinary convolution reads one filter; an input of a transposed one is spread by one.
    return int((images if transposed else output).numel() * weight[0].numel())


def _matrix_product(first: int) -> Callable[[Tensor, Sequence[Any]], int]:
    return lambda output, arguments: output.numel() * arguments[first].shape[-1]


_aten = torch.ops.aten
_COUNTS: dict[Any, Callable[[Tensor, Sequence[Any]], int]] = {
    _aten.convolution.default: _convolution,
    _aten.mm.default: _matrix_product(0),
    _aten.bmm.default: _matrix_product(0),
    _aten.bmm.out: _matrix_product(
        0
    ),  # products written to a given place, as the course's own convolution does
    _aten.addmm.default: _matrix_product(1),
    _aten.baddbmm.default: _matrix_product(1),
}


def multiply_adds_of(operation: Any, output: Any, arguments: Sequence[Any]) -> int:
    """Return the multiply-adds of one operation of torch's, 0 for one that is no product."""
    rule = _COUNTS.get(operation)
    return 0 if rule is None else rule(output, arguments)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the multiply-adds of every operation under the name of the layer that is running."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.running: list[str] = []
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = on_shapes(func, args, kwargs)
        count = multiply_adds_of(func, output, args)
        if count:
            name = self.running[-1] if self.running else FUNCTIONAL
            self.counts[name] = self.counts.get(name, 0) + count
        return output


def multiply_adds_by_layer(model: nn.Module, input_shape: Sequence[int]) -> dict[str, int]:
    """Count the multiply-adds of each layer of a network for a batch of one shape.

    The network runs once in eval mode on tensors that have a shape and no numbers, whatever its size; its
    own weights are neither read nor moved.

    Args:
        model: any network; layers are the modules that contain no others.
        input_shape: shape of the input with the batch in front, such as ``(1, 3, 224, 224)``.

    Returns:
        Layer's dotted name to multiply-adds, in the order of the forward pass, only layers that have some;
        products outside layers stand under ``"(outside layers)"``.

    Raises:
        ValueError: if the shape has a number below 1.
    """
    shape = checked_shape(input_shape)
    counter = _Counter()

    def enter(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _module, _inputs: counter.running.append(name)

    def leave(_module: nn.Module, _inputs: Any, _output: Any) -> None:
        counter.running.pop()

    with ExitStack() as stack:
        for name, module in leaves(model).items():
            stack.callback(module.register_forward_pre_hook(enter(name)).remove)
            stack.callback(module.register_forward_hook(leave).remove)
        for context in (evaluating(model), torch.no_grad(), counter):
            stack.enter_context(context)
        run_on_shapes(
            model, shape_tensors(model), torch.empty(shape, dtype=model_dtype(model), device="meta")
        )
    return counter.counts


def count_multiply_adds(model: nn.Module, input_shape: Sequence[int]) -> int:
    """Count the multiply-adds of a network for a batch of one shape.

    One forward pass; the floating-point operations are twice as many. See :func:`multiply_adds_by_layer`.

    Args:
        model: any network.
        input_shape: shape of the input with the batch in front, such as ``(1, 3, 224, 224)``.

    Returns:
        The count for the whole batch.

    Raises:
        ValueError: if the shape has a number below 1.

    Examples:
        >>> count_multiply_adds(nn.Conv2d(3, 8, 5), (1, 3, 32, 32))  # 8 x 28 x 28 outputs of 3 x 5 x 5 products
        470400

    Book: resnet
    """
    return sum(multiply_adds_by_layer(model, input_shape).values())
