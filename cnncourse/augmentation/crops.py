"""Windows of the images' own resolution, each image at its own place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.augmentation.pixels import check_images, check_rows, fill_levels, fill_values, is_channels_last
from cnncourse.augmentation.steps import BatchShape, Drawn


def crop(images: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Cut a window of one size out of each image.

    Args:
        images: (N, C, H, W), of any type.
        offsets: (N, 2), int64: first row and first column of each window.
        height: of the windows in pixels, in [1, H].
        width: of the windows in pixels, in [1, W].

    Returns:
        (N, C, height, width), a new tensor.

    Raises:
        ValueError: if a window hangs over the edge, or the shapes do not fit.
    """
    check_rows(images, offsets=offsets)
    if offsets.shape[1:] != (2,) or offsets.dtype != torch.int64:
        raise ValueError(
            f"offsets must be int64 of shape (N, 2), got {offsets.dtype} of shape {tuple(offsets.shape)}"
        )
    room = torch.tensor(images.shape[2:]) - torch.tensor([height, width])
    if height < 1 or width < 1 or bool((room < 0).any()):
        raise ValueError(
            f"the window must lie within the image, got {height} x {width} pixels for images of "
            f"{images.shape[2]} x {images.shape[3]}"
        )
    corners = offsets.cpu()
    if bool(((corners < 0) | (corners > room)).any()):
        raise ValueError(
            f"offsets must lie in [0, {room[0]}] and [0, {room[1]}] for windows of {height} x {width} pixels "
            f"in images of {images.shape[2]} x {images.shape[3]}, got offsets from {corners.amin(0).tolist()} to "
            f"{corners.amax(0).tolist()}"
        )
    by = _crop_by_lines if images.device.type == "cpu" else _crop_by_view
    return by(images, corners, height, width)


def _crop_by_lines(images: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Copy line by line: each line of a window is one stretch of memory. The fast way on a CPU."""
    count, channels, full_height, full_width = images.shape
    if count == 0:
        return images.new_empty(0, channels, height, width)
    channels_last = is_channels_last(images)
    planes, step = (1, channels) if channels_last else (channels, 1)
    dense = images if channels_last else images.contiguous()
    stretch = width * step
    stretches = dense.as_strided(
        (dense.numel() - stretch + 1, stretch), (1, 1)
    )  # all of them, overlapping: a view
    plane = full_height * full_width * step
    corners = torch.arange(count) * (planes * plane) + (offsets[:, 0] * full_width + offsets[:, 1]) * step
    starts = (
        corners.view(-1, 1, 1)
        + torch.arange(planes).view(-1, 1) * plane
        + torch.arange(height) * (full_width * step)
    )
    lines = stretches.index_select(0, starts.flatten())
    if channels_last:
        return lines.view(count, height, width, channels).permute(0, 3, 1, 2)
    return lines.view(count, channels, height, width)


def _crop_by_view(images: Tensor, offsets: Tensor, height: int, width: int) -> Tensor:
    """Index a view of all windows: one kernel on an accelerator."""
    rows, columns = offsets.to(images.device, non_blocking=True).unbind(1)
    numbers = torch.arange(len(images), device=images.device)
    if is_channels_last(images):
        views = (
            images.permute(0, 2, 3, 1).unfold(1, height, 1).unfold(2, width, 1)
        )  # (N, ., ., C, height, width)
        windows = views.permute(0, 1, 2, 4, 5, 3)[numbers, rows, columns]
        return windows.permute(0, 3, 1, 2)
    return images.unfold(2, height, 1).unfold(3, width, 1)[numbers, :, rows, columns]


def frame(
    images: Tensor,
    padding: int,
    *,
    mode: Literal["constant", "reflect"] = "constant",
    fill: float | Sequence[float] = 0,
) -> Tensor:
    """Put a frame around each image.

    Args:
        images: (N, C, H, W), of any type.
        padding: width of the frame in pixels, at least 0; below min(H, W) for ``"reflect"``.
        mode: a plain frame, or the image mirrored about its outermost pixels (which are not repeated).
        fill: value of a plain frame, one or one a channel, in the units of the images.

    Returns:
        (N, C, H + 2 padding, W + 2 padding), a new tensor.

    Raises:
        ValueError: if the mirror image does not reach, or ``fill`` does not fit.
    """
    check_images(images)
    height, width = images.shape[2:]
    if mode == "reflect":
        if padding >= min(height, width):
            raise ValueError(
                f"padding must be below height and width to mirror, got padding={padding} for images of "
                f"{height} x {width}; use mode='constant'"
            )
        if is_channels_last(images):  # padding would fall back to plain memory order
            rows, columns = (_mirrored(side, padding).to(images.device) for side in (height, width))
            framed = images.permute(0, 2, 3, 1).index_select(1, rows).index_select(2, columns)
            return framed.permute(0, 3, 1, 2)
        return functional.pad(images, [padding] * 4, mode="reflect")
    values = fill_values(fill, images)
    if len(values) > 1:
        form = torch.channels_last if is_channels_last(images) else torch.contiguous_format
        shape = (*images.shape[:2], height + 2 * padding, width + 2 * padding)
        framed = torch.empty(shape, dtype=images.dtype, device=images.device, memory_format=form)
        framed.copy_(fill_levels(values, images))
        framed[:, :, padding : padding + height, padding : padding + width] = images
        return framed
    return functional.pad(images, [padding] * 4, value=values[0])


def _mirrored(side: int, padding: int) -> Tensor:
    """Return which line of an image each line of its mirrored frame repeats."""
    lines = torch.arange(-padding, side + padding).abs()
    return torch.where(lines < side, lines, 2 * (side - 1) - lines)


@dataclass(frozen=True)
class PadCrop:
    """Put a frame around each image and cut a window of the old size out of it: a shift by whole pixels.

    He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016, section 4.2, arXiv:1512.03385
    (4 pixels for CIFAR-10). Differs from the paper: the frame has the value ``fill`` of the images as they come, black
    before normalisation; the paper pads after the mean was taken off, which ``fill`` at the mean gives. Mirrored frames
    are those of Jordan, arXiv:2404.00498.
    """

    padding: int
    """Width of the frame and largest shift in pixels, at least 1."""
    fill: float | tuple[float, ...] = 0
    """Value of the frame, one or one a channel, in the units of the images; 0 with ``"reflect"``."""
    mode: Literal["constant", "reflect"] = "constant"
    """A frame of one value, or the image mirrored about its outermost pixels."""

    def __post_init__(self) -> None:
        if self.padding < 1:
            raise ValueError(
                f"padding must be at least 1, got padding={self.padding}; leave PadCrop out for no shift"
            )
        if self.mode not in ("constant", "reflect"):
            raise ValueError(f"mode must be 'constant' or 'reflect', got mode={self.mode!r}")
        if self.mode == "reflect" and self.fill != 0:
            raise ValueError(f"a mirrored frame has no fill, got mode='reflect' with fill={self.fill}")

    def draw(self, shape: BatchShape, generator: torch.Generator) -> Drawn:
        """Draw a shift for each image, evenly among all whole pixels.

        Args:
            shape: of the batch.
            generator: source of randomness, on the CPU.

        Returns:
            ``offsets``: (N, 2), int64 in [0, 2 padding]: row and column of the framed image where the window begins.
            The image moves down and right by ``padding - offsets``.
        """
        shifts = torch.randint(-self.padding, self.padding + 1, (shape.count, 2), generator=generator)
        return {"offsets": self.padding - shifts}

    def apply(self, images: Tensor, drawn: Drawn) -> Tensor:
        """Frame and cut; see :func:`frame` and :func:`crop`.

        Args:
            images: (N, C, H, W), of any type.
            drawn: from :meth:`draw`.

        Returns:
            (N, C, H, W).
        """
        check_images(images)
        framed = frame(images, self.padding, mode=self.mode, fill=self.fill)
        return crop(framed, drawn["offsets"], *images.shape[2:])
