"""Brightness, contrast, saturation and hue, each image by its own amount."""

import torch
from torch import Tensor

from cnncourse.augmentation.pixels import a_row_each, back_to, check_rows, white, working_copy

LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the grey of ITU-R BT.601; they add up to 1."""

# Sums and products are separate calls throughout: fused ones round differently in different places of a batch, and an
# image shall come out the same in any batch.


def adjust_brightness(images: Tensor, factors: Tensor) -> Tensor:
    """Multiply all values.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1].
        factors: (N,), at least 0; 0 gives black, 1 leaves the image.

    Returns:
        (N, C, H, W), held between black and white.

    Raises:
        ValueError: if a factor is below 0, or types or shapes do not fit.
    """
    return _adjusted("brightness", images, factors)


def adjust_contrast(images: Tensor, factors: Tensor) -> Tensor:
    """Stretch all values about the image's mean grey.

    Args:
        images: (N, C, H, W), uint8 or float in [0, 1]; grey is BT.601's for three channels, else the channels' mean.
        factors: (N,), at least 0; 0 gives plain grey, 1 leaves the image.

    Returns:
        (N, C, H, W), held between black and white.

    Raises:
        ValueError: if a factor is below 0, or types or shapes do not fit.
    """
    return _adjusted("contrast", images, factors)


def adjust_saturation(images: Tensor, factors: Tensor) -> Tensor:
    """Stretch the channels of each pixel about its grey.

    Args:
        images: (N, 3, H, W), uint8 or float in [0, 1].
        factors: (N,), at least 0; 0 gives a grey image, 1 leaves the image.

    Returns:
        (N, 3, H, W), held between black and white.

    Raises:
        ValueError: if there are not three channels, a factor is below 0, or types or shapes do not fit.
    """
    return _adjusted("saturation", images, factors)


def adjust_hue(images: Tensor, turns: Tensor) -> Tensor:
    """Turn the colour circle; value and saturation (of HSV) stay.

    Args:
        images: (N, 3, H, W), uint8 or float in [0, 1].
        turns: (N,), in [-0.5, 0.5] whole turns: red becomes green at 1/3.

    Returns:
        (N, 3, H, W).

    Raises:
        ValueError: if there are not three channels, a turn is out of range, or types or shapes do not fit.
    """
    return _adjusted("hue", images, turns)


def _adjusted(name: str, images: Tensor, amounts: Tensor) -> Tensor:
    check_amounts(name, images, amounts)
    return back_to(images, change(name, working_copy(images), amounts, white(images)))


def check_amounts(name: str, images: Tensor, amounts: Tensor) -> None:
    """Refuse images that have no such property, and amounts out of range.

    Args:
        name: brightness, contrast, saturation or hue.
        images: (N, C, H, W).
        amounts: (N,).

    Raises:
        ValueError: if something does not fit.
    """
    check_rows(images, **{name: amounts})
    white(images)
    check_channels(name, images.shape[1])
    if name == "hue" and bool((amounts.abs() > 0.5).any()):
        raise ValueError(f"turns of the hue must lie in [-0.5, 0.5], got {amounts.abs().max().item():.3g}")
    if name != "hue" and bool((amounts < 0).any()):
        raise ValueError(f"factors of the {name} must be at least 0, got {amounts.min().item():.3g}")


def check_channels(name: str, channels: int) -> None:
    """Refuse images without colour where colour is asked for.

    Args:
        name: brightness, contrast, saturation or hue.
        channels: of the images.

    Raises:
        ValueError: for saturation and hue if there are not three channels.
    """
    if name in ("saturation", "hue") and channels != 3:
        raise ValueError(
            f"{name} needs 3 channels (red, green, blue), got {channels}; set {name}=0 for images without colour"
        )


def change(name: str, pixels: Tensor, amounts: Tensor, top: float) -> Tensor:
    """Change one property of floats in [0, top], without rounding.

    Args:
        name: brightness, contrast, saturation or hue.
        pixels: (N, C, H, W), floats in plain memory order; may be changed in place.
        amounts: (N,).
        top: value of white.

    Returns:
        (N, C, H, W), in [0, top].
    """
    by = a_row_each(amounts, pixels)
    if name == "brightness":
        return pixels.mul_(by).clamp_(0, top)
    if name == "hue":
        return _turned(pixels, by)
    centre = grey(pixels)
    if name == "contrast":
        # The sum of single floats would depend on how a reduction is split.
        exact = torch.float32 if pixels.device.type == "mps" else torch.float64
        centre = centre.mean((1, 2, 3), keepdim=True, dtype=exact).to(pixels.dtype)
    return pixels.sub_(centre).mul_(by).add_(centre).clamp_(0, top)


def grey(pixels: Tensor) -> Tensor:
    """Return the grey of each pixel.

    Args:
        pixels: (N, C, H, W), floats.

    Returns:
        (N, 1, H, W): BT.601's for three channels, otherwise the mean of the channels.
    """
    if pixels.shape[1] != 3:
        return pixels.mean(1, keepdim=True)
    red, green, blue = pixels.unbind(1)
    return (red * LUMA[0]).add_(green * LUMA[1]).add_(blue * LUMA[2]).unsqueeze(1)


def _turned(pixels: Tensor, turns: Tensor) -> Tensor:
    """Turn the hue without going to HSV and back.

    With the hue h in sixths of a circle, value v and chroma c of HSV, a channel is v - c * clamp(min(k, 4 - k), 0, 1)
    for k = (n + h) mod 6 and n = 5 (red), 3 (green), 1 (blue).
    """
    red, green, blue = pixels.unbind(1)
    least, value = torch.aminmax(pixels, dim=1)
    chroma = value - least
    divisor = torch.where(chroma == 0, 1, chroma)  # grey has no hue; any will do
    from_blue = (red - green).div_(divisor).add_(4)
    from_green = (blue - red).div_(divisor).add_(2)
    from_red = (green - blue).div_(divisor)
    hue = torch.where(value == red, from_red, torch.where(value == green, from_green, from_blue))
    hue += turns.view(-1, 1, 1) * 6
    turned = torch.empty_like(pixels)
    for channel, n in enumerate((5, 3, 1)):
        k = (hue + n).remainder_(6)
        share = torch.minimum(k, 4 - k).clamp_(0, 1)
        torch.sub(value, share.mul_(chroma), out=turned[:, channel])
    return turned
