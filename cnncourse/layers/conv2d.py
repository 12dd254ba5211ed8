"""The convolution of this course as an operation with its own backward pass, and as a layer."""

from math import prod, sqrt
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from cnncourse.layers.convolution import Geometry, Pair, as_pair, checked_geometry
from cnncourse.layers.convolution_gradients import input_gradient, weight_gradient
from cnncourse.layers.im2col import convolve


class _Im2ColConvolution(torch.autograd.Function):
    """Forward by im2col; backward by the two convolutions of ``convolution_gradients``."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, geometry: Geometry, groups: int) -> Tensor:
        """Keep what the backward pass reads: the input and the weights, not the columns."""
        ctx.save_for_backward(images, weight)
        ctx.setting = geometry, groups
        return convolve(images, weight, geometry, groups)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Compute only what somebody asked for: the first layer of a network needs no input gradient."""
        images, weight = ctx.saved_tensors
        to_images = to_weight = None
        if ctx.needs_input_grad[0]:
            size = (images.shape[2], images.shape[3])
            to_images = input_gradient(gradient, weight, size, *ctx.setting)
        if ctx.needs_input_grad[1]:
            to_weight = weight_gradient(images, gradient, *ctx.setting)
        return to_images, to_weight, None, None


def conv2d_im2col(
    images: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: int | Pair = 1,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Convolve by im2col and products of matrices, with the gradients written by hand.

    Agrees with ``torch.nn.functional.conv2d`` in value and gradient. It can be differentiated once.

    Args:
        images: (N, C, H, W), floating point, in any memory format.
        weight: (C', C / groups, kh, kw), of the same type.
        bias: (C',) or none.
        stride: step between windows in pixels, at least 1; a pair is (rows, columns), here and below.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides C and C'.

    Returns:
        (N, C', H', W'), contiguous, with H' from :func:`conv_output_size`.

    Raises:
        ValueError: if the shapes do not fit together or no window fits into the image.

    Book: convolution
    """
    geometry = checked_geometry(
        images, weight, bias, stride=stride, padding=padding, dilation=dilation, groups=groups
    )
    output: Tensor = _Im2ColConvolution.apply(images, weight, geometry, groups)
    return output if bias is None else output.add_(bias.view(-1, 1, 1))


class Conv2d(nn.Module):
    """A convolution as a layer; see :func:`conv2d_im2col`.

    Its state dict is that of ``torch.nn.Conv2d``, and so are its initial weights: uniform in ±1 / √fan_in.

    Args:
        in_channels: channels read.
        out_channels: channels given.
        kernel_size: rows and columns of the kernel; one number is both, here and below.
        stride: step between windows in pixels, at least 1.
        padding: rows and columns of zeros around the image, at least 0.
        dilation: step between the pixels that a window reads, at least 1.
        groups: groups of channels that do not see each other; divides both numbers of channels.
        bias: whether a number is added to each output channel.
        generator: source of the initial weights; torch's global one if none is given.

    Raises:
        ValueError: if a number is out of its range or groups do not divide the channels.

    Book: convolution
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        *,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        geometry = Geometry(*map(as_pair, (kernel_size, stride, padding, dilation)))
        if groups < 1 or in_channels < 1 or in_channels % groups or out_channels < 1 or out_channels % groups:
            raise ValueError(
                f"groups must divide the channels on both sides, got {groups=} with {in_channels=} and {out_channels=}"
            )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = geometry.kernel, geometry.stride
        self.padding, self.dilation = geometry.padding, geometry.dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        bound = 1 / sqrt(in_channels // groups * prod(self.kernel_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound, generator=generator)

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W) as (N, C', H', W')."""
        return conv2d_im2col(
            images,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        """Return the setting for ``print(model)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={self.bias is not None}"
        )
