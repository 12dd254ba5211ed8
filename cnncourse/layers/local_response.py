"""Local response normalisation: each value is divided by a number that grows with its neighbour channels.

Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", NIPS 2012,
section 3.3.
"""

import torch
from torch import Tensor, nn


def local_response_norm(
    maps: Tensor, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75
) -> Tensor:
    """Divide a value by (k + α · sum of squares over neighbour channels at the same place)^β.

    Krizhevsky et al. (2012), section 3.3: b_i = a_i / (k + α Σ_j a_j²)^β, where j runs over the ``size``
    channels around i, fewer at the ends. ``torch.nn.LocalResponseNorm`` divides α by the size, so that its
    ``alpha`` must be ``size`` times as large to give the same values.

    Args:
        maps: (N, C, ...), floats.
        size: channels in the sum, the paper's n: odd, so that i is in the middle, and at least 1.
        k: constant under the power, above 0: without it a value among zeros would be divided by 0.
        alpha: weight of the sum of squares, at least 0; not divided by the size.
        beta: power, any number.

    Returns:
        (N, C, ...): the maps, normalised.

    Raises:
        ValueError: if a setting is out of its range or the maps have no channel axis.

    Book: alexnet
    """
    _check_settings(size, k, alpha)
    if maps.ndim < 2:
        raise ValueError(
            f"maps must have the shape (N, C, ...), got {tuple(maps.shape)}; add the missing axes"
        )
    channels, half = maps.shape[1], min(size // 2, maps.shape[1] - 1)
    squares = maps.square()
    padded = nn.functional.pad(squares, (0, 0) * (maps.ndim - 2) + (half, half))
    total = squares if half == 0 else padded.narrow(1, 0, channels)
    for start in range(1, 2 * half + 1):
        total = total + padded.narrow(1, start, channels)
    return maps / torch.pow(k + alpha * total, beta)


class LocalResponseNorm(nn.Module):
    """Local response normalisation as a layer without weights; see :func:`local_response_norm`.

    Args:
        size: channels in the sum, odd, at least 1.
        k: constant under the power, above 0.
        alpha: weight of the sum of squares, at least 0; not divided by the size.
        beta: power.

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(self, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        _check_settings(size, k, alpha)
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, ...), normalised."""
        return local_response_norm(maps, self.size, self.k, self.alpha, self.beta)

    def extra_repr(self) -> str:
        """Return the settings, as ``repr`` shows them."""
        return f"size={self.size}, k={self.k:g}, alpha={self.alpha:g}, beta={self.beta:g}"


def _check_settings(size: int, k: float, alpha: float) -> None:
    if size < 1 or size % 2 == 0:
        raise ValueError(
            f"size must be odd and at least 1, got size={size}; an even number of channels has no middle"
        )
    if not (k > 0 and alpha >= 0):
        raise ValueError(
            f"k must be above 0 and alpha at least 0, got k={k} and alpha={alpha}; otherwise the power is "
            "taken of zero or of a negative number"
        )
