"""Convolution, batch norm, activation: the three layers most networks since 2015 are made of."""

from torch import Tensor, nn
from torch.nn import functional


class SameConv2d(nn.Conv2d):
    """A convolution whose output has ceil(side / stride) rows and columns, padded as TensorFlow does.

    With stride 2 and an even side the number of padded rows is odd, and the larger part goes below and to
    the right; an ordinary symmetric padding sees the image one pixel further up. Weights trained with one
    lose accuracy with the other.

    The arguments are those of ``torch.nn.Conv2d`` without ``padding``.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return the convolution of (N, C, H, W) as (N, C', ceil(H / stride), ceil(W / stride))."""
        borders: list[int] = []
        for side, kernel, stride, dilation in zip(
            images.shape[:1:-1], self.kernel_size[::-1], self.stride[::-1], self.dilation[::-1], strict=True
        ):
            total = max((-(-side // stride) - 1) * stride + dilation * (kernel - 1) + 1 - side, 0)
            borders += [total // 2, total - total // 2]
        if any(borders):
            images = functional.pad(images, borders)
        return super().forward(images)


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    groups: int = 1,
    activation: nn.Module | None = None,
    eps: float = 1e-5,
    momentum: float = 0.1,
    same: bool = False,
) -> nn.Sequential:
    """Return a convolution without a bias, a batch norm and, if given, an activation.

    Args:
        in_channels: channels read.
        out_channels: channels given.
        kernel_size: side of the window in pixels, odd.
        stride: step between windows in pixels.
        groups: groups of channels that do not see each other.
        activation: the last layer; ``None`` is a linear output.
        eps: added to the batch norm's variance.
        momentum: weight of the latest batch in the running statistics, in torch's sense.
        same: pad as TensorFlow does; see :class:`SameConv2d`.

    Returns:
        The two or three layers, named 0, 1 and 2.
    """
    padding = 0 if same else kernel_size // 2
    kind = SameConv2d if same else nn.Conv2d
    conv = kind(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(out_channels, eps=eps, momentum=momentum)]
    return nn.Sequential(*layers, *([] if activation is None else [activation]))
