"""Dropout in both forms, and DropBlock for maps.

Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov, "Dropout: A Simple Way to Prevent Neural Networks
from Overfitting", JMLR 15, 2014. Ghiasi, Lin & Le, "DropBlock: A regularization method for convolutional
networks", NeurIPS 2018, arXiv:1810.12890.
"""

import torch
from torch import Tensor, nn


def keep_mask(values: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Draw for each value whether it is kept.

    Args:
        values: (...), floats; only shape, type, device and memory format count.
        drop_prob: probability of a 0, in [0, 1).
        generator: source of randomness on the values' device; ``None`` is torch's own.

    Returns:
        (...): 1 with probability 1 - drop_prob, else 0.

    Raises:
        ValueError: if the probability is out of its range.
    """
    _check_probability(drop_prob)
    return torch.empty_like(values, requires_grad=False).bernoulli_(1 - drop_prob, generator=generator)


def dropout(values: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Set values to zero at random and leave the others as they are: standard dropout, in training.

    Srivastava et al. (2014), section 4. The values' expectation falls to (1 - drop_prob) times what it was;
    therefore at test time, when nothing is dropped, values are multiplied by 1 - drop_prob
    (:class:`Dropout` does so in eval).

    Args:
        values: (...), floats.
        drop_prob: probability that a value is dropped, in [0, 1); the paper's p is the one to keep.
        generator: source of randomness on the values' device; ``None`` is torch's own.

    Returns:
        (...): the values, thinned.

    Raises:
        ValueError: if the probability is out of its range.
    """
    return values * keep_mask(values, drop_prob, generator)


def inverted_dropout(values: Tensor, drop_prob: float, generator: torch.Generator | None = None) -> Tensor:
    """Set values to zero at random and divide the others by 1 - drop_prob: nothing is left to do at test time.

    Srivastava et al. (2014), section 10; the form of ``torch.nn.Dropout``, which draws the same numbers.

    Args:
        values: (...), floats.
        drop_prob: probability that a value is dropped, in [0, 1).
        generator: source of randomness on the values' device; ``None`` is torch's own.

    Returns:
        (...): the values, thinned, with the same expectation.

    Raises:
        ValueError: if the probability is out of its range.

    Book: alexnet
    """
    return values * (keep_mask(values, drop_prob, generator) / (1 - drop_prob))


def drop_block_rate(drop_prob: float, block_size: int, height: int, width: int) -> float:
    """Return the probability with which a block begins at a place where a whole block fits.

    Ghiasi et al. (2018), equation 1: γ = drop_prob / b² · H W / ((H - b + 1) (W - b + 1)), so that about
    drop_prob of all values are dropped; a little less, because blocks overlap.

    Args:
        drop_prob: wanted share of dropped values, in [0, 1).
        block_size: b, side of a block in pixels, at least 1.
        height: H, rows of the maps, at least b.
        width: W, columns of the maps, at least b.

    Returns:
        The probability γ, at most ``drop_prob``.

    Raises:
        ValueError: if the probability is out of its range or a block does not fit.
    """
    _check_probability(drop_prob)
    if block_size < 1 or block_size > min(height, width):
        raise ValueError(
            f"block_size must lie in [1, smaller side of the maps], got block_size={block_size} for maps of "
            f"{height} x {width}; choose smaller blocks"
        )
    places = (height - block_size + 1) * (width - block_size + 1)
    return drop_prob / block_size**2 * height * width / places


def block_mask(corners: Tensor, block_size: int) -> Tensor:
    """Return where values are kept when blocks are dropped at given places.

    Ghiasi et al. (2018), algorithm 1, line 6.

    Args:
        corners: (N, C, H - b + 1, W - b + 1), 1 where a block has its upper left corner, else 0.
        block_size: b, side of a block in pixels, at least 1.

    Returns:
        (N, C, H, W): 0 inside of blocks, else 1.
    """
    around = nn.functional.pad(corners, (block_size - 1,) * 4)
    return 1 - nn.functional.max_pool2d(around, block_size, stride=1)


def drop_block(
    maps: Tensor, drop_prob: float, block_size: int = 7, generator: torch.Generator | None = None
) -> Tensor:
    """Set square blocks of maps to zero and scale the rest up so that the share of values kept cancels.

    Ghiasi et al. (2018), algorithm 1, with blocks drawn for each channel by itself. Dropping single values
    hardly hides anything in maps, whose neighbours tell the same.

    Args:
        maps: (N, C, H, W), floats.
        drop_prob: wanted share of dropped values, in [0, 1).
        block_size: side of a block in pixels, at least 1, at most the maps' smaller side.
        generator: source of randomness on the maps' device; ``None`` is torch's own.

    Returns:
        (N, C, H, W): the maps with blocks of zeros, times number of values / number of values kept.

    Raises:
        ValueError: if the probability is out of its range or a block does not fit.
    """
    if maps.ndim != 4:
        raise ValueError(
            f"maps must have the shape (N, C, H, W), got {tuple(maps.shape)}; add the missing axes"
        )
    images, channels, height, width = maps.shape
    rate = drop_block_rate(drop_prob, block_size, height, width)
    places = (images, channels, height - block_size + 1, width - block_size + 1)
    corners = torch.empty(places, dtype=maps.dtype, device=maps.device).bernoulli_(rate, generator=generator)
    kept = block_mask(corners, block_size)
    share = kept.mean(dtype=torch.promote_types(maps.dtype, torch.float32))
    scale = 1 / share.clamp(min=1 / max(kept.numel(), 1))  # if nothing is kept: zeros, not 0 / 0
    return maps * (kept * scale).to(maps.dtype)


def _check_probability(drop_prob: float) -> None:
    if not 0 <= drop_prob < 1:
        raise ValueError(f"drop_prob must lie in [0, 1), got drop_prob={drop_prob}; 1 would leave nothing")


class Dropout(nn.Module):
    """Standard dropout as a layer: drops in training, multiplies by 1 - drop_prob in eval; see :func:`dropout`.

    Args:
        drop_prob: probability that a value is dropped, in [0, 1).

    Raises:
        ValueError: if the probability is out of its range.
    """

    def __init__(self, drop_prob: float = 0.5) -> None:
        super().__init__()
        _check_probability(drop_prob)
        self.drop_prob = drop_prob

    def forward(self, values: Tensor) -> Tensor:
        """Return the values (...), thinned in training, scaled in eval."""
        return dropout(values, self.drop_prob) if self.training else values * (1 - self.drop_prob)

    def extra_repr(self) -> str:
        """Return the setting, as ``repr`` shows it."""
        return f"drop_prob={self.drop_prob:g}"


class InvertedDropout(Dropout):
    """Inverted dropout as a layer: works in training only; see :func:`inverted_dropout`.

    Args:
        drop_prob: probability that a value is dropped, in [0, 1).

    Raises:
        ValueError: if the probability is out of its range.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Return the values (...), in training thinned and scaled."""
        return inverted_dropout(values, self.drop_prob) if self.training and self.drop_prob else values


class DropBlock(nn.Module):
    """DropBlock as a layer: works in training only; see :func:`drop_block`.

    ``drop_prob`` may be changed between steps: Ghiasi et al. (2018), section 3, raise it linearly from 0.

    Args:
        drop_prob: wanted share of dropped values, in [0, 1).
        block_size: side of a block in pixels, at least 1.

    Raises:
        ValueError: if a setting is out of its range.
    """

    def __init__(self, drop_prob: float = 0.1, block_size: int = 7) -> None:
        super().__init__()
        _check_probability(drop_prob)
        if block_size < 1:
            raise ValueError(f"block_size must be at least 1, got block_size={block_size}")
        self.drop_prob, self.block_size = drop_prob, block_size

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps (N, C, H, W), in training with blocks of zeros."""
        if not self.training or self.drop_prob == 0:
            return maps
        return drop_block(maps, self.drop_prob, self.block_size)

    def extra_repr(self) -> str:
        """Return the settings, as ``repr`` shows them."""
        return f"drop_prob={self.drop_prob:g}, block_size={self.block_size}"
