"""Pooling from scratch: windows, and one number for each.

Max and mean pooling agree with ``torch.nn`` in value and gradient; blur pooling is the anti-aliased
down-sampling of Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019, arXiv:1904.11486.
"""

from math import comb

import torch
from torch import Tensor, nn
from torch.nn import functional


def _windows(images: Tensor, window: int, stride: int) -> Tensor:
    """Return a view (N, C, H', W', window * window) with the pixels of each window, row by row."""
    rows = images.unfold(2, window, stride)
    return rows.unfold(3, window, stride).flatten(start_dim=4)


def _checked(images: Tensor, window: int, stride: int | None, padding: int) -> int:
    """Check the setting of a pooling layer and return its stride."""
    step = window if stride is None else stride
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, C, H, W), got {tuple(images.shape)}")
    if window < 1 or step < 1:
        raise ValueError(f"window and stride must be at least 1, got window={window} and stride={step}")
    if not 0 <= padding <= window // 2:
        raise ValueError(
            f"padding must lie in [0, window // 2], got padding={padding} with window={window}; "
            "more would make windows that see no pixel"
        )
    if min(images.shape[2:]) + 2 * padding < window:
        raise ValueError(
            f"a window must fit into the image, got window={window} with images {tuple(images.shape)} and "
            f"padding={padding}; choose a smaller window"
        )
    return step


def max_pool(
    images: Tensor, window: int = 2, stride: int | None = None, padding: int = 0
) -> tuple[Tensor, Tensor]:
    """Return the largest value of each window, and where it was found.

    The gradient goes to that one pixel; among equal values the first in reading order wins.

    Args:
        images: (N, C, H, W).
        window: side of the square windows in pixels, 1 <= window <= H, W.
        stride: step between windows in pixels, at least 1; ``None`` means ``window`` (no overlap).
        padding: rows and columns of -infinity around the image, 0 <= padding <= window // 2.

    Returns:
        Two tensors (N, C, H', W') with H' = floor((H + 2 padding - window) / stride) + 1: the values, and
        the index ``row * W + column`` of each in its image, as ``torch.nn.MaxPool2d`` counts it.

    Raises:
        ValueError: if a size is out of its range.

    Book: pooling_lenet
    """
    stride = _checked(images, window, stride, padding)
    padded = functional.pad(images, [padding] * 4, value=-torch.inf) if padding else images
    pixels = _windows(padded, window, stride)
    # argmax promises the first of equal values, max does not; gather then carries the gradient to it.
    winner = pixels.argmax(dim=-1, keepdim=True)
    values = pixels.gather(-1, winner).squeeze(-1)
    winner = winner.squeeze(-1)
    rows = torch.arange(winner.shape[2], device=images.device).view(-1, 1) * stride - padding
    columns = torch.arange(winner.shape[3], device=images.device) * stride - padding
    indices = (rows + winner // window) * images.shape[3] + columns + winner % window
    return values, indices


def mean_pool(images: Tensor, window: int = 2, stride: int | None = None, padding: int = 0) -> Tensor:
    """Return the mean of each window; the gradient is shared equally among its pixels.

    LeCun et al. (1998), section II.B, sub-sampling without its trainable factor and offset.

    Args:
        images: (N, C, H, W), floating point.
        window: side of the square windows in pixels, 1 <= window <= H, W.
        stride: step between windows in pixels, at least 1; ``None`` means ``window`` (no overlap).
        padding: rows and columns of zeros around the image, which count in the mean,
            0 <= padding <= window // 2.

    Returns:
        (N, C, H', W') with H' = floor((H + 2 padding - window) / stride) + 1.

    Raises:
        ValueError: if a size is out of its range.

    Book: pooling_lenet
    """
    stride = _checked(images, window, stride, padding)
    padded = functional.pad(images, [padding] * 4) if padding else images
    return _windows(padded, window, stride).mean(dim=-1)


def blur_pool(images: Tensor, stride: int = 2, taps: int = 3) -> Tensor:
    """Blur each channel with a binomial filter, then keep every ``stride``-th pixel.

    Zhang (2019), section 3.2: low-pass filtering before sub-sampling, so that what is finer than the
    new grid is averaged away instead of appearing as something else. The border is reflected.

    Args:
        images: (N, C, H, W), floating point.
        stride: step between the pixels that are kept, at least 1.
        taps: side of the filter in pixels, 1 <= taps <= 7: 2 is (1 1), 3 is (1 2 1), 5 is (1 4 6 4 1), each
            divided by its sum; 1 sub-samples without a blur.

    Returns:
        (N, C, H', W') with H' = ceil(H / stride).

    Raises:
        ValueError: if a size is out of its range, or the image is smaller than the reflected border.

    Book: pooling_lenet
    """
    if images.ndim != 4:
        raise ValueError(f"images must have shape (N, C, H, W), got {tuple(images.shape)}")
    if stride < 1 or not 1 <= taps <= 7:
        raise ValueError(f"stride must be at least 1 and taps lie in [1, 7], got {stride=} and {taps=}")
    before, after = (taps - 1) // 2, taps // 2
    if min(images.shape[2:]) <= after:
        raise ValueError(
            f"a border of {after} pixels is reflected, so images need more rows and columns than that, got "
            f"{tuple(images.shape)}; choose fewer taps"
        )
    line = torch.tensor([comb(taps - 1, k) for k in range(taps)], dtype=images.dtype, device=images.device)
    kernel = torch.outer(line, line) / line.sum() ** 2
    channels = images.shape[1]
    padded = functional.pad(images, (before, after, before, after), mode="reflect")
    return functional.conv2d(padded, kernel.expand(channels, 1, taps, taps), stride=stride, groups=channels)


class MaxPool(nn.Module):
    """Max pooling as a layer; see :func:`max_pool`.

    Args:
        window: side of the square windows in pixels.
        stride: step between windows in pixels; ``None`` means ``window``.
        padding: rows and columns of -infinity around the image.

    Book: pooling_lenet
    """

    def __init__(self, window: int = 2, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.window, self.padding = window, padding
        self.stride = window if stride is None else stride

    @property
    def kernel_size(self) -> int:
        """Side of the window in pixels, under the name that ``torch.nn`` gives it."""
        return self.window

    def forward(self, images: Tensor) -> Tensor:
        """Return the largest value of each window, (N, C, H', W')."""
        return max_pool(images, self.window, self.stride, self.padding)[0]

    def extra_repr(self) -> str:
        """Return the setting for ``print(model)``."""
        return f"window={self.window}, stride={self.stride}, padding={self.padding}"


class MeanPool(nn.Module):
    """Mean pooling as a layer; see :func:`mean_pool`.

    Args:
        window: side of the square windows in pixels.
        stride: step between windows in pixels; ``None`` means ``window``.
        padding: rows and columns of zeros around the image.

    Book: pooling_lenet
    """

    def __init__(self, window: int = 2, stride: int | None = None, padding: int = 0) -> None:
        super().__init__()
        self.window, self.padding = window, padding
        self.stride = window if stride is None else stride

    @property
    def kernel_size(self) -> int:
        """Side of the window in pixels, under the name that ``torch.nn`` gives it."""
        return self.window

    def forward(self, images: Tensor) -> Tensor:
        """Return the mean of each window, (N, C, H', W')."""
        return mean_pool(images, self.window, self.stride, self.padding)

    def extra_repr(self) -> str:
        """Return the setting for ``print(model)``."""
        return f"window={self.window}, stride={self.stride}, padding={self.padding}"


class BlurPool(nn.Module):
    """Anti-aliased down-sampling as a layer; see :func:`blur_pool`.

    Put it where a stride was: ``MaxPool(2)`` becomes ``MaxPool(2, stride=1)`` and ``BlurPool(2)``.

    Args:
        stride: step between the pixels that are kept.
        taps: side of the binomial filter in pixels.

    Book: pooling_lenet
    """

    def __init__(self, stride: int = 2, taps: int = 3) -> None:
        super().__init__()
        self.stride, self.taps = stride, taps

    @property
    def kernel_size(self) -> int:
        """Side of the filter in pixels, under the name that ``torch.nn`` gives it."""
        return self.taps

    @property
    def padding(self) -> int:
        """Rows and columns reflected above and to the left of the image."""
        return (self.taps - 1) // 2

    def forward(self, images: Tensor) -> Tensor:
        """Return the blurred and sub-sampled images, (N, C, H', W')."""
        return blur_pool(images, self.stride, self.taps)

    def extra_repr(self) -> str:
        """Return the setting for ``print(model)``."""
        return f"stride={self.stride}, taps={self.taps}"
