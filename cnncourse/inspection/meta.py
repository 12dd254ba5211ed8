"""Run a network on tensors that have a shape and no numbers: whatever its size, nothing is computed or allocated."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call


def checked_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    """Return the shape as a tuple.

    Args:
        input_shape: shape of the input with the batch in front.

    Returns:
        The same numbers.

    Raises:
        ValueError: if one is below 1, or there is none.
    """
    shape = tuple(input_shape)
    if not shape or min(shape) < 1:
        raise ValueError(f"input_shape must hold numbers of at least 1, batch first, got {shape}")
    return shape


def model_dtype(model: nn.Module) -> torch.dtype:
    """Return the type of the first floating-point parameter, float32 if there is none."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), torch.float32)


def shape_tensors(model: nn.Module, dtype: torch.dtype | None = None) -> dict[str, Tensor]:
    """Return stand-ins without numbers for all parameters and buffers.

    Args:
        model: any network; its own tensors are neither read nor moved.
        dtype: type of all floating-point tensors; ``None`` keeps each one's own.

    Returns:
        Name to tensor on the meta device; parameters ask for a gradient where the model's do.
    """
    stand_ins: dict[str, Tensor] = {}
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        kind = dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype
        stand_ins[name] = torch.empty(tensor.shape, dtype=kind, device="meta").requires_grad_(
            isinstance(tensor, nn.Parameter) and tensor.requires_grad
        )
    return stand_ins


def on_shapes(operation: Any, arguments: Sequence[Any], options: dict[str, Any] | None) -> Any:
    """Return an operation's output on tensors without numbers.

    torch's own rule for batch normalisation goes through its arithmetic step by step, although in eval the shapes
    are known: that alone takes most of the time of a deep network.

    Args:
        operation: what a dispatch mode was handed.
        arguments: its positional arguments.
        options: its keyword arguments.

    Returns:
        What the operation returns, in the same shapes.
    """
    if operation is torch.ops.aten.native_batch_norm.default and not arguments[5]:  # not in training
        images = arguments[0]
        return torch.empty_like(images), *(torch.empty_like(statistic) for statistic in arguments[3:5])
    return operation(*arguments, **(options or {}))


def run_on_shapes(model: nn.Module, tensors: dict[str, Tensor], images: Tensor) -> Any:
    """Return ``model(images)``, computed with the tensors of :func:`shape_tensors`."""
    return functional_call(model, tensors, (images,))
