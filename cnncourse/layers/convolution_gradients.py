"""The backward pass of a convolution by hand: two more convolutions.

Write the forward pass in one dimension and for one channel, y[r] = Σ_i w[i] x[s r + d i - p], and let g = ∂L/∂y.

* Each product w[i] x[u] hands the gradient g[r] of its window to x[u], times w[i]:
  ∂L/∂x[u] = Σ_i w[i] g[(u + p - d i) / s], over the i for which the division leaves no rest. That is a convolution of
  the output gradient, spread with s - 1 zeros between its numbers, with the kernel flipped and with enough padding
  that the kernel overlaps it by one number at least: a full convolution.
* It hands the same gradient to w[i], times x[u]: ∂L/∂w[i] = Σ_r g[r] x[s r + d i - p], a correlation of the input
  with the output gradient, in which stride and dilation have changed places.

Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, arXiv:1603.07285, section 4.
"""

from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from cnncourse.layers.convolution import Geometry, Pair, as_pair
from cnncourse.layers.im2col import column_blocks, convolve


def input_gradient(gradient: Tensor, weight: Tensor, size: Pair, geometry: Geometry, groups: int) -> Tensor:
    """Return the full convolution of the output gradient with the flipped kernel.

    Args:
        gradient: (N, C', H', W').
        weight: (C', C / groups, kh, kw).
        size: rows and columns of the input, (H, W).
        geometry: the windows of the forward pass.
        groups: groups of channels that do not see each other.

    Returns:
        (N, C, H, W).
    """
    batch, out_channels, rows, across = gradient.shape
    (sy, sx), (dy, dx), (kh, kw) = geometry.stride, geometry.dilation, geometry.kernel
    spread = gradient.new_zeros(batch, out_channels, sy * (rows - 1) + 1, sx * (across - 1) + 1)
    spread[:, :, ::sy, ::sx] = gradient
    # Full padding, less what the forward pass padded, whose gradient nobody wants; pixels at the end that no window
    # reached get zeros. A negative number cuts off.
    (above, left), (height, width) = geometry.padding, size
    below, right = height + above - spread.shape[2], width + left - spread.shape[3]
    full = functional.pad(spread, (dx * (kw - 1) - left, right, dy * (kh - 1) - above, below))
    # The kernel looks back: both its axes flipped, and the channels it gave are those it now reads.
    in_groups = weight.view(groups, out_channels // groups, -1, kh, kw)
    flipped = in_groups.transpose(1, 2).flatten(0, 1).flip(2, 3)
    return convolve(full, flipped, Geometry(geometry.kernel, dilation=geometry.dilation), groups)


def weight_gradient(images: Tensor, gradient: Tensor, geometry: Geometry, groups: int) -> Tensor:
    """Return the correlation of input and output gradient, summed over the images.

    As a product of matrices it is output gradient times columns transposed, with the columns of the forward pass.

    Args:
        images: (N, C, H, W).
        gradient: (N, C', H', W').
        geometry: the windows of the forward pass.
        groups: groups of channels that do not see each other.

    Returns:
        (C', C / groups, kh, kw).
    """
    out_channels, per_group = gradient.shape[1], images.shape[1] // groups
    # A sum over many images needs more digits than half precision has.
    sums = torch.promote_types(images.dtype, torch.float32)
    total = images.new_zeros(groups, out_channels // groups, per_group * prod(geometry.kernel), dtype=sums)
    gradient = gradient.contiguous()
    for some, strip, columns in column_blocks(images, geometry, groups):
        block = gradient[some, :, strip].view(len(columns), out_channels // groups, -1)
        products = torch.bmm(block, columns.transpose(1, 2))
        total += products.view(-1, *total.shape).sum(dim=0, dtype=sums)
    return total.view(out_channels, per_group, *geometry.kernel).to(images.dtype)


def conv2d_input_gradient(
    gradient: Tensor,
    weight: Tensor,
    height: int,
    width: int,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the gradient of the loss with respect to a convolution's input.

    Args:
        gradient: gradient with respect to the output, (N, C', H', W').
        weight: (C', C / groups, kh, kw).
        height: rows of the input.
        width: columns of the input.
        stride: step between windows in pixels; a pair is (rows, columns), here and below.
        padding: rows and columns of zeros around the image.
        dilation: step between the pixels that a window reads.
        groups: groups of channels that do not see each other.

    Returns:
        (N, C, H, W).

    Raises:
        ValueError: if the gradient is not that of such a convolution's output.

    Book: convolution
    """
    geometry = Geometry((weight.shape[2], weight.shape[3]), *map(as_pair, (stride, padding, dilation)))
    _check_gradient(gradient, len(weight), geometry.output_size(height, width), groups)
    return input_gradient(gradient, weight, (height, width), geometry, groups)


def conv2d_weight_gradient(
    images: Tensor,
    gradient: Tensor,
    kernel: int | Pair,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the gradient of the loss with respect to a convolution's weights.

    Args:
        images: the input, (N, C, H, W).
        gradient: gradient with respect to the output, (N, C', H', W').
        kernel: rows and columns of the kernel; one number is both, here and below.
        stride: step between windows in pixels.
        padding: rows and columns of zeros around the image.
        dilation: step between the pixels that a window reads.
        groups: groups of channels that do not see each other.

    Returns:
        (C', C / groups, kh, kw).

    Raises:
        ValueError: if the gradient is not that of such a convolution's output.

    Book: convolution
    """
    geometry = Geometry(*map(as_pair, (kernel, stride, padding, dilation)))
    channels, height, width = images.shape[1:]
    _check_gradient(gradient, gradient.shape[1], geometry.output_size(height, width), groups, len(images))
    if channels % groups:
        raise ValueError(f"groups must divide the channels read, got {groups=} with {channels}")
    return weight_gradient(images, gradient, geometry, groups)


def _check_gradient(
    gradient: Tensor, out_channels: int, size: Pair, groups: int, batch: int | None = None
) -> None:
    """Refuse a gradient that is not of the output's shape."""
    expected = (gradient.shape[0] if batch is None else batch, out_channels, *size)
    if gradient.ndim != 4 or tuple(gradient.shape) != expected:
        raise ValueError(
            f"the gradient must have the shape of the output, (N, C', H', W') = {expected}, got "
            f"{tuple(gradient.shape)}"
        )
    if groups < 1 or out_channels % groups:
        raise ValueError(f"groups must divide the output channels, got {groups=} with {out_channels}")
