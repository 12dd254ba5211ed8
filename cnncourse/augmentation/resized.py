"""Windows of any size and shape, brought to one size."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.augmentation.pixels import back_to, check_rows, is_channels_last, white, working_copy
from cnncourse.augmentation.steps import BatchShape, Drawn, resized

TRIES = 10
"""Draws of area and shape for an image before the largest centred window is taken."""


def resized_crop(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Cut a box of its own out of each image and resize all to one square.

    The resizing is linear between pixel centres and **antialiased**: a box that shrinks is averaged by a triangle as
    wide as two output pixels, as Pillow does; one that grows is interpolated. Nothing outside the box is looked at.

    On a CPU the images are resized one after another by PyTorch's kernel for bytes, which is faster than a batched
    product at every size; uint8 results are then those of ``torchvision.transforms.v2.functional.resized_crop``, up to
    one level from the exact value, as the kernel rounds twice. On an accelerator the whole batch is two products of
    matrices, rounded once.

    Args:
        images: (N, C, H, W), uint8 or float.
        boxes: (N, 4), int64: first row, first column, height and width.
        side: height and width of the result in pixels, at least 1.

    Returns:
        (N, C, side, side), a new tensor of the same type.

    Raises:
        ValueError: if a box is empty or hangs over the edge, or types or shapes do not fit.
    """
    check_rows(images, boxes=boxes)
    white(images)
    if boxes.shape[1:] != (4,) or boxes.is_floating_point():
        raise ValueError(
            f"boxes must be whole numbers of shape (N, 4), got {boxes.dtype} of shape {tuple(boxes.shape)}"
        )
    corners = boxes.cpu()
    ends = corners[:, :2] + corners[:, 2:]
    outside = (corners[:, :2] < 0).any(1) | (corners[:, 2:] < 1).any(1)
    outside |= (ends > torch.tensor(images.shape[2:])).any(1)
    if bool(outside.any()):
        worst = corners[outside][0].tolist()
        raise ValueError(
            "boxes (first row, first column, height, width) must have pixels and lie within the image, got "
            f"{worst} for images of {images.shape[2]} x {images.shape[3]}"
        )
    if side < 1:
        raise ValueError(f"side must be at least 1, got side={side}")
    by = _resize_each if images.device.type == "cpu" else _resize_together
    return by(images, corners, side)


def _resize_each(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Resize with PyTorch's kernel, image by image."""
    pixels = images if images.dtype in (torch.uint8, torch.float32, torch.float64) else images.float()
    windows = [
        functional.interpolate(
            pixels[number : number + 1, :, top : top + height, left : left + width],
            size=(side, side),
            mode="bilinear",
            antialias=True,
        )
        for number, (top, left, height, width) in enumerate(boxes.tolist())
    ]
    form = torch.channels_last if is_channels_last(images) else torch.contiguous_format
    whole = torch.cat(windows) if windows else pixels.new_empty(0, images.shape[1], side, side)
    return whole.to(images.dtype).contiguous(memory_format=form)


def _resize_together(images: Tensor, boxes: Tensor, side: int) -> Tensor:
    """Resize with two products of matrices: along the columns, then along the rows."""
    pixels = working_copy(images)
    count, channels, height, width = pixels.shape
    top, left, box_height, box_width = boxes.to(images.device, pixels.dtype, non_blocking=True).unbind(1)
    across = _triangles(left, box_width, width, side)  # (N, side, W)
    down = _triangles(top, box_height, height, side)  # (N, side, H)
    narrow = torch.bmm(pixels.view(count, channels * height, width), across.transpose(1, 2))
    return back_to(images, down[:, None] @ narrow.view(count, channels, height, side))


def _triangles(start: Tensor, length: Tensor, full_length: int, side: int) -> Tensor:
    """Return the weights, (N, side, full_length), with which pixels of a box make pixels of the result."""
    scale = (length / side).view(-1, 1, 1)
    half_base = scale.clamp(min=1)
    outputs = torch.arange(side, dtype=start.dtype, device=start.device).view(-1, 1)
    inputs = torch.arange(full_length, dtype=start.dtype, device=start.device)
    within = inputs - start.view(-1, 1, 1)  # position of a pixel in its box
    distance = (within + 0.5 - (outputs + 0.5) * scale).abs()
    weights = (1 - distance / half_base).clamp_(min=0)
    weights = weights * ((within >= 0) & (within < length.view(-1, 1, 1)))
    return weights / weights.sum(2, keepdim=True)


def draw_boxes(
    shape: BatchShape,
    scale: tuple[float, float],
    ratio: tuple[float, float],
    generator: torch.Generator,
) -> Tensor:
    """Draw a box for each image: an area, then a shape, then a place.

    Area and shape are drawn up to ten times until the box fits into the image; after that the largest centred window
    that keeps the limits of the shape is taken. The same number of values is drawn for every image, whichever try fits.

    Args:
        shape: of the batch.
        scale: least and largest area as a share of the image, drawn evenly.
        ratio: least and largest width over height, drawn evenly on a logarithmic scale.
        generator: source of randomness, on the CPU.

    Returns:
        (N, 4), int64: first row, first column, height and width.
    """
    full_height, full_width = shape.height, shape.width
    # NumPy for the arithmetic: for a single image its calls cost a third of PyTorch's.
    even = torch.rand(shape.count, 2 * TRIES + 2, dtype=torch.float64, generator=generator).numpy()
    areas = full_height * full_width * (scale[0] + (scale[1] - scale[0]) * even[:, :TRIES])
    shapes = ratio[0] * (ratio[1] / ratio[0]) ** even[:, TRIES : 2 * TRIES]
    heights, widths = np.rint(np.sqrt(areas / shapes)), np.rint(np.sqrt(areas * shapes))
    fits = (heights >= 1) & (heights <= full_height) & (widths >= 1) & (widths <= full_width)
    rows, first = np.arange(shape.count), fits.argmax(1)
    found = fits[rows, first]
    last_resort = _largest_centred(full_height, full_width, ratio)
    height = np.where(found, heights[rows, first], last_resort[0])
    width = np.where(found, widths[rows, first], last_resort[1])
    room = np.stack([full_height - height, full_width - width], 1)
    corner = np.where(found[:, None], (room + 1) * even[:, 2 * TRIES :], room / 2)
    boxes = np.concatenate([np.floor(corner), height[:, None], width[:, None]], 1)
    return torch.from_numpy(boxes.astype(np.int64))


def _largest_centred(height: int, width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """Return height and width of the largest window whose shape is within the limits."""
    if width / height < ratio[0]:
        return max(1, round(width / ratio[0])), width
    if width / height > ratio[1]:
        return height, max(1, round(height * ratio[1]))
    return height, width


@dataclass(frozen=True)
class RandomResizedCrop:
    """Cut a box of random area, shape and place out of each image and resize it to a square.

    Szegedy et al., "Going deeper with convolutions", CVPR 2015, section 6, arXiv:1409.4842.
    Differs from the paper: the shape is drawn evenly on a logarithmic scale, so that upright and lying boxes are
    equally likely (the paper gives the limits only), and the resizing is always linear and antialiased, where
    the paper's later networks drew the interpolation too.
    """

    side: int
    """Height and width of the result in pixels, at least 1."""
    scale: tuple[float, float] = (0.08, 1.0)
    """Least and largest area of the box as a share of the image, 0 < least <= largest <= 1."""
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    """Least and largest width over height of the box, 0 < least <= largest."""

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side must be at least 1, got side={self.side}")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(
                f"scale must be a pair of shares with 0 < least <= largest <= 1, got scale={self.scale}"
            )
        if len(self.ratio) != 2 or not 0 < self.ratio[0] <= self.ratio[1] < math.inf:
            raise ValueError(
                f"ratio must be a pair of numbers with 0 < least <= largest, got ratio={self.ratio}"
            )

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw a box for each image; see :func:`draw_boxes`.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``boxes``: (N, 4), int64: first row, first column, height and width.
        """
        return {"boxes": draw_boxes(shape, self.scale, self.ratio, generator)}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Cut and resize; see :func:`resized_crop`.

        Args:
            images: (N, C, H, W), uint8 or float.
            drawn: from :meth:`draw`.

        Returns:
            (N, C, side, side).
        """
        return resized_crop(images, drawn["boxes"], self.side)

    def output_shape(self, shape: BatchShape) -> BatchShape:
        """Return the shape after the step.

        Args:
            shape: before the step.

        Returns:
            The same batch of squares.
        """
        return resized(shape, self.side)
