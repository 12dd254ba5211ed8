"""A square of each image is covered."""

from dataclasses import dataclass

import torch
from torch import Tensor

from cnncourse.augmentation.pixels import check_rows, choose, fill_levels
from cnncourse.augmentation.steps import BatchShape, Drawn


def inside(boxes: Tensor, height: int, width: int) -> Tensor:
    """Say which pixels lie in a box; boxes may hang over the edge.

    Args:
        boxes: (N, 4), int64: first row, first column, height and width.
        height: of the images in pixels.
        width: of the images in pixels.

    Returns:
        (N, 1, height, width), bool, on the boxes' device.
    """
    top, left, box_height, box_width = boxes.unsqueeze(2).unbind(1)
    rows, columns = (torch.arange(side, device=boxes.device) for side in (height, width))
    in_rows = (rows >= top) & (rows < top + box_height)
    in_columns = (columns >= left) & (columns < left + box_width)
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def cover(images: Tensor, boxes: Tensor, fill: float | tuple[float, ...] = 0) -> Tensor:
    """Cover a box of its own in each image.

    Args:
        images: (N, C, H, W), of any type.
        boxes: (N, 4), int64: first row, first column, height and width; may hang over the edge.
        fill: value of the box, one or one a channel, in the units of the images.

    Returns:
        (N, C, H, W), a new tensor.

    Raises:
        ValueError: if shapes or ``fill`` do not fit.
    """
    check_rows(images, boxes=boxes)
    if boxes.shape[1:] != (4,):
        raise ValueError(f"boxes must be of shape (N, 4), got {tuple(boxes.shape)}")
    covered = inside(boxes, *images.shape[2:]).to(images.device, non_blocking=True)
    return choose(covered, fill_levels(fill, images), images)


@dataclass(frozen=True)
class Cutout:
    """Cover a square at a random place of each image; it may hang over the edge.

    DeVries & Taylor, "Improved regularization of convolutional neural networks with cutout", 2017, section 3.2,
    arXiv:1708.04552. Differs from the paper: the square has the value ``fill`` of the images as they come, black before
    normalisation; the paper's 0 after normalisation is ``fill`` at the mean. A square of odd side covers that side,
    where the paper's code covers a pixel less.
    """

    side: int
    """Height and width of the square in pixels, at least 1; 16 for CIFAR-10 and 8 for CIFAR-100 in the paper."""
    fill: float | tuple[float, ...] = 0
    """Value of the square, one or one a channel, in the units of the images."""

    def __post_init__(self) -> None:
        if self.side < 1:
            raise ValueError(f"side must be at least 1, got side={self.side}; leave Cutout out for no square")

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw the pixel at the centre of each square, evenly among all pixels.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``centres``: (N, 2), int64: row and column. A square of even side begins ``side / 2`` before its centre.
        """
        rows = torch.randint(shape.height, (shape.count,), generator=generator)
        columns = torch.randint(shape.width, (shape.count,), generator=generator)
        return {"centres": torch.stack([rows, columns], 1)}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Cover the squares; see :func:`cover`.

        Args:
            images: (N, C, H, W), of any type.
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W).
        """
        centres = drawn["centres"]
        return cover(
            images, torch.cat([centres - self.side // 2, torch.full_like(centres, self.side)], 1), self.fill
        )
