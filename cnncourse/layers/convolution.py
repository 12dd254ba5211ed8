"""Convolution from its definition: where the windows lie, how many there are, and the sum in each.

What deep learning calls a convolution is a cross-correlation: the kernel is not flipped,

    y[n, o, r, q] = b[o] + Σ_c Σ_i Σ_j  w[o, c, i, j] · x[n, c, s r + d i - p, s q + d j - p]

with stride s, dilation d and padding p; outside the image x is 0. With G groups the output channels of group g
see the input channels of group g only, and c runs over C / G of them.
Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016, arXiv:1603.07285.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

Pair = tuple[int, int]


def conv_output_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return how many windows fit along one side of an image.

    Dumoulin & Visin (2016), relationships 6 and 13: floor((size + 2 padding - span) / stride) + 1, where a kernel
    of k numbers with dilation d spans d (k - 1) + 1 pixels.

    Args:
        size: pixels along the side, at least 1.
        kernel: numbers of the kernel along the side, at least 1.
        stride: step between windows in pixels, at least 1.
        padding: zeros added at each of the two ends, at least 0.
        dilation: step between the pixels that a window reads, at least 1.

    Returns:
        The number of windows, at least 1.

    Raises:
        ValueError: if a number is out of its range, or no window fits.

    Book: convolution
    """
    if min(size, kernel, stride, dilation) < 1 or padding < 0:
        raise ValueError(
            "size, kernel, stride and dilation must be at least 1 and padding at least 0, got "
            f"{size=}, {kernel=}, {stride=}, {padding=}, {dilation=}"
        )
    span = dilation * (kernel - 1) + 1
    if span > size + 2 * padding:
        raise ValueError(
            f"a window must fit into the padded image, got a span of {span} pixels ({kernel=}, {dilation=}) and "
            f"{size + 2 * padding} pixels ({size=}, {padding=}); pad more or choose a smaller kernel"
        )
    return (size + 2 * padding - span) // stride + 1


def as_pair(number: int | Pair) -> Pair:
    """Return (rows, columns) of a setting that may be given as one number for both."""
    return (number, number) if isinstance(number, int) else number


@dataclass(frozen=True)
class Geometry:
    """Which pixels each window of a convolution reads; every pair is (along the rows, along the columns)."""

    kernel: Pair
    """Rows and columns of the kernel."""
    stride: Pair = (1, 1)
    """Steps between windows in pixels."""
    padding: Pair = (0, 0)
    """Zeros added above and below, and to the left and to the right."""
    dilation: Pair = (1, 1)
    """Steps between the pixels that a window reads."""

    def __post_init__(self) -> None:
        """Refuse what is no geometry."""
        if min(*self.kernel, *self.stride, *self.dilation) < 1 or min(self.padding) < 0:
            raise ValueError(
                "kernel, stride and dilation must be at least 1 and padding at least 0, got "
                f"kernel={self.kernel}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
            )

    def output_size(self, height: int, width: int) -> Pair:
        """Return the rows and columns of windows in an image; see :func:`conv_output_size`."""
        rows, columns = zip(self.kernel, self.stride, self.padding, self.dilation, strict=True)
        return conv_output_size(height, *rows), conv_output_size(width, *columns)

    def pad(self, images: Tensor) -> Tensor:
        """Return the images with their border of zeros, (N, C, H + 2 p, W + 2 p)."""
        if self.padding == (0, 0):
            return images
        above, left = self.padding
        return functional.pad(images, (left, left, above, above))


def checked_geometry(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    *,
    stride: int | Pair,
    padding: int | Pair,
    dilation: int | Pair,
    groups: int,
) -> Geometry:
    """Return the geometry of a convolution whose arguments fit together.

    Args:
        images: (N, C, H, W).
        weight: (C', C / groups, kh, kw).
        bias: (C',) or none.
        stride: step between windows in pixels.
        padding: zeros around the image.
        dilation: step between the pixels that a window reads.
        groups: groups of channels that do not see each other.

    Returns:
        The geometry, with the kernel's size read off the weights.

    Raises:
        ValueError: if they do not.
    """
    if images.ndim != 4 or weight.ndim != 4:
        raise ValueError(
            "images must have shape (N, C, H, W) and weights (C', C / groups, kh, kw), got "
            f"{tuple(images.shape)} and {tuple(weight.shape)}"
        )
    in_channels, out_channels = images.shape[1], weight.shape[0]
    if groups < 1 or in_channels % groups or out_channels % groups:
        raise ValueError(
            f"groups must divide the channels on both sides, got {groups=} with {in_channels} channels read and "
            f"{out_channels} given"
        )
    if weight.shape[1] * groups != in_channels:
        raise ValueError(
            f"weights of shape {tuple(weight.shape)} with {groups=} read {weight.shape[1] * groups} channels, got "
            f"images of shape {tuple(images.shape)} with {in_channels}"
        )
    if bias is not None and bias.shape != (out_channels,):
        raise ValueError(f"the bias must have shape ({out_channels},), got {tuple(bias.shape)}")
    dtypes = {tensor.dtype for tensor in (images, weight, bias) if tensor is not None}
    if len(dtypes) > 1:
        raise ValueError(
            f"images, weights and bias must have one type, got {', '.join(sorted(map(str, dtypes)))}; convert with .to"
        )
    geometry = Geometry((weight.shape[2], weight.shape[3]), *map(as_pair, (stride, padding, dilation)))
    geometry.output_size(images.shape[2], images.shape[3])
    return geometry


class _Loops(torch.autograd.Function):
    """The definition, forwards and backwards, one product after another."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, geometry: Geometry, groups: int) -> Tensor:
        """Add up w · x in each window."""
        ctx.save_for_backward(images, weight)
        ctx.setting = geometry, groups
        x = geometry.pad(images).detach().double().numpy()
        w = weight.detach().double().numpy()
        (out_channels, per_group, kernel_rows, kernel_columns), (sy, sx) = w.shape, geometry.stride
        dy, dx = geometry.dilation
        rows, columns = geometry.output_size(images.shape[2], images.shape[3])
        y = np.zeros((len(x), out_channels, rows, columns))
        for n in range(len(x)):
            for o in range(out_channels):
                first = o // (out_channels // groups) * per_group  # the first channel of the group
                for r in range(rows):
                    for q in range(columns):
                        total = 0.0
                        for c in range(per_group):
                            for i in range(kernel_rows):
                                for j in range(kernel_columns):
                                    total += w[o, c, i, j] * x[n, first + c, sy * r + dy * i, sx * q + dx * j]
                        y[n, o, r, q] = total
        return torch.from_numpy(y).to(images.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None, None]:
        """Walk the same products: each hands the gradient of its window to x, times w, and to w, times x."""
        images, weight = ctx.saved_tensors
        geometry, groups = ctx.setting
        x = geometry.pad(images).detach().double().numpy()
        w = weight.detach().double().numpy()
        g = gradient.double().numpy()
        (out_channels, per_group, kernel_rows, kernel_columns), (sy, sx) = w.shape, geometry.stride
        dy, dx = geometry.dilation
        to_x, to_w = np.zeros_like(x), np.zeros_like(w)
        for n, o, r, q in np.ndindex(*g.shape):
            first = o // (out_channels // groups) * per_group
            for c in range(per_group):
                for i in range(kernel_rows):
                    for j in range(kernel_columns):
                        pixel = (n, first + c, sy * r + dy * i, sx * q + dx * j)
                        to_x[pixel] += w[o, c, i, j] * g[n, o, r, q]
                        to_w[o, c, i, j] += x[pixel] * g[n, o, r, q]
        (above, left), (height, width) = geometry.padding, images.shape[2:]
        to_x = to_x[:, :, above : above + height, left : left + width]  # what reached the border is lost
        return torch.from_numpy(to_x).to(images), torch.from_numpy(to_w).to(weight), None, None


def conv2d_loops(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve with seven nested loops: the definition, for tiny images.

    Sums are kept in double precision. The gradient, also in loops, is written beside it.

    Args:
        images: (N, C, H, W) on the CPU.
        weight: (C', C / groups, kh, kw).
        bias: (C',) or none.
        stride: step between windows in pixels, at least 1; a pair is (rows, columns), here and below.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides C and C'.

    Returns:
        (N, C', H', W') with H' from :func:`conv_output_size`.

    Raises:
        ValueError: if the shapes do not fit together or no window fits into the image.

    Book: convolution
    """
    geometry = checked_geometry(
        images, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    output: Tensor = _Loops.apply(images, weight, geometry, groups)
    return output if bias is None else output + bias.view(-1, 1, 1)


def conv1d_loops(
    signals: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve along a line: the two-dimensional loops on an image of one row.

    Args:
        signals: (N, C, L) on the CPU.
        weight: (C', C / groups, k).
        bias: (C',) or none.
        stride: step between windows, at least 1.
        padding: zeros added at each end, at least 0.
        dilation: step between the values that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides C and C'.

    Returns:
        (N, C', L') with L' from :func:`conv_output_size`.

    Raises:
        ValueError: if the shapes do not fit together or no window fits.
    """
    if signals.ndim != 3 or weight.ndim != 3:
        raise ValueError(
            "signals must have shape (N, C, L) and weights (C', C / groups, k), got "
            f"{tuple(signals.shape)} and {tuple(weight.shape)}"
        )
    return conv2d_loops(
        signals.unsqueeze(2),
        weight.unsqueeze(2),
        bias,
        stride=(1, stride),
        padding=(0, padding),
        dilation=(1, dilation),
        groups=groups,
    ).squeeze(2)
