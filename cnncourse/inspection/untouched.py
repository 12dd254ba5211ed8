"""Run a network and leave no trace of it: not in its buffers, its gradients, its mode or the random numbers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cnncourse.inspection.hooks import in_mode


def checked_images(images: Tensor) -> Tensor:
    """Return the images, or refuse what would give no statistics or senseless ones.

    Args:
        images: (N, …) with N ≥ 1, floating point, finite.

    Returns:
        The same tensor.

    Raises:
        ValueError: if it is something else.
    """
    if not isinstance(images, Tensor) or not images.is_floating_point():
        what = images.dtype if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(
            f"images must be a tensor of floating-point numbers, got {what}; scale them to floats"
        )
    if images.ndim < 2 or images.numel() == 0:
        raise ValueError(f"images must be a batch of at least one image, got shape {tuple(images.shape)}")
    if not bool(images.isfinite().all()):
        raise ValueError("images must be finite, got NaN or infinity among them")
    return images


def shadows(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return stand-ins for what a network holds.

    Args:
        model: any network.

    Returns:
        Parameters: tensors with gradients of their own that share the memory of the model's, frozen ones too;
        and copies of the buffers, which batch norm changes.
    """
    parameters = {
        name: parameter.detach().requires_grad_(parameter.is_floating_point())
        for name, parameter in model.named_parameters()
    }
    return parameters, {name: buffer.detach().clone() for name, buffer in model.named_buffers()}


@contextmanager
def without_trace(model: nn.Module, images: Tensor, *, training: bool) -> Iterator[None]:
    """Set the mode; afterwards mode and random numbers are as before.

    Args:
        model: any network.
        images: what it will run on; tells which device draws random numbers.
        training: True for training mode.

    Yields:
        Nothing.

    Raises:
        ValueError: if batch norm has too few values to normalise with.
    """
    devices = [images.device] if images.device.type == "cuda" else []
    with torch.random.fork_rng(devices), in_mode(model, training=training):
        try:
            yield
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            raise ValueError(
                f"batch norm in training mode needs more than one value per channel, got {len(images)} image; "
                "pass more images or training=False"
            ) from error


def run_shadowed(model: nn.Module, tensors: dict[str, Tensor], images: Tensor) -> Any:
    """Return ``model(images)``, computed with the tensors of :func:`shadows` in place of the model's own."""
    return functional_call(model, tensors, (images,))
