"""Convolution as a product of two matrices: copy each window into a column, then multiply.

A product of matrices is the operation that processors do best, and im2col turns a convolution into one. Its price is
memory: with a k x k kernel each pixel is copied k² times. Chellapilla, Puri & Simard, "High Performance Convolutional
Neural Networks for Document Processing", 2006, section 3. So the columns are made a few images at a time, in a buffer
that is used again and stays in the processor's cache.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from cnncourse.layers.convolution import Geometry, Pair, as_pair

BUFFER_BYTES = 5 * 2**20
"""Room for columns: few enough to stay in a processor's cache until they are multiplied, several images at once."""


def windows(images: Tensor, geometry: Geometry) -> Tensor:
    """Return a view (N, C, kh, kw, H', W') of padded images: entry (i, j) of the window at each (r, q).

    Nothing is copied but the border: two neighbouring windows share their pixels, so a step along the kernel and a
    step along the windows are both steps through the same memory.
    """
    rows, columns = geometry.output_size(images.shape[2], images.shape[3])
    padded = geometry.pad(images)
    image, channel, row, pixel = padded.stride()
    (sy, sx), (dy, dx) = geometry.stride, geometry.dilation
    return padded.as_strided(
        (len(images), images.shape[1], *geometry.kernel, rows, columns),
        (image, channel, dy * row, dx * pixel, sy * row, sx * pixel),
    )


def im2col(
    images: Tensor,
    kernel: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Copy each window of the images into a column of a matrix.

    Args:
        images: (N, C, H, W).
        kernel: rows and columns of the windows; one number is both, here and below.
        stride: step between windows in pixels, at least 1.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.

    Returns:
        (N, C · kh · kw, H' · W'), as ``torch.nn.Unfold`` arranges it.

    Raises:
        ValueError: if images are none, or no window fits.

    Book: convolution
    """
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, C, H, W), got {tuple(images.shape)}")
    geometry = Geometry(*map(as_pair, (kernel, stride, padding, dilation)))
    return windows(images, geometry).flatten(4, 5).flatten(1, 3)


def col2im(
    columns: Tensor,
    height: int,
    width: int,
    kernel: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
) -> Tensor:
    """Add each column back to the pixels it was copied from: the transpose of :func:`im2col`.

    Args:
        columns: (N, C · kh · kw, H' · W').
        height: rows of the images.
        width: columns of the images.
        kernel: rows and columns of the windows; one number is both, here and below.
        stride: step between windows in pixels, at least 1.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.

    Returns:
        (N, C, H, W): each pixel holds the sum over the windows that read it. Not the inverse of im2col.

    Raises:
        ValueError: if the columns are not those of such images.
    """
    geometry = Geometry(*map(as_pair, (kernel, stride, padding, dilation)))
    rows, across = geometry.output_size(height, width)
    (kh, kw), (sy, sx), (dy, dx) = geometry.kernel, geometry.stride, geometry.dilation
    if columns.ndim != 3 or columns.shape[1] % (kh * kw) or columns.shape[2] != rows * across:
        raise ValueError(
            f"columns of {height} x {width} images must have shape (N, C * {kh * kw}, {rows * across}), got "
            f"{tuple(columns.shape)}"
        )
    pieces = columns.reshape(len(columns), -1, kh, kw, rows, across)
    above, left = geometry.padding
    padded = columns.new_zeros(len(columns), pieces.shape[1], height + 2 * above, width + 2 * left)
    for i in range(kh):
        for j in range(kw):
            down = slice(dy * i, dy * i + sy * (rows - 1) + 1, sy)
            right = slice(dx * j, dx * j + sx * (across - 1) + 1, sx)
            padded[:, :, down, right] += pieces[:, :, i, j]
    return padded[:, :, above : above + height, left : left + width]


def _blocks(images: int, rows: int, row_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Cut a batch into images and rows whose columns fit into the buffer: whole images where they do."""
    images_at_once = max(1, BUFFER_BYTES // (rows * row_bytes))
    rows_at_once = min(rows, max(1, BUFFER_BYTES // row_bytes))
    for n in range(0, images, images_at_once):
        for r in range(0, rows, rows_at_once):
            yield slice(n, min(n + images_at_once, images)), slice(r, min(r + rows_at_once, rows))


def column_blocks(images: Tensor, geometry: Geometry, groups: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Make the columns of a batch piece by piece, always in the same buffer.

    Args:
        images: (N, C, H, W).
        geometry: the windows.
        groups: groups of channels, which divide C.

    Yields:
        Some images n, some rows r, and their columns (n · groups, C / groups · kh · kw, r · W'), valid until the
        next step.
    """
    view = windows(images.contiguous(), geometry)
    batch, channels, kh, kw, rows, across = view.shape
    buffer: Tensor | None = None
    for some, strip in _blocks(batch, rows, channels * kh * kw * across * images.element_size()):
        block = view[some, ..., strip, :]
        if buffer is None:
            buffer = images.new_empty(block.numel())  # the first block is the largest
        columns = buffer[: block.numel()].view(block.shape)
        columns.copy_(block)
        yield some, strip, columns.view(len(block) * groups, channels // groups * kh * kw, -1)


def convolve(images: Tensor, weight: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """Multiply the weights with the columns, each product written straight to its place in the output.

    Args:
        images: (N, C, H, W).
        weight: (C', C / groups, kh, kw), which fits the images and the geometry.
        geometry: the windows.
        groups: groups of channels that do not see each other.

    Returns:
        (N, C', H', W'), without a gradient.
    """
    rows, across = geometry.output_size(images.shape[2], images.shape[3])
    out_channels = len(weight)
    output = images.new_empty(len(images), out_channels, rows, across)
    matrix = weight.reshape(1, groups, out_channels // groups, -1)
    for some, strip, columns in column_blocks(images, geometry, groups):
        place = output[some, :, strip].view(len(columns), out_channels // groups, -1)
        # One product for each image and group. Without groups this repeats the weights without copying them.
        repeated = matrix.expand(len(columns) // groups, -1, -1, -1).reshape(len(columns), *matrix.shape[2:])
        torch.bmm(repeated, columns, out=place)
    return output
