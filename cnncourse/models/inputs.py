"""What every network checks: its counts when it is built, its images when it runs."""

from torch import Tensor


def check_counts(num_classes: int, in_channels: int) -> None:
    """Refuse a number of classes or channels below 1.

    Args:
        num_classes: number of logits.
        in_channels: channels of the images.

    Raises:
        ValueError: if one is below 1.
    """
    if num_classes < 1 or in_channels < 1:
        raise ValueError(
            f"num_classes and in_channels must be at least 1, got num_classes={num_classes} and "
            f"in_channels={in_channels}; handwritten digits need 10 and 1, photographs 3 channels"
        )


def check_images(
    images: Tensor,
    name: str,
    in_channels: int,
    *,
    smallest: int,
    largest: int | None = None,
    remedy: str = "resize the images, or build the model with the right in_channels",
) -> None:
    """Refuse images that a network cannot read.

    Only shapes and the type are looked at, so that nothing is computed and compilers see constants.

    Args:
        images: what the network was given.
        name: name of the network, for the message.
        in_channels: channels it reads.
        smallest: least height and width in pixels: the product of the network's strides, so that the last
            map has at least one pixel of its own.
        largest: greatest height and width in pixels; ``None`` is any.
        remedy: what to do, for the message.

    Raises:
        ValueError: if the shape is not (N, in_channels, H, W) with sides in range, or the type is not floating.
    """
    if images.ndim == 4 and images.shape[1] == in_channels:
        sides = images.shape[2:]
        fits = min(sides) >= smallest and (largest is None or max(sides) <= largest)
        if fits and images.is_floating_point():
            return
        if fits:
            raise ValueError(
                f"{name} takes floating-point images, got {images.dtype}; divide by 255 and normalise first"
            )
    if largest == smallest:
        rule = f"shape (N, {in_channels}, {smallest}, {smallest})"
    else:
        most = "" if largest is None else f" and at most {largest}"
        rule = f"shape (N, {in_channels}, H, W) with H and W at least {smallest}{most}"
    raise ValueError(f"{name} takes images of {rule}, got {tuple(images.shape)}; {remedy}")
