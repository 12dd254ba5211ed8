"""What all steps ask of their images: axes, types, rows, the value of white, the way back to whole levels."""

from collections.abc import Sequence

import torch
from torch import Tensor


def check_images(images: Tensor) -> None:
    """Refuse what is not a batch of images.

    Args:
        images: anything.

    Raises:
        ValueError: if there are not four axes.
    """
    if images.ndim != 4:
        raise ValueError(
            f"images must have the axes (N, C, H, W), got shape {tuple(images.shape)}; "
            "a single image is images[None]"
        )


def check_rows(images: Tensor, **drawn: Tensor) -> None:
    """Refuse drawn values that do not belong to these images.

    Args:
        images: (N, C, H, W).
        drawn: each by its name, with one row an image.

    Raises:
        ValueError: if ``images`` has not four axes or a number of rows is another.
    """
    check_images(images)
    for name, values in drawn.items():
        if values.ndim == 0 or len(values) != len(images):
            raise ValueError(
                f"{name} must have one row for each image, got {name} of shape {tuple(values.shape)} for "
                f"{len(images)} images; select the same rows of both"
            )


def white(images: Tensor) -> float:
    """Return the value of white.

    Args:
        images: uint8 or float.

    Returns:
        255.0 for uint8, 1.0 for floats.

    Raises:
        ValueError: if the type is another.
    """
    if images.dtype == torch.uint8:
        return 255.0
    if images.is_floating_point():
        return 1.0
    raise ValueError(f"images must be uint8 in [0, 255] or float in [0, 1], got {images.dtype}")


def is_channels_last(images: Tensor) -> bool:
    """Return whether the channels of a pixel lie side by side, and reading them so matters.

    Args:
        images: (N, C, H, W).

    Returns:
        True for the memory format channels_last; False where the two formats are one.
    """
    return not images.is_contiguous() and images.is_contiguous(memory_format=torch.channels_last)


def working_copy(images: Tensor) -> Tensor:
    """Return the images as floats to compute with.

    Args:
        images: uint8 or float.

    Returns:
        A new tensor in plain memory order, float64 for float64 and otherwise float32, with the same values.
    """
    dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
    return images.to(dtype, copy=True, memory_format=torch.contiguous_format)


def back_to(images: Tensor, result: Tensor) -> Tensor:
    """Return a result in the type and the memory format of the images it came from.

    Args:
        images: what came in.
        result: floats of four axes; may be changed in place.

    Returns:
        For uint8 rounded to the nearest level, halves to the even one, and held within [0, 255].
    """
    if images.dtype == torch.uint8:
        result = result.round_().clamp_(0, 255)
    form = torch.channels_last if is_channels_last(images) else torch.contiguous_format
    return result.to(images.dtype, memory_format=form)


def a_row_each(values: Tensor, like: Tensor) -> Tensor:
    """Return one number an image in a shape that spreads over its pixels.

    Args:
        values: (N,).
        like: (N, C, H, W), where and in which type to have them.

    Returns:
        (N, 1, 1, 1).
    """
    return values.to(like.device, like.dtype, non_blocking=True).view(-1, 1, 1, 1)


INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def choose(condition: Tensor, these: Tensor, others: Tensor) -> Tensor:
    """Return :func:`torch.where` of images, quicker on a CPU.

    PyTorch's kernel takes value by value there; whole words of bits are ten times as fast, and exact for any value.

    Args:
        condition: (N, 1, H, W), bool.
        these: chosen where true, (N, C, H, W) or (C, 1, 1).
        others: chosen where false, (N, C, H, W); of the same type.

    Returns:
        (N, C, H, W), in the memory format of ``others``.
    """
    if others.device.type != "cpu" or others.requires_grad or these.requires_grad:
        return torch.where(condition, these, others)
    integers = INTEGERS[others.element_size()]
    mask = condition.to(integers).neg_()  # all bits, or none
    bits = others.view(integers)
    chosen = (bits ^ these.view(integers)).bitwise_and_(mask).bitwise_xor_(bits)
    return chosen.view(others.dtype)


def fill_values(fill: float | Sequence[float], images: Tensor) -> list[float]:
    """Return what to fill an area with, as numbers the images can hold.

    Args:
        fill: one value for all channels, or one a channel, in the units of the images.
        images: (N, C, H, W).

    Returns:
        One value or C; for uint8 rounded to whole levels.

    Raises:
        ValueError: if the number of values is neither 1 nor C, or a value does not fit into uint8.
    """
    values = list(fill) if isinstance(fill, Sequence) else [fill]
    channels = images.shape[1]
    if len(values) not in (1, channels):
        raise ValueError(
            f"fill must be one value or one a channel, got {len(values)} for {channels} channels"
        )
    if images.dtype == torch.uint8:
        values = [round(value) for value in values]
        if min(values) < 0 or max(values) > 255:
            raise ValueError(f"fill of uint8 images must lie in [0, 255], got fill={fill}")
    return values


def fill_levels(fill: float | Sequence[float], images: Tensor) -> Tensor:
    """Return :func:`fill_values` as a tensor.

    Args:
        fill: one value for all channels, or one a channel, in the units of the images.
        images: (N, C, H, W).

    Returns:
        (C, 1, 1), of the images' type and device.

    Raises:
        ValueError: as :func:`fill_values`.
    """
    levels = torch.tensor(fill_values(fill, images), dtype=images.dtype)
    return levels.to(images.device, non_blocking=True).expand(images.shape[1]).view(-1, 1, 1)
