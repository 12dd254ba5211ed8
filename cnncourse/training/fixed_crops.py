"""Windows of images at fixed places, and images at other scales: what a network is shown in the test.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
section 4.1. Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015,
arXiv:1409.1556, section 3.2.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.augmentation.pixels import check_images, white

__all__ = ["crop_grid", "shorter_side", "ten_crop"]


def ten_crop(images: Tensor, side: int) -> Tensor:
    """Cut the four corners and the middle out of each image and out of its mirror image.

    Krizhevsky et al. (2012), section 4.1, with 224 pixels out of 256. The order is that of
    :class:`torchvision.transforms.TenCrop`: top left, top right, bottom left, bottom right, middle, then the same
    windows of the mirrored image (of which the first is the mirror image of the top right crop).

    Args:
        images: (N, C, H, W), of any type.
        side: of the crops in pixels, in [1, min(H, W)].

    Returns:
        (N, 10, C, side, side), of the same type.

    Raises:
        ValueError: if a crop would be larger than the images.

    Book: alexnet
    """
    bottom, right = _room(images, side)
    middle = (round(bottom / 2), round(right / 2))
    return _windows(images, [(0, 0), (0, right), (bottom, 0), (bottom, right), middle], side, flip=True)


def crop_grid(images: Tensor, side: int, per_side: int = 5, *, flip: bool = True) -> Tensor:
    """Cut windows at the places of a regular grid out of each image and out of its mirror image.

    Simonyan & Zisserman (2015), section 3.2: 5 x 5 places and two flips, 50 crops a scale.

    Args:
        images: (N, C, H, W), of any type.
        side: of the crops in pixels, in [1, min(H, W)].
        per_side: places along each side, at least 1; the first touches the upper (left) edge, the last the lower
            (right) one; a single one is the middle.
        flip: cut the same windows out of the mirrored image too, behind the others.

    Returns:
        (N, M, C, side, side), of the same type; M is per_side², twice that with ``flip``; row by row.

    Raises:
        ValueError: if a crop would be larger than the images or there is no place.

    Book: vgg
    """
    if per_side < 1:
        raise ValueError(f"per_side must be at least 1, got per_side={per_side}; 1 is the middle alone")
    rows, columns = (_places(room, per_side) for room in _room(images, side))
    return _windows(images, [(row, column) for row in rows for column in columns], side, flip=flip)


def shorter_side(images: Tensor, pixels: int) -> Tensor:
    """Scale images, keeping their shape, so that the shorter side has a number of pixels.

    Args:
        images: (N, C, H, W), uint8 or float.
        pixels: wanted length of the shorter side, at least 1; the longer one is rounded.

    Returns:
        (N, C, h, w), of the same type, bilinear, smoothed where it shrinks; the images themselves if they fit.

    Raises:
        ValueError: if ``pixels`` is below 1 or the images have another type.

    Book: alexnet
    """
    check_images(images)
    if pixels < 1:
        raise ValueError(f"the shorter side must have at least 1 pixel, got pixels={pixels}")
    white(images)  # refuses other types
    height, width = images.shape[2:]
    shorter = min(height, width)
    if shorter == pixels:
        return images
    size = [round(length * pixels / shorter) for length in (height, width)]
    pixels_as = torch.float32 if images.dtype == torch.uint8 else images.dtype
    scaled = functional.interpolate(
        images.to(pixels_as), size=size, mode="bilinear", align_corners=False, antialias=True
    )
    return scaled.round().clamp(0, 255).to(torch.uint8) if images.dtype == torch.uint8 else scaled


def _room(images: Tensor, side: int) -> tuple[int, int]:
    """Return how many pixels a crop can move down and to the right."""
    check_images(images)
    height, width = images.shape[2:]
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"a crop must lie within the image, got side={side} for images of {height} x {width} pixels; cut "
            "smaller crops or scale the images up with shorter_side"
        )
    return height - side, width - side


def _places(room: int, per_side: int) -> list[int]:
    return [round(room / 2)] if per_side == 1 else [round(i * room / (per_side - 1)) for i in range(per_side)]


def _windows(images: Tensor, corners: Sequence[tuple[int, int]], side: int, *, flip: bool) -> Tensor:
    return torch.stack(
        [
            view[:, :, top : top + side, left : left + side]
            for view in (images, images.flip(3))[: 1 + flip]
            for top, left in corners
        ],
        dim=1,
    )
